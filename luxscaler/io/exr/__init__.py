"""OpenEXR: read, and written as a float master."""
