"""Allocates tensors that are read and written over and over in huge pages, where Linux supports them.

A processor caches the addresses of some 2000 pages (its TLB). The planes of a dense block take more pages of
4 KiB than that, and TLB misses cost 8 % of its time (docs/experiments.md).
"""

import contextlib
import math
import mmap

import torch
from torch import Tensor

HUGE_PAGE = 1 << 21
"""Bytes."""


def huge_zeros(size: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor of zeros on the CPU, freed with its last view. Raises MemoryError if memory runs out."""
    length = math.prod(size) * dtype.itemsize
    advice = getattr(mmap, "MADV_HUGEPAGE", None)
    if advice is None or length < HUGE_PAGE:
        return torch.zeros(size, dtype=dtype)
    try:
        memory = mmap.mmap(-1, length + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"out of memory: {length} bytes") from error
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(advice)
    start = -torch.frombuffer(memory, dtype=torch.uint8).data_ptr() % HUGE_PAGE
    return torch.frombuffer(memory, dtype=dtype, count=math.prod(size), offset=start).view(size)
