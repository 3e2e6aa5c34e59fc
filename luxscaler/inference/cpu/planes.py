"""RRDBNet's blocks in bfloat16 without copies for concatenation, by oneDNN's prepared convolutions.

A dense block concatenates ever more channels. Here every `PLANE` channels form a plane, one behind the other
in memory, and a convolution over the first n planes is a 3-D convolution whose kernel is n deep, so that
concatenating a plane only increases n. Bias, activation and residual are part of the convolutions. The layers
run over bands of rows (wavefront.py).

Tensors of a band: the picture (rows, W, C); planes (n, rows + 2, W + 2, PLANE) with a border of one pixel,
the neighbouring bands' rows or zeros outside the picture. oneDNN's kernels could pad with zeros themselves,
but then take up to 1.7 times as long (docs/experiments.md).

The operators are those that PyTorch's own compiler emits (`torch.ops.mkldnn`); `usable` says whether they are
available and can run the network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from luxscaler.inference.cpu.huge_pages import huge_zeros
from luxscaler.inference.cpu.onednn_graph import leaky_convolution
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.cpu.wavefront import LEVELS, Bands, run_wavefront
from luxscaler.networks.rrdb import RESIDUAL_SCALE, RRDB, ResidualDenseBlock, RRDBNet

PLANE = 32
"""Channels of a plane: one row of an AMX tile register in bfloat16."""
TARGET_PIXELS = 16384
"""Pixels of a band: smaller ones mean more calls, larger ones more memory (docs/experiments.md)."""
WHOLE_PIXELS = 65536
"""Pixels of the largest picture that is a single band, which is 8 % faster at 256² and takes 25 MB more."""
_ONES = [1, 1, 1]
"""Strides and dilations."""


def usable(network: RRDBNet) -> bool:
    """Whether this processor and this PyTorch can run the network by planes."""
    return has_bf16() and network.config.growth == PLANE and network.config.features % PLANE == 0


class AddedConvolution:
    """The convolution that ends a dense block, with its weights in oneDNN's own order."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = _deep(weight), None if bias is None else bias.to(torch.bfloat16)
        self._prepared: dict[tuple[int, int], Any] = {}

    def add_to(self, total: Tensor, x: Tensor) -> None:
        """Add the result, without activation, to `total`, 1×out×1×rows×W bfloat16; rounded once."""
        torch.ops.mkldnn._convolution_pointwise_.binary(
            total, x, self._weights_for(x), self._bias, [0, 0, 0], _ONES, _ONES, 1, "add", 1.0, None, [], None
        )

    def _weights_for(self, x: Tensor) -> Any:
        size = (x.shape[3], x.shape[4])
        prepared = self._prepared.get(size)
        if prepared is None:
            prepared = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, [0, 0, 0], _ONES, _ONES, 1, list(x.shape)
            )
            self._prepared = {size: prepared}
        return prepared


def _deep(weight: Tensor) -> Tensor:
    """O×I×3×3 → O×PLANE×(I / PLANE)×3×3 bfloat16, channels last in memory."""
    outputs, inputs = weight.shape[:2]
    planes = weight.detach().reshape(outputs, inputs // PLANE, PLANE, 3, 3).transpose(1, 2).to(torch.bfloat16)
    return planes.contiguous(memory_format=torch.channels_last_3d)


@dataclass(frozen=True)
class _DenseWeights:
    """A dense block's weights: (weight, bias) of the four layers with activation, then the last one."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    last: AddedConvolution

    @staticmethod
    def of(dense: ResidualDenseBlock) -> "_DenseWeights":
        """The weights of a block, prepared; the last ones include the residual's scale, so that they can
        add."""
        leaky = (dense.conv1, dense.conv2, dense.conv3, dense.conv4)
        bias = dense.conv5.bias
        scaled = None if bias is None else bias * RESIDUAL_SCALE
        last = AddedConvolution(dense.conv5.weight * RESIDUAL_SCALE, scaled)
        return _DenseWeights(tuple((_deep(conv.weight), _bias(conv)) for conv in leaky), last)


def _bias(conv: nn.Conv2d) -> Tensor:
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return bias.detach().to(torch.bfloat16)


class PlaneTrunk:
    """The blocks of a loaded RRDBNet, prepared for bfloat16; the network itself is not changed."""

    def __init__(self, network: RRDBNet) -> None:
        self._blocks = [
            [_DenseWeights.of(dense) for dense in (block.rdb1, block.rdb2, block.rdb3)]
            for block in network.body
            if isinstance(block, RRDB)
        ]

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> "PlanePicture":
        """1×features×H×W bfloat16 → the blocks' output, the same shape; step: as in RRDBNet.extract."""
        return self.run(PlanePicture.of(x), step)

    @staticmethod
    def cut(x: Tensor) -> "PlanePicture":
        """1×features×H×W bfloat16 in the form that `run` takes; `x` may be freed afterwards."""
        return PlanePicture.of(x)

    def run(self, picture: "PlanePicture", step: Callable[[float], None] | None = None) -> "PlanePicture":
        """Run all blocks on the picture, in place; returns it."""
        inner = PlanePicture(huge_zeros(tuple(picture.pixels.shape), torch.bfloat16), picture.bands)
        pass_ = _Pass(inner)
        for index, block in enumerate(self._blocks):
            inner.pixels.copy_(picture.pixels)
            for dense in block:
                pass_.run(dense)
            picture.pixels.add_(inner.pixels, alpha=RESIDUAL_SCALE)
            if step is not None:
                step((index + 1) / len(self._blocks))
        return picture


class PlanePicture:
    """A picture of bfloat16 channels, in bands of rows; rows of the last band beyond its edge are zero."""

    def __init__(self, pixels: Tensor, bands: Bands) -> None:
        self.pixels = pixels
        """(bands, rows of a band, W, C)."""
        self.bands = bands

    @staticmethod
    def of(x: Tensor) -> "PlanePicture":
        """The picture in a 1×C×H×W tensor, copied."""
        channels, height, width = x.shape[1:]
        rows = height if height * width <= WHOLE_PIXELS else TARGET_PIXELS // width
        bands = Bands.cut(height, rows)
        pixels = huge_zeros((bands.count, bands.height, width, channels), torch.bfloat16)
        pixels.flatten(0, 1)[:height] = x[0].permute(1, 2, 0)
        return PlanePicture(pixels, bands)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as 1×C×(stop − start)×W, channels_last; a view that must not be written to."""
        return self.pixels.flatten(0, 1)[start:stop].permute(2, 0, 1)[None]


class _Pass:
    """The buffers of a dense block on one picture, and the block itself.

    The views of the buffers are made once: for small pictures making them takes as long as the convolutions.
    """

    def __init__(self, picture: PlanePicture) -> None:
        self._bands = picture.bands
        rows, width, channels = picture.pixels.shape[1:]
        own = channels // PLANE
        count, slots = picture.bands.count, picture.bands.slots
        # Zeros: the border beyond the picture's edges is never written.
        held_bands = count if count == slots else slots + 2
        size = (held_bands, own + LEVELS - 1, rows + 2, width + 2, PLANE)
        planes = huge_zeros(size, torch.bfloat16)
        held = [planes[self._slot(band, count, slots)] for band in range(count)]
        self._pictures = list(picture.pixels)
        self._planes = [piece.unflatten(2, (own, PLANE)).permute(2, 0, 1, 3) for piece in picture.pixels]
        self._totals = [piece.permute(2, 0, 1)[None, :, None] for piece in picture.pixels]
        sources = [slice(0, own), *(slice(own + level, own + level + 1) for level in range(LEVELS - 1))]
        self._inputs = [
            [piece[: source.stop].permute(3, 0, 1, 2)[None] for source in sources] for piece in held
        ]
        self._targets = [[piece[source, 1:-1, 1:-1] for source in sources] for piece in held]
        self._edges = [[self._around(held, band, source) for source in sources] for band in range(count)]
        self._beyond = picture.bands.rows - (count - 1) * picture.bands.height

    @staticmethod
    def _slot(band: int, count: int, slots: int) -> int:
        """The first and the last band have buffers of their own, whose outer rows stay zero."""
        if count == slots:
            return band
        return slots if band == 0 else slots + 1 if band == count - 1 else band % slots

    @staticmethod
    def _around(held: list[Tensor], band: int, source: slice) -> list[tuple[Tensor, Tensor]]:
        """(row to be filled, row of a neighbour) above and below."""
        pairs = []
        if band > 0:
            pairs.append((held[band][source, 0], held[band - 1][source, -2]))
        if band + 1 < len(held):
            pairs.append((held[band][source, -1], held[band + 1][source, 1]))
        return pairs

    def run(self, dense: _DenseWeights) -> None:
        """Replace the picture by the dense block's output."""
        run_wavefront(self._bands.count, lambda level, band: self._make(dense, level, band), self._spread)

    def _make(self, dense: _DenseWeights, level: int, band: int) -> None:
        if level == 0:
            self._targets[band][0].copy_(self._planes[band])
            return
        x = self._inputs[band][level - 1]
        if level == LEVELS:
            target = self._pictures[band]
            dense.last.add_to(self._totals[band], x)
        else:
            target = self._targets[band][level][0]
            made = leaky_convolution(x, *dense.layers[level - 1])
            target.copy_(made[0, :, 0].permute(1, 2, 0))
        if band + 1 == self._bands.count and self._beyond < target.shape[0]:
            target[self._beyond :] = 0.0  # below the picture's edge, as padding is

    def _spread(self, level: int, band: int) -> None:
        """Copy to a band the rows of its neighbours that its convolutions read."""
        for row, neighbour in self._edges[band][level]:
            row.copy_(neighbour)
