"""Timings, which are no tests: `./scripts/benchmark`, and single files with a usage of their own."""
