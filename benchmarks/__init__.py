"""Timings: `./scripts/benchmark`, and scripts with a usage of their own in their docstrings."""
