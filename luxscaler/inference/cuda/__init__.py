"""RRDBNet on NVIDIA cards in float16 and float32: kernels of our own (*.cuh), compiled on the card's machine.

`load.load` is the entry. Only `driver` calls CUDA; everything else runs on any `Kernels`, in the tests on a
processor (tests/support/cuda_on_cpu).
"""
