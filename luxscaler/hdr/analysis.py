"""What the estimate of the gain sees of an SDR picture: a small map of it, and statistics of the whole.

The picture is first reduced, in light and by whole blocks, to at most `SIDE` pixels a side, so that a
picture, its tiles and its reductions show nearly the same and the cost does not grow with the picture. Of
the reduction:

- a **map** of `CELLS` × `CELLS` cells, whatever the picture's proportions: mean codes, how much of a cell
  is at white or nearly, and how much codes vary inside it;
- **histograms** of the codes of the strongest and of the weakest channel and of luminance;
- **by bands of brightness**: how much neighbours and neighbourhoods differ there, relative to the whole
  picture, and how colourful it is. Nature has about as much contrast at every brightness; a clip leaves it
  alone, a camera's shoulder takes it away, and a local tone map (a phone's) gives the bright parts more.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.color import LUMINANCE_WEIGHTS
from luxscaler.color_torch import encode_srgb
from luxscaler.geometry import NO_WRAP, Wrap

SIDE = 256
"""Most pixels a side of what is analysed."""
CELLS = 64
"""Cells of the map in each direction."""
MAP_PLANES = 7
AT_WHITE, NEAR_WHITE = 253.5 / 255, 235.0 / 255
"""Codes of the strongest channel from which on a pixel counts as at white and as near it. In the reduction
a pixel is a mean, so that one at white was white all over."""
EVEN_BINS, TOP_BINS = 28, (0.985, 0.995)
"""Bins of the histograms: even ones from 0 to 1, and what lies from these codes on, which the last even
one lacks."""
BAND_EDGES = (32, 56, 80, 104, 128, 152, 176, 200, 220, 235, 248)
"""8-bit codes of luminance between the bands of brightness."""
STATISTICS = 3 * (EVEN_BINS + len(TOP_BINS)) + 4 * (len(BAND_EDGES) + 1) + 3
NEIGHBOURHOOD = 9
"""Pixels, a side, of the neighbourhoods whose contrast is measured."""
FEW = 3e-4
"""Added to shares, so that a rare thing says little and its logarithm is finite."""
FEW_IN_BAND = 0.003
"""Share of the picture below which a band is described mostly by the whole picture."""
FLOOR = 0.02
"""Code, of 1, added before logarithms: the depth of shadows is noise."""


@dataclass(frozen=True)
class Analysis:
    """What the network is given of one picture; float32 on the CPU, finite for every picture."""

    cells: Tensor
    """(MAP_PLANES, CELLS, CELLS): mean codes of R, G, B, shares at and near white, four times the
    deviation of the luminance code, mean code of the strongest channel; all in [0, 2]."""
    statistics: Tensor
    """(STATISTICS,): three histograms, four numbers of each band, three of the whole."""


def analyse(rgb: Tensor, white: float, wrap: Wrap = NO_WRAP) -> Analysis:
    """Analyse a whole picture.

    rgb: (H, W, 3) float, linear light, any size and device; NaN counts as black. white: the linear value that
    becomes code 1, above 0; light outside [0, white] is clipped. wrap: the axes along which opposite edges
    are neighbours.
    """
    codes = _codes(_reduced(rgb), white)
    luma = _luma(codes)
    top, low = codes.amax(0), codes.amin(0)
    statistics = torch.cat(
        [*(_histogram(plane) for plane in (top, luma, low)), _by_brightness(top, low, luma, wrap)]
    )
    return Analysis(_cells(codes, luma, top), statistics)


def _reduced(rgb: Tensor) -> Tensor:
    """(3, h, w) float32 on the CPU, at most SIDE a side: means of square blocks, smaller ones at the far
    edges."""
    block = math.ceil(max(rgb.shape[:2]) / SIDE)
    return _block_means(_block_means(rgb, block, 0), block, 1).permute(2, 0, 1).float().cpu()


def _block_means(plane: Tensor, block: int, dim: int) -> Tensor:
    """Means of blocks along one dimension; the last block may be smaller.

    Strided sums take an eighth of the time of torch's pooling, which walks (H, W, 3) channel by channel.
    """
    if block == 1:
        return plane
    whole = plane.shape[dim] // block * block
    parts = []
    if whole:
        step = (slice(None),) * dim
        total = plane[(*step, slice(0, whole, block))].clone()
        for start in range(1, block):
            total += plane[(*step, slice(start, whole, block))]
        parts.append(total.div_(block))
    if whole < plane.shape[dim]:
        parts.append(plane.narrow(dim, whole, plane.shape[dim] - whole).mean(dim, keepdim=True))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _codes(light: Tensor, white: float) -> Tensor:
    return encode_srgb((light / white).nan_to_num(0.0).clamp(0.0, 1.0))


def _luma(codes: Tensor) -> Tensor:
    """Weighted mean of the codes of (3, h, w)."""
    red, green, blue = LUMINANCE_WEIGHTS
    return codes[0] * red + codes[1] * green + codes[2] * blue


def _cells(codes: Tensor, luma: Tensor, top: Tensor) -> Tensor:
    planes = torch.cat(
        [codes, torch.stack([top >= AT_WHITE, top >= NEAR_WHITE]).float(), torch.stack([luma**2, top, luma])]
    )
    pooled = F.adaptive_avg_pool2d(planes, CELLS)
    deviation = (pooled[5] - pooled[7] ** 2).clamp(min=0.0).sqrt()
    return torch.cat([pooled[:5], 4.0 * deviation[None], pooled[6:7]])


def _histogram(plane: Tensor) -> Tensor:
    """Logarithms of the shares of the bins, scaled to about [-1, 1]."""
    count = torch.histc(plane, EVEN_BINS, 0.0, 1.0)
    top = torch.stack([(plane >= code).sum() for code in TOP_BINS]).float()
    count[-1] -= top[0]
    top[:-1] -= top[1:].clone()
    return (torch.cat([count, top]) / plane.numel() + FEW).log() / 4.0 + 1.0


def _by_brightness(top: Tensor, low: Tensor, luma: Tensor, wrap: Wrap) -> Tensor:
    log = (luma + FLOOR).log()
    across, down = (log.roll(-1, 1) - log).abs(), (log.roll(-1, 0) - log).abs()
    if not wrap.x:
        across[:, -1] = 0.0
    if not wrap.y:
        down[-1] = 0.0
    beside = across + down
    around = (log - _mean_around(log, wrap)).abs()
    colour = (top - low) / (top + FLOOR)
    tint = top - luma
    edges = torch.tensor([code / 255 for code in BAND_EDGES])
    band = torch.bucketize(luma, edges, right=True).flatten()
    count = torch.bincount(band, minlength=len(edges) + 1).float()
    usual = luma.numel() * FEW_IN_BAND

    def mean(plane: Tensor) -> Tensor:
        total = torch.bincount(band, plane.flatten(), len(edges) + 1)
        return (total + plane.mean() * usual) / (count + usual)

    def relative(plane: Tensor) -> Tensor:
        return ((mean(plane) + 0.003) / (plane.mean() + 0.003)).log() * 0.5

    whole = torch.stack([beside.mean() * 5.0, around.mean() * 5.0, colour.mean() * 2.0])
    bands = [relative(beside), relative(around), (mean(colour) - 0.25) * 2.0, mean(tint) * 2.0]
    return torch.cat([*bands, whole])


def _mean_around(plane: Tensor, wrap: Wrap) -> Tensor:
    half = NEIGHBOURHOOD // 2
    padded = plane[None, None]
    for wraps, sides, dim in ((wrap.x, (half, half, 0, 0), 1), (wrap.y, (0, 0, half, half), 0)):
        is_long = plane.shape[dim] >= half  # circular padding takes no more than there is
        padded = F.pad(padded, sides, mode="circular" if wraps and is_long else "replicate")
    rows = F.avg_pool2d(padded, (NEIGHBOURHOOD, 1), stride=1)
    return F.avg_pool2d(rows, (1, NEIGHBOURHOOD), stride=1)[0, 0]
