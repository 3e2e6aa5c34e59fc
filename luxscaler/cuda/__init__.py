"""RRDBNet on NVIDIA cards in float16: kernels of our own (*.cuh), compiled on the card's machine.

Import `luxscaler.cuda.loading` for the way in. Only `card` knows CUDA; the rest runs on any `Kernels`, and in
the tests on a processor (tests/cuda_on_cpu).
"""
