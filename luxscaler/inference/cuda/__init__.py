"""RRDBNet on NVIDIA cards in float16: kernels of our own (*.cuh), compiled on the card's machine.

`load` is the way in. Only `driver` knows CUDA; the rest runs on any `Kernels`, and in the tests on a
processor (tests/support/cuda_on_cpu).
"""
