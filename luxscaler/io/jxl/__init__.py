"""JPEG XL: read, and written as a float master."""
