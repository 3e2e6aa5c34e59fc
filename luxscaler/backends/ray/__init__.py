"""Tiles upscaled on a Ray cluster."""
