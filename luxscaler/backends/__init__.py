"""Places where a tile can be upscaled: this process, Cog containers, Replicate, a Ray cluster."""
