"""Tiles upscaled by a model on Replicate, or by any server that speaks its API."""
