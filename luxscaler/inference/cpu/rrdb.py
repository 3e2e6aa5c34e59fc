"""RRDBNet on a CPU: the results of networks/rrdb.py, faster and in less memory.

The blocks run by winograd.py (float32) or planes.py (bfloat16). The upsampling part runs here, in blocks of
pixels small enough that the allocator reuses its memory:

- A nearest ×2 step followed by a 3 × 3 convolution is computed as four 2 × 2 convolutions of the small
picture,
  one for each of the four pixels that one becomes: 16 multiplications instead of 36.
- The last convolution, with 3 outputs, is one matrix product, 27 values a pixel, which are shifted and added.

The network that is passed in is not changed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cpu.planes import PlanePicture, PlaneTrunk
from luxscaler.inference.cpu.support import has_onednn
from luxscaler.inference.cpu.wavefront import Bands
from luxscaler.inference.cpu.winograd import TiledPicture, WinogradTrunk
from luxscaler.networks.rrdb import LEAK, RECONSTRUCT_RADIUS, RRDBNet

BLOCK = 64
"""Largest side, in pixels of features, of a block that is upsampled at once; 2 pixels on each side are
computed twice. The allocator maps larger tensors anew for each block, and the page faults take as long as the
work."""
PRODUCT_PIXELS = 4096
"""Pixels that the last convolution converts to float32 at once."""
_PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""(row, column) of the four pixels that one pixel becomes in a ×2 step."""


class FastRRDBNet:
    """The same function as the network, up to rounding (docs/experiments.md)."""

    def __init__(self, network: RRDBNet, trunk: "WinogradTrunk | PlaneTrunk", dtype: torch.dtype) -> None:
        self.config = network.config
        self._trunk, self._dtype = trunk, dtype
        self._first = Convolution(network.conv_first, dtype)
        self._body = Convolution(network.conv_body, dtype)
        self._up = [Convolution(_doubling(conv), dtype, leaky=True) for conv in network.enlarging]
        self._fine = Convolution(network.conv_hr, dtype, leaky=True)
        self._last = LastConvolution(network.conv_last)

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; H, W multiples of `config.unshuffle`.

        `step` is called after each block with the share of blocks done.
        """
        x = F.pixel_unshuffle(x, self.config.unshuffle) if self.config.unshuffle > 1 else x
        x = x.to(self._dtype).contiguous(memory_format=torch.channels_last)
        picture = self._trunk.cut(self._first(x, (1, 1)))
        body = self._trunk.run(picture, step)  # type: ignore[arg-type] # each knows its own pictures
        rows, columns = x.shape[2:]
        times = self.config.enlargement
        out = torch.empty((1, self.config.out_channels, times * rows, times * columns))
        for down in _cuts(rows, times):
            features = self._features(x, body, down.first, down.last)
            for across in _cuts(columns, times):
                block = self._enlarged(features[..., across.first : across.last])
                out[:, :, down.target, across.target] = block[:, :, down.kept, across.kept]
        return out

    def _features(self, x: Tensor, body: "TiledPicture | PlanePicture", start: int, stop: int) -> Tensor:
        """Rows of RRDBNet.extract's output. The first convolution is computed again, since storing it is
        slower."""
        top, bottom = max(start - 1, 0), min(stop + 1, x.shape[2])
        beyond = (0, 0, top - start + 1, stop + 1 - bottom)
        first = self._first(F.pad(x[:, :, top:bottom], beyond), (0, 1))
        return first.add_(self._body(F.pad(body.rows(top, bottom), beyond), (0, 1)))

    def _enlarged(self, features: Tensor) -> Tensor:
        """RRDBNet.reconstruct: 1×features×h×w → 1×out×(n·h)×(n·w) float32."""
        for doubling in self._up:
            features = _interleaved(doubling(features, (1, 1)))
        return self._last(self._fine(features, (1, 1)))


@dataclass(frozen=True)
class _Cut:
    """A part [start, stop) of one axis, and [first, last), the same with the neighbours that it depends
    on."""

    start: int
    stop: int
    first: int
    last: int
    times: int
    """How many pixels of the result each becomes, along this axis."""

    @property
    def target(self) -> slice:
        """The place of its result in the whole result."""
        return slice(self.times * self.start, self.times * self.stop)

    @property
    def kept(self) -> slice:
        """The place of its result within the result of [first, last)."""
        return slice(self.times * (self.start - self.first), self.times * (self.stop - self.first))


def _cuts(length: int, times: int) -> list[_Cut]:
    """An axis cut into parts of at most BLOCK and nearly equal lengths."""
    side = Bands.cut(length, BLOCK).height
    cuts = ((start, min(start + side, length)) for start in range(0, length, side))
    reach = RECONSTRUCT_RADIUS
    return [
        _Cut(start, stop, max(start - reach, 0), min(stop + reach, length), times) for start, stop in cuts
    ]


class Convolution:
    """A convolution in one dtype with its activation, by oneDNN's fused operator where available."""

    def __init__(self, conv: nn.Conv2d, dtype: torch.dtype, *, leaky: bool = False) -> None:
        self._weight = conv.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self._leaky = leaky
        self._fused = has_onednn()

    def __call__(self, x: Tensor, padding: tuple[int, int]) -> Tensor:
        """1×in×H×W → 1×out×H'×W', channels_last."""
        x = x.contiguous(memory_format=torch.channels_last)
        if not self._leaky:
            return F.conv2d(x, self._weight, self._bias, padding=padding)
        if not self._fused:
            return F.leaky_relu_(F.conv2d(x, self._weight, self._bias, padding=padding), LEAK)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, list(padding), [1, 1], [1, 1], 1, "leaky_relu", [LEAK], None
        )
        return out


def _doubling(conv: nn.Conv2d) -> nn.Conv2d:
    """A 3 × 3 convolution after a nearest ×2 step as a 2 × 2 convolution before it, with four times the
    outputs.

    Each of the four pixels that one becomes depends on it and its neighbours on one side of each axis: of
    three taps in a row, two fall on the same source pixel. Outputs are in the order of _PHASES; with a
    padding of 1 there is one row and column too many, which `_interleaved` drops.
    """
    taps = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
    weight = conv.weight.detach().double()
    kernels = [
        torch.einsum("ak,bl,oikl->oiab", taps[row].double(), taps[column].double(), weight)
        for row, column in _PHASES
    ]
    result = nn.Conv2d(conv.in_channels, 4 * conv.out_channels, 2, padding=1, bias=conv.bias is not None)
    result.weight.data = torch.cat(kernels).float()
    if conv.bias is not None:
        result.bias.data = conv.bias.detach().repeat(4)  # type: ignore[union-attr]
    return result


def _interleaved(phases: Tensor) -> Tensor:
    """1×4C×(h + 1)×(w + 1), the result of `_doubling` → 1×C×2h×2w."""
    channels, rows, columns = phases.shape[1] // 4, phases.shape[2] - 1, phases.shape[3] - 1
    size = (1, channels, 2 * rows, 2 * columns)
    out = torch.empty(size, dtype=phases.dtype, memory_format=torch.channels_last)
    for index, (row, column) in enumerate(_PHASES):
        phase = phases[:, index * channels : (index + 1) * channels]
        out[:, :, row::2, column::2] = phase[:, :, row : row + rows, column : column + columns]
    return out


class LastConvolution:
    """The last 3 × 3 convolution, in float32: in bfloat16 it would lose more precision than all others
    together."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._outputs = conv.out_channels
        weight = conv.weight.detach().float()
        self._taps = weight.permute(2, 3, 0, 1).reshape(-1, conv.in_channels).contiguous()
        """(9 · out, in): the products of one pixel, tap by tap."""
        self._bias = None if conv.bias is None else conv.bias.detach().float()[:, None, None]

    def __call__(self, x: Tensor) -> Tensor:
        """1×in×H×W of any dtype → 1×out×H×W float32."""
        rows, columns = x.shape[2:]
        pixels = x[0].permute(1, 2, 0).reshape(-1, x.shape[1])
        products = torch.empty((self._taps.shape[0], rows * columns))
        for start in range(0, rows * columns, PRODUCT_PIXELS):
            part = slice(start, start + PRODUCT_PIXELS)
            torch.mm(self._taps, pixels[part].float().T, out=products[:, part])
        products = products.view(3, 3, self._outputs, rows, columns)
        out = products[1, 1] if self._bias is None else products[1, 1] + self._bias
        for down in range(3):
            for across in range(3):
                if (down, across) != (1, 1):
                    here, there = _shifted(down - 1, rows), _shifted(across - 1, columns)
                    out[:, here[0], there[0]] += products[down, across][:, here[1], there[1]]
        return out[None]


def _shifted(offset: int, length: int) -> tuple[slice, slice]:
    """Along one axis: where the products of a tap at `offset` are added, and where they are taken from."""
    here = slice(max(-offset, 0), length - max(offset, 0))
    return here, slice(max(offset, 0), length - max(-offset, 0))
