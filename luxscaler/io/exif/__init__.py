"""EXIF: what is read from it, what a result inherits, and what our files say in it."""
