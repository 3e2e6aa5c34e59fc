"""RRDBNet's blocks in bfloat16 without a copy of what is concatenated, by oneDNN's prepared convolutions.

A dense block concatenates ever more channels. Here every `PLANE` channels are a plane of their own, one
behind the other in memory, and the convolution over the first n planes is one in three dimensions whose
kernel is n deep: concatenating is counting further. Weights are reordered for the processor once, and bias
and activation happen where the sums are. The layers run over bands of rows (fast_waves.py).

Tensors of a band: planes (n, rows + 2, W, PLANE), a row above and a row below included.

It uses operators of PyTorch that its own compiler emits (`torch.ops.mkldnn`); `usable` says whether they are
there and whether the network's sizes suit. It knows no files and no colour.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from luxscaler.fast_waves import LEVELS, Bands, run_waves
from luxscaler.network import LEAK, RESIDUAL_SCALE, RRDB, ResidualDenseBlock, RRDBNet

PLANE = 32
"""Channels of a plane: as many bfloat16 numbers as one row of a tile of AMX holds."""
TARGET_PIXELS = 16384
"""Pixels of a band: fewer cost more calls, more gain nothing (docs/experiments.md)."""


def has_onednn() -> bool:
    """Whether PyTorch was built with oneDNN, and has the operators that its compiler emits for it."""
    names = ("_convolution_pointwise", "_reorder_convolution_weight", "_is_mkldnn_bf16_supported")
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in names)


def usable(network: RRDBNet) -> bool:
    """Whether this processor and PyTorch can run the network so."""
    return (
        has_onednn()
        and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        and network.config.growth == PLANE
        and network.config.features % PLANE == 0
    )


class Convolution:
    """One convolution over planes: its weights in oneDNN's own order."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, leaky: bool) -> None:
        outputs, inputs = weight.shape[:2]
        deep = weight.reshape(outputs, inputs // PLANE, PLANE, 3, 3).transpose(1, 2).to(torch.bfloat16)
        self._weight, self._bias = deep.contiguous(), None if bias is None else bias.to(torch.bfloat16)
        self._activation = ("leaky_relu", [LEAK]) if leaky else ("none", [])
        self._prepared: dict[tuple[int, int], Any] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """1×PLANE×n×(rows + 2)×W → (rows, W, out) bfloat16."""
        size = (x.shape[3], x.shape[4])
        prepared = self._prepared.get(size)
        if prepared is None:
            prepared = torch.ops.mkldnn._reorder_convolution_weight(
                self._weight, [0, 0, 1], [1, 1, 1], [1, 1, 1], 1, list(x.shape)
            )
            self._prepared = {size: prepared}
        out: Tensor = torch.ops.mkldnn._convolution_pointwise.default(
            x, prepared, self._bias, [0, 0, 1], [1, 1, 1], [1, 1, 1], 1, *self._activation, None
        )
        return out[0, :, 0].permute(1, 2, 0)


class PlaneTrunk:
    """The blocks of a loaded RRDBNet, prepared; the network itself is not changed."""

    def __init__(self, network: RRDBNet) -> None:
        self._blocks = [
            [_convolutions(dense) for dense in (block.rdb1, block.rdb2, block.rdb3)]
            for block in network.body
            if isinstance(block, RRDB)
        ]

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> "PlanePicture":
        """1×features×H×W bfloat16 → the same of the blocks' output; `step` as in RRDBNet.extract."""
        return self.run(PlanePicture.of(x), step)

    @staticmethod
    def cut(x: Tensor) -> "PlanePicture":
        """What `run` wants; `x` need not be kept."""
        return PlanePicture.of(x)

    def run(self, picture: "PlanePicture", step: Callable[[float], None] | None = None) -> "PlanePicture":
        """Put the picture through all blocks, in place; it is returned."""
        pass_ = _Pass(picture)
        for index, block in enumerate(self._blocks):
            before = picture.planes.clone()
            for convolutions in block:
                pass_.run(convolutions)
            torch.add(before, picture.planes, alpha=RESIDUAL_SCALE, out=picture.planes)
            if step is not None:
                step((index + 1) / len(self._blocks))
        return picture


def _convolutions(dense: ResidualDenseBlock) -> list[Convolution]:
    layers = (dense.conv1, dense.conv2, dense.conv3, dense.conv4, dense.conv5)
    return [Convolution(conv.weight, conv.bias, leaky=conv is not dense.conv5) for conv in layers]


class PlanePicture:
    """A picture of bfloat16 channels in planes, in bands of rows; what lies beyond its edges is zero."""

    def __init__(self, planes: Tensor, bands: Bands) -> None:
        self.planes = planes
        """(bands, planes, rows of a band, W, PLANE)."""
        self.bands = bands

    @staticmethod
    def of(x: Tensor) -> "PlanePicture":
        """From 1×C×H×W."""
        channels, height, width = x.shape[1:]
        bands = Bands.cut(height, TARGET_PIXELS // width)
        planes = x.new_zeros((bands.count, channels // PLANE, bands.height, width, PLANE))
        for band in range(bands.count):
            piece = x[0, :, band * bands.height : (band + 1) * bands.height]
            piece = piece.reshape(-1, PLANE, piece.shape[1], width).permute(0, 2, 3, 1)
            planes[band, :, : piece.shape[1]] = piece
        return PlanePicture(planes, bands)

    def rows(self, start: int, stop: int) -> Tensor:
        """1×C×(stop − start)×W of the picture's rows, channels_last."""
        first, last = start // self.bands.height, -(-stop // self.bands.height)
        flat = self.planes[first:last].permute(0, 2, 3, 1, 4).flatten(3).flatten(0, 1)
        skip = first * self.bands.height
        return flat[start - skip : stop - skip].permute(2, 0, 1)[None]


class _Pass:
    """The buffers of a dense block on one picture, and the block itself.

    The views of the buffers are made once: at small pictures making them takes as long as what they are for.
    """

    def __init__(self, picture: PlanePicture) -> None:
        self._bands = picture.bands
        own, rows, width = picture.planes.shape[1:4]
        count, slots = picture.bands.count, picture.bands.slots
        # Zero at first: the rows beyond the picture's edges are never written.
        planes = picture.planes.new_zeros(
            (count if count == slots else slots + 2, own + LEVELS - 1, rows + 2, width, PLANE)
        )
        held = [planes[self._slot(band, count, slots)] for band in range(count)]
        self._pictures = list(picture.planes)
        sources = [slice(0, own), *(slice(own + level, own + level + 1) for level in range(LEVELS - 1))]
        self._inputs = [
            [piece[: source.stop].permute(3, 0, 1, 2)[None] for source in sources] for piece in held
        ]
        self._targets = [[piece[source, 1:-1] for source in sources] for piece in held]
        self._edges = [[self._around(held, band, source) for source in sources] for band in range(count)]
        self._beyond = picture.bands.rows - (count - 1) * picture.bands.height
        self._convolutions: list[Convolution] = []

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

    def run(self, convolutions: list[Convolution]) -> None:
        """Replace the picture by what the dense block makes of it."""
        self._convolutions = convolutions
        run_waves(self._bands.count, self._make, self._spread)

    def _make(self, level: int, band: int) -> None:
        picture = self._pictures[band]
        if level == 0:
            self._targets[band][0].copy_(picture)
            return
        found = self._convolutions[level - 1](self._inputs[band][level - 1])
        if level == LEVELS:
            target = picture
            target.add_(found.view(*found.shape[:2], -1, PLANE).permute(2, 0, 1, 3), alpha=RESIDUAL_SCALE)
        else:
            target = self._targets[band][level]
            target[0].copy_(found)
        if band + 1 == self._bands.count and self._beyond < target.shape[1]:
            target[:, self._beyond :] = 0.0  # below the picture's edge, as padding is

    def _spread(self, level: int, band: int) -> None:
        """Give a band the rows of its neighbours that its convolutions see."""
        for row, neighbour in self._edges[band][level]:
            row.copy_(neighbour)
