"""RRDBNet's blocks in float32 with a quarter of the multiplications, by Winograd filtering F(4×4, 3×3).

Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016. The picture is cut into tiles
of 4 × 4 pixels; of each, 6 × 6 pixels are transformed linearly, multiplied with transformed weights and
transformed back. Every step is a matrix product: one over all tiles for a transform, one per transformed
pixel for the layers. The later layers of a dense block reuse the transformed inputs of earlier ones, so that
nothing is concatenated.

Tensors of a band of tile rows, channels c, tiles t = (tile row, tile column):
    centre  (16, c, t)   the 4 × 4 pixels of each tile, pixel by pixel
    around  (36, c, t)   with the pixels around it, in the order of `_ORDER`
    V, M    (36, c, t)   transformed

Only PyTorch's matrix products are used, so this runs on any processor. Rounding differs from a direct
convolution; docs/experiments.md has measured differences.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.inference.cpu.wavefront import LEVELS, SPREAD_BANDS, Bands, run_wavefront
from luxscaler.networks.rrdb import LEAK, RESIDUAL_SCALE, RRDB, ResidualDenseBlock, RRDBNet

POINTS = (0.0, 1.0, -1.0, 2.0, -2.0)
"""Where the polynomials are evaluated, besides infinity; the bias needs 1 among them."""
TILE = 4
SEEN = TILE + 2
TARGET_TILES = 256
"""Tiles of a band: the transformed pixels of 192 channels then fit into a processor's second-level cache."""
KEEP_PIXELS = 512 * 512
"""Pixels of the largest picture for which transformed weights are kept (266 MB for RealESRGAN_x4plus). For
larger ones memory is scarcer, and transforming them again takes little of the time."""
_ROWS = (1, 2, 3, 4, 0, 5)
_ORDER = (
    *((row, column) for row in _ROWS for column in (1, 2, 3, 4)),
    *((row, 0) for row in _ROWS),
    *((row, 5) for row in _ROWS),
)
"""(row, column) of the 36 pixels around a tile: its own 16, the rows above and below, the columns beside."""
_BIAS = POINTS.index(1.0) * SEEN + POINTS.index(1.0)
"""The transformed pixel that enters each of the 16 results with weight 1, where the bias is added."""


def matrices(points: Sequence[float] = POINTS) -> tuple[Tensor, Tensor, Tensor]:
    """Toom and Cook's matrices (Aᵀ 4×6, G 6×3, Bᵀ 6×6), float64: Aᵀ((G g) · (Bᵀ d)) is d filtered with g."""
    back, kernel, forth = (
        torch.zeros(rows, columns, dtype=torch.float64) for rows, columns in ((4, 6), (6, 3), (6, 6))
    )
    for index, point in enumerate(points):
        others = [other for other in points if other != point]
        scale = 1.0
        for other in others:
            scale *= point - other
        back[:, index] = torch.tensor([point**power for power in range(4)], dtype=torch.float64)
        kernel[index] = torch.tensor([point**power / scale for power in range(3)], dtype=torch.float64)
        forth[index, :5] = _product(others)
    back[3, 5] = kernel[5, 2] = 1.0
    forth[5] = _product(points)
    return back, kernel, forth


def _product(roots: Sequence[float]) -> Tensor:
    """Coefficients of the polynomial with these roots, lowest power first, float64."""
    result = torch.ones(1, dtype=torch.float64)
    for root in roots:
        result = F.pad(result, (1, 0)) - root * F.pad(result, (0, 1))
    return result


_BACK, _KERNEL, _FORTH = matrices()
_INVERSE = torch.kron(_BACK, _BACK).float()
"""(16, 36): a transformed tile → its pixels."""
_FORWARD = torch.kron(_FORTH, _FORTH)[:, [row * SEEN + column for row, column in _ORDER]].float().contiguous()
"""(36, 36): the pixels around a tile → the transformed tile."""


class _WinogradConvolution:
    """One convolution; its transformed weights, four times as large, exist only while needed."""

    def __init__(self, weight: Tensor, bias: Tensor | None, scale: float = 1.0) -> None:
        self._plain, self._scale = weight.detach(), scale
        self._kernel: Tensor | None = None
        self.bias = None if bias is None else (bias.detach().double() * scale).float()[:, None]

    def prepare(self) -> Tensor:
        """The transformed weights (36, out, in); kept until `forget`."""
        if self._kernel is None:
            outputs, inputs = self._plain.shape[:2]
            kernel = torch.kron(_KERNEL, _KERNEL) @ self._plain.double().reshape(-1, 9).T * self._scale
            self._kernel = kernel.reshape(SEEN * SEEN, outputs, inputs).float().contiguous()
        return self._kernel

    def forget(self) -> None:
        """Free the transformed weights."""
        self._kernel = None

    def transformed(self, inputs: Tensor, out: Tensor) -> Tensor:
        """V (36, in, t) → M (36, out, t), the bias included; `out` is a flat buffer."""
        weight = self.prepare()
        count = SEEN * SEEN * weight.shape[1] * inputs.shape[2]
        result = out[:count].view(SEEN * SEEN, weight.shape[1], inputs.shape[2])
        torch.bmm(weight, inputs[:, : weight.shape[2]], out=result)
        if self.bias is not None:
            result[_BIAS] += self.bias
        return result.view(SEEN * SEEN, -1)


class WinogradTrunk:
    """The blocks of a loaded RRDBNet, prepared for float32; the network itself is not changed."""

    def __init__(self, network: RRDBNet) -> None:
        self._features, self._growth = network.config.features, network.config.growth
        self._blocks = [_dense_blocks(block) for block in network.body if isinstance(block, RRDB)]

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> "TiledPicture":
        """1×features×H×W float32 → the blocks' output, in tiles; step: as in RRDBNet.extract."""
        return self.run(TiledPicture.of(x), step)

    @staticmethod
    def cut(x: Tensor) -> "TiledPicture":
        """1×features×H×W float32 in the form that `run` takes; `x` may be freed afterwards."""
        return TiledPicture.of(x)

    def run(self, picture: "TiledPicture", step: Callable[[float], None] | None = None) -> "TiledPicture":
        """Run all blocks on the picture, in place; returns it."""
        pass_ = _Pass(picture, self._features, self._growth)
        keep = picture.height * picture.width <= KEEP_PIXELS
        before = torch.empty_like(picture.centre)
        for index, block in enumerate(self._blocks):
            before.copy_(picture.centre)
            for layers in block:
                pass_.run(layers)
                if not keep:
                    for layer in layers:
                        layer.forget()
            # In place: before + RESIDUAL_SCALE · after
            picture.centre.mul_(RESIDUAL_SCALE).add_(before)
            if step is not None:
                step((index + 1) / len(self._blocks))
        return picture


def _dense_blocks(block: RRDB) -> list[list[_WinogradConvolution]]:
    return [_layers(dense) for dense in (block.rdb1, block.rdb2, block.rdb3)]


def _layers(dense: ResidualDenseBlock) -> list[_WinogradConvolution]:
    convolutions = (dense.conv1, dense.conv2, dense.conv3, dense.conv4, dense.conv5)
    scales = (1.0, 1.0, 1.0, 1.0, RESIDUAL_SCALE)
    return [
        _WinogradConvolution(conv.weight, conv.bias, scale)
        for conv, scale in zip(convolutions, scales, strict=True)
    ]


class TiledPicture:
    """A picture of float32 channels as bands of 4 × 4 tiles; pixels of tiles beyond its edges are zero."""

    def __init__(self, centre: Tensor, bands: Bands, height: int, width: int) -> None:
        self.centre = centre
        """(bands, 16, channels, tile rows of a band, tile columns)."""
        self.bands = bands
        self.height, self.width = height, width

    @staticmethod
    def of(x: Tensor) -> "TiledPicture":
        """The picture in a 1×C×H×W tensor, copied."""
        channels, height, width = x.shape[1:]
        columns = -(-width // TILE)
        bands = Bands.cut(-(-height // TILE), TARGET_TILES // columns)
        centre = x.new_zeros((bands.count, TILE * TILE, channels, bands.height, columns))
        for band in range(bands.count):
            first = band * bands.height * TILE
            piece = x[0, :, first : first + bands.height * TILE]
            piece = F.pad(piece, (0, columns * TILE - width, 0, bands.height * TILE - piece.shape[1]))
            tiles = piece.reshape(channels, bands.height, TILE, columns, TILE).permute(2, 4, 0, 1, 3)
            centre[band].view(TILE, TILE, channels, bands.height, columns).copy_(tiles)
        return TiledPicture(centre, bands, height, width)

    def rows(self, start: int, stop: int) -> Tensor:
        """Rows [start, stop) as 1×C×(stop − start)×W."""
        per_band = self.bands.height * TILE
        first, last = start // per_band, -(-stop // per_band)
        _, _, channels, rows, columns = self.centre.shape
        tiles = self.centre[first:last].view(last - first, TILE, TILE, channels, rows, columns)
        flat = tiles.permute(3, 0, 4, 1, 5, 2).reshape(channels, -1, columns * TILE)
        skip = first * per_band
        return flat[None, :, start - skip : stop - skip, : self.width]


class _Pass:
    """The buffers of a dense block on one picture, and the block itself."""

    def __init__(self, picture: TiledPicture, features: int, growth: int) -> None:
        self._picture, self._bands = picture, picture.bands
        self._starts = [0, *(features + growth * index for index in range(LEVELS))]
        rows, columns = picture.centre.shape[3:]
        tiles, slots = rows * columns, self._bands.slots
        self._near = min(self._bands.count, SPREAD_BANDS)
        new = picture.centre.new_zeros
        channels = (features, *[growth] * (LEVELS - 1))
        # Zeros: the margin beyond the left and right edge is never written.
        self._around = [new((self._near, SEEN * SEEN, count, rows, columns)) for count in channels]
        self._seen = new((slots, SEEN * SEEN, self._starts[-1], tiles))
        self._scratch = new((SEEN * SEEN * max(features, growth) * tiles,))
        self._layers: list[_WinogradConvolution] = []

    def run(self, layers: list[_WinogradConvolution]) -> None:
        """Replace the picture by the dense block's output."""
        self._layers = layers
        run_wavefront(self._bands.count, self._make, self._spread)

    def _make(self, level: int, band: int) -> None:
        """Compute the pixels of source `level` on a band; at the last level, the result in the picture."""
        picture = self._picture.centre[band]
        if level == 0:
            self._around[0][band % self._near, : TILE * TILE] = picture
            return
        seen = self._seen[band % self._bands.slots]
        found = self._layers[level - 1].transformed(seen, self._scratch)
        if level == LEVELS:
            flat = picture.view(TILE * TILE, -1)
            torch.addmm(flat, _INVERSE, found, out=flat)
        else:
            picture = self._around[level][band % self._near, : TILE * TILE]
            torch.mm(_INVERSE, found, out=picture.view(TILE * TILE, -1))
            F.leaky_relu_(picture, LEAK)
        self._clear_beyond(picture, band)

    def _clear_beyond(self, centre: Tensor, band: int) -> None:
        """Set pixels beyond the picture's right and lower edges to zero, like padding."""
        rows, columns = centre.shape[2:]
        pixels = centre.view(TILE, TILE, -1, rows, columns)
        within = self._picture.width - TILE * (columns - 1)
        if within < TILE:
            pixels[:, within:, ..., -1] = 0.0
        left = self._picture.height - band * rows * TILE
        if left < rows * TILE:
            for row in range(TILE):
                pixels[row, ..., -((row - left) // TILE) :, :] = 0.0

    def _spread(self, level: int, band: int) -> None:
        """Transform source `level` on a band, once its neighbours are computed too."""
        source, slots = self._around[level], self._near
        around = source[band % slots]
        grid = around[:24].view(SEEN, TILE, *around.shape[1:])  # rows of _ROWS × the tile's columns
        above = source[(band - 1) % slots, 12:16, :, -1] if band > 0 else None
        below = source[(band + 1) % slots, :4, :, 0] if band + 1 < self._bands.count else None
        grid[4, :, :, 1:] = grid[3, :, :, :-1]
        grid[5, :, :, :-1] = grid[0, :, :, 1:]
        grid[4, :, :, 0] = 0.0 if above is None else above
        grid[5, :, :, -1] = 0.0 if below is None else below
        around[24:30, ..., 1:] = grid[:, 3, ..., :-1]
        around[30:36, ..., :-1] = grid[:, 0, ..., 1:]
        start, stop = self._starts[level : level + 2] if level else (0, self._starts[1])
        target = self._seen[band % self._bands.slots, :, start:stop].flatten(1)
        torch.mm(_FORWARD, around.view(SEEN * SEEN, -1), out=target)
