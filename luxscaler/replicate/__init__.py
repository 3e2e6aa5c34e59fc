"""Replicate's HTTP API, its rate limits, prices and signatures."""
