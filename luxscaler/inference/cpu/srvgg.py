"""SRVGGNetCompact on a CPU, a band of rows at a time, so that each layer's output is still in the cache.

Layer by layer, each layer of 64 channels would be a new tensor of 134 MB (1024², bfloat16), whose page faults
took longer than the convolutions. Here a band of rows goes through all layers before the next one. A 3 × 3
convolution reads one row ahead, so each layer is a row behind the one before it and keeps the last two rows
of its input; nothing is computed twice, and memory does not grow with the picture's height.

A small picture is one band and needs no buffers: oneDNN pads it with zeros. The enlarged input is added in
float32 even if the layers are bfloat16. The network that is passed in is not changed.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cpu.huge_pages import huge_zeros
from luxscaler.inference.cpu.wavefront import Bands
from luxscaler.networks.srvgg import SRVGGNetCompact

TARGET_PIXELS = 32768
"""Pixels of a band (docs/experiments.md)."""
WHOLE_PIXELS = 65536
"""Pixels of the largest picture that is a single band: for it, copies into buffers take more time than they
save."""
_SLOPES = 64
"""Pixels over which PReLU's slopes are repeated: PReLU over one pixel's channels at a time is slower."""


class FastSRVGG:
    """The same function as the network, up to rounding; in bfloat16 it rounds less often than the network
    does."""

    def __init__(self, network: SRVGGNetCompact, dtype: torch.dtype) -> None:
        self.config = network.config
        self._dtype = dtype
        modules = list(network.body)
        self._layers = [
            _ActivatedConvolution(conv, modules[index + 1] if index + 1 < len(modules) else None, dtype)
            for index, conv in enumerate(modules)
            if isinstance(conv, nn.Conv2d)
        ]

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32.

        `step` is called after each layer with the share of layers done, or after each band with the share of
        rows started.
        """
        height, width = x.shape[2:]
        scale = self.config.scale
        out = huge_zeros((1, self.config.out_channels, scale * height, scale * width), torch.float32)
        if height * width <= WHOLE_PIXELS:
            made = x[0].permute(1, 2, 0).to(self._dtype).contiguous()
            for index, layer in enumerate(self._layers):
                made = layer(made, padding=1)
                if step is not None:
                    step((index + 1) / len(self._layers))
            _enlarge(made, x[0], out[0])
        else:
            self._in_bands(x, out, step)
        return out

    def _in_bands(self, x: Tensor, out: Tensor, step: Callable[[float], None] | None) -> None:
        height, width = x.shape[2:]
        scale = self.config.scale
        # The last band gains a row in each layer, which the choice of the height allows for.
        rows = Bands.cut(height + len(self._layers) - 1, TARGET_PIXELS // width).height
        windows = self._windows(rows, height, width)
        done = 0
        for start in range(0, height, rows):
            piece = x[0, :, start : start + rows].permute(1, 2, 0)
            found = self._through(piece, windows)
            if found is not None:
                stop = done + found.shape[0]
                _enlarge(found, x[0, :, done:stop], out[0, :, scale * done : scale * stop])
                done = stop
            if step is not None:
                step(min(start + rows, height) / height)

    def _windows(self, rows: int, height: int, width: int) -> "list[_Window]":
        """A window for each layer; all but the first share one buffer, which they use in turn."""
        most = rows + len(self._layers) - 1
        config, dtype = self.config, self._dtype
        picture = torch.zeros((rows + 3, width + 2, config.in_channels), dtype=dtype)
        shared = huge_zeros((most + 3, width + 2, config.features), dtype)
        return [_Window(shared if index else picture, height) for index in range(len(self._layers))]

    def _through(self, rows: Tensor, windows: "list[_Window]") -> Tensor | None:
        """The next rows of the picture, (n, W, in) → the rows that the last layer can now compute, (m, W,
        out), or None."""
        for layer, window in zip(self._layers, windows, strict=True):
            seen = window.with_next(rows)
            if seen.shape[0] < 3:
                return None
            rows = layer(seen)
        return rows


class _Window:
    """A layer's input: rows kept from the last band, then the next ones, with zeros around the picture."""

    def __init__(self, buffer: Tensor, height: int) -> None:
        """buffer: (n + 3, W + 2, C), its outer columns zero. height: rows of the whole picture."""
        self._buffer = buffer
        self._left = height
        self._held = torch.zeros_like(buffer[:1])
        """At most two rows; the first one is above the picture."""

    def with_next(self, rows: Tensor) -> Tensor:
        """The next rows, (n, W, C) → the input for m rows of output, (m + 2, W + 2, C).

        It is valid until the buffer's next use.
        """
        first, last = 2 - self._held.shape[0], 2 + rows.shape[0]
        self._buffer[2:last, 1:-1] = rows
        self._buffer[first:2] = self._held
        self._left -= rows.shape[0]
        if self._left == 0:
            self._buffer[last] = 0.0  # below the picture
            last += 1
        self._held = self._buffer[max(last - 2, first) : last].clone()
        return self._buffer[first:last]


class _ActivatedConvolution:
    """A convolution and its activation in one dtype."""

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None, dtype: torch.dtype) -> None:
        self._weight = conv.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self._bias = None if conv.bias is None else conv.bias.detach().to(dtype)
        self._slopes: Tensor | None = None
        self._slope = 1.0
        if isinstance(activation, nn.PReLU):
            self._slopes = activation.weight.detach().to(dtype).repeat(_SLOPES)
        elif activation is not None:
            self._slope = activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 0.0

    def __call__(self, x: Tensor, padding: int = 0) -> Tensor:
        """(rows + 2, W + 2, in) → (rows, W, out); with a padding of 1, (rows, W, in) → (rows, W, out)."""
        made = F.conv2d(x.permute(2, 0, 1)[None], self._weight, self._bias, padding=padding)
        made = made[0].permute(1, 2, 0)
        if self._slopes is not None:
            length = math.gcd(made.shape[0] * made.shape[1], _SLOPES) * made.shape[2]
            return F.prelu(made.reshape(-1, length), self._slopes[:length]).view(made.shape)
        return made if self._slope == 1.0 else F.leaky_relu_(made, self._slope)


def _enlarge(detail: Tensor, picture: Tensor, out: Tensor) -> None:
    """Pixel shuffle plus the nearest-enlarged input, written into `out`.

    detail: (h, W, out · n²), each pixel n × n pixels of the result. picture: (in, h, W) float32. out: (out,
    n·h, n·W) float32.
    """
    rows, width = detail.shape[:2]
    scale = out.shape[1] // rows
    pixels = detail.reshape(rows, width, -1, scale, scale).permute(2, 0, 3, 1, 4)
    shape = (out.shape[0], rows, scale, width, scale)
    torch.add(pixels, picture[:, :, None, :, None], out=out.view(shape))
