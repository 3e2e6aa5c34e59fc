"""The two networks, with BasicSR's state-dict names, and nothing of how they are run."""
