"""JPEG: read, and written with a gain map."""
