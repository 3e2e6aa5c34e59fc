"""The two networks as PyTorch modules, with BasicSR's state-dict names."""
