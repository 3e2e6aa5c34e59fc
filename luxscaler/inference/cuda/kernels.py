"""What the engine needs of a device: memory, launches, and how long they take.

`driver.CudaKernels` is a CUDA device; the tests run the same kernels on a processor.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from luxscaler.inference.cuda.abi import KernelArguments


class Kernels(Protocol):
    """A device that has a program of kernel_source.py."""

    parts: int
    """Halves that the program keeps a number as: 1 is float16, 2 is float32."""

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Memory of the device, its content undefined; torch.OutOfMemoryError where there is not enough."""

    def upload(self, tensor: Tensor) -> Tensor:
        """A contiguous copy on the device."""

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, shared: int, arguments: KernelArguments
    ) -> None:
        """Start a kernel: `grid` blocks (across, down) of that many threads and bytes of shared memory."""

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats the launches of `run`, on the same tensors, with less overhead."""

    def seconds(self, run: Callable[[], None]) -> float | None:
        """How long these launches take; None where timing means nothing (an emulation)."""
