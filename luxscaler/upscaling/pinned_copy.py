"""Finished pictures from the device into the host's memory, in one copy.

    CUDA tensor ── the device's own copy engine ─→ pinned memory = the array that the file is written from

A copy into ordinary memory goes through a buffer of the driver's, piece by piece, and the processor then
copies it into pages that are touched for the first time. Pinned memory is expensive to allocate, so PyTorch's
pinned allocator keeps it. Blocks come in powers of two and are reused once no tensor holds them, so there are
as many as pictures were in memory at once (two in a stream: pipeline/server.py), and MAX_PINNED_BYTES bounds
each.

Copies to the device stay ordinary: a tile is a sixteenth of its result, and copying it into pinned memory
first would cost the processor as much as the driver's own buffer does.
"""

from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

MAX_PINNED_BYTES = 1 << 30
"""Largest tensor that goes through pinned memory: 9459² RGB. It cannot be swapped and is kept, so more of it
would starve the rest of the machine; larger pictures are rare and copied the ordinary way."""


class Edge(Protocol):
    """Copies from a device into the host's memory, as an interface: tests replace it by a fake."""

    def pinned_like(self, tensor: Tensor) -> Tensor:
        """A contiguous tensor of that shape and type in host memory to which the device can write."""

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Copy and return when `target` holds the values, without waiting for work given to the device later
        or on other streams."""


class CudaEdge:
    """PyTorch's pinned allocator, and the current stream."""

    def pinned_like(self, tensor: Tensor) -> Tensor:
        """A tensor of that shape and type in pinned memory. Raises RuntimeError if the system refuses it."""
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Copy, and wait for the copy's own event, so not for kernels of another prediction."""
        with torch.cuda.device(source.device):
            target.copy_(source, non_blocking=True)
            # blocking: it sleeps, so that the encoder's threads have the processor.
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record()
            done.synchronize()


CUDA = CudaEdge()


def to_host(tensor: Tensor, edge: Edge | None = None) -> NDArray[Any]:
    """The values of a tensor as a contiguous array of its shape and type.

    On the CPU that is the tensor's own memory (where it is contiguous); from CUDA it is pinned memory, which
    is used again once the array and its views are gone. edge: None: the one of the tensor's device.
    """
    if edge is None and tensor.is_cuda:
        edge = CUDA
    source = tensor.contiguous()
    if edge is None or not 0 < source.nbytes <= MAX_PINNED_BYTES:
        return source.cpu().numpy()
    try:
        target = edge.pinned_like(source)
    except RuntimeError:  # the system's limit of locked memory
        return source.cpu().numpy()
    edge.copy(source, target)
    return target.numpy()
