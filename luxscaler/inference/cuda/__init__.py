"""RRDBNet on NVIDIA cards in float16 and float32: own kernels (*.cuh), compiled on the card's machine.

`load.load` is the entry. Only `driver` calls CUDA; everything else runs on any `Kernels`, in the tests on a
CPU (tests/support/cuda_on_cpu).
"""
