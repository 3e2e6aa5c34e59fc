"""Tiles upscaled by running Cog containers."""
