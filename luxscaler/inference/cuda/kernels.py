"""The interface of a device that the engine uses: memory, launches, and timing.

`driver.CudaKernels` is a CUDA device; the tests run the same kernels on a CPU.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from luxscaler.inference.cuda.abi import KernelArguments


class Kernels(Protocol):
    """A device with a compiled program of kernel_source.py."""

    parts: int
    """Number of halves that store a number: 1 for float16, 2 for float32."""

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Uninitialised memory of the device. Raises torch.OutOfMemoryError."""

    def upload(self, tensor: Tensor) -> Tensor:
        """A contiguous copy on the device."""

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, shared: int, arguments: KernelArguments
    ) -> None:
        """Start a kernel: `grid` blocks (across, down) of that many threads and bytes of shared memory."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats the launches of `run`, on the same tensors, with less overhead."""

    def seconds(self, run: Callable[[], None]) -> float | None:
        """Seconds that these launches take; None where timing is meaningless (an emulation)."""
