"""AVIF: read, and written as HDR for the web."""
