"""PNG: read, and written as 16-bit SDR or PQ."""
