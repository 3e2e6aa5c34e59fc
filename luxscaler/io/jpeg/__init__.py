"""JPEG, BMP and GIF read; JPEG written with a gain map."""
