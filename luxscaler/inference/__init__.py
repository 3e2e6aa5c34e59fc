"""A network made ready for its device: plain PyTorch, the CPU's own path, CUDA kernels."""
