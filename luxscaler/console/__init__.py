"""The console: Replicate's jobs, spending and results, driven from one's own machine. No PyTorch."""
