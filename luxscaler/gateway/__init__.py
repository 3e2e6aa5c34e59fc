"""A Replicate-compatible /v1 in front of running Cog containers, for development and tests offline."""
