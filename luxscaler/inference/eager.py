"""A network run by PyTorch's own operators: on MPS, older cards, wherever prepare.py has nothing faster."""

from collections.abc import Callable

import torch
from torch import Tensor

from luxscaler.networks.build import Network
from luxscaler.networks.rrdb import RECONSTRUCT_RADIUS, RRDBNet

STRIP_ROWS = 32
"""Rows of features that RRDBNet's upsampling part does at once: bit-equal to all at once, 1/16 the memory."""


class PlainNetwork:
    """A network moved to a device; called like one of prepare.py."""

    def __init__(self, network: Network, device: torch.device, dtype: torch.dtype) -> None:
        network = network.to(device, dtype)
        # channels_last is what cuDNN's and oneDNN's fastest convolutions want.
        self._network: Network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._dtype = dtype

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; `step` is RRDBNet.extract's."""
        x = x.to(self._dtype).contiguous(memory_format=torch.channels_last)
        # By default cuDNN takes TF32 for float32, which has no more mantissa than fp16.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            network = self._network
            return in_strips(network, x, step) if isinstance(network, RRDBNet) else network(x).float()


def in_strips(network: RRDBNet, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
    """`network(x)`, its upsampling part strip by strip of rows."""
    features = network.extract(x, step)
    rows, columns = features.shape[2:]
    out = x.new_empty((1, network.config.out_channels, 4 * rows, 4 * columns), dtype=torch.float32)
    for start in range(0, rows, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, rows)
        first, last = max(start - RECONSTRUCT_RADIUS, 0), min(stop + RECONSTRUCT_RADIUS, rows)
        strip = features[:, :, first:last].contiguous(memory_format=torch.channels_last)
        skip = 4 * (start - first)
        out[:, :, 4 * start : 4 * stop] = network.reconstruct(strip)[:, :, skip : skip + 4 * (stop - start)]
    return out
