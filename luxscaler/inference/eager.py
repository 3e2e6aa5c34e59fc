"""Runs a network by PyTorch's own operators: on MPS, on older cards, and where prepare.py has nothing
faster."""

from collections.abc import Callable

import torch
from torch import Tensor

from luxscaler.networks.build import AnyNetwork
from luxscaler.networks.foreign import ForeignNetwork
from luxscaler.networks.rrdb import RECONSTRUCT_RADIUS, RRDBNet

STRIP_ROWS = 32
"""Rows of features that RRDBNet upsamples at once: the result is bit-equal to all rows at once."""


class PlainNetwork:
    """A network moved to a device, with the interface of `prepare.Prepared`."""

    def __init__(self, network: AnyNetwork, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._is_foreign = isinstance(network, ForeignNetwork)
        if self._is_foreign:
            self._network: AnyNetwork = network.to(device)
            return
        network = network.to(device, dtype)
        # channels_last is what cuDNN's and oneDNN's fastest convolutions want.
        self._network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; step: as in RRDBNet.extract."""
        # By default cuDNN computes float32 in TF32, whose mantissa has no more bits than fp16's.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            if self._is_foreign:
                return self._mixed(x)
            x = x.to(self._dtype).contiguous(memory_format=torch.channels_last)
            network = self._network
            return in_strips(network, x, step) if isinstance(network, RRDBNet) else network(x).float()

    def _mixed(self, x: Tensor) -> Tensor:
        """Run under autocast, as few of spandrel's networks run in half precision throughout."""
        enabled = self._dtype != torch.float32
        with torch.autocast(self._device.type, self._dtype if enabled else None, enabled=enabled):
            out: Tensor = self._network(x.contiguous())
        return out.float()


def in_strips(network: RRDBNet, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
    """`network(x)`, upsampling strips of rows one after another so that its memory is bounded."""
    features = network.extract(x, step)
    rows, columns = features.shape[2:]
    times = network.config.enlargement
    size = (1, network.config.out_channels, times * rows, times * columns)
    out = x.new_empty(size, dtype=torch.float32)
    for start in range(0, rows, STRIP_ROWS):
        stop = min(start + STRIP_ROWS, rows)
        first, last = max(start - RECONSTRUCT_RADIUS, 0), min(stop + RECONSTRUCT_RADIUS, rows)
        strip = features[:, :, first:last].contiguous(memory_format=torch.channels_last)
        skip, length = times * (start - first), times * (stop - start)
        out[:, :, times * start : times * stop] = network.reconstruct(strip)[:, :, skip : skip + length]
    return out
