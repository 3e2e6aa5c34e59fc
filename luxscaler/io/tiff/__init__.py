"""TIFF: read, and written as a float master or, in 16 bits, as the SDR rendering."""
