"""hdr_boost: estimates the light above SDR white that an SDR rendering took away, and gives it back."""
