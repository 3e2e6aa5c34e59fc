"""Behind hdr_exporter.py: how each file format is written, one module a format. Leaves like it."""
