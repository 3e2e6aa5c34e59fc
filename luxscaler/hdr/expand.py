"""hdr_boost: lifts highlights and leaves the rest alone.

The gain depends on m = max(R, G, B), sRGB-coded relative to the picture's white, through one curve for the
whole picture (curve.py), so that all of its tiles agree; below the knee it is exactly 1. One gain for
all three channels keeps the hue. Large areas at white, where the picture holds nothing, rise from their
edges to a dome whose top is the ceiling, `hdr_boost`; small lights reach it as they are. What rises above
SDR white is an estimate: SDR pictures do not hold it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.color_torch import decode_number, encode_power_
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.curve import FITTED_BOOST, FULL_CURVE, KNOT_CODES, ToneCurve, estimate, probabilities
from luxscaler.hdr.dequantize import RADIUS, dequantized
from luxscaler.hdr.features import clues
from luxscaler.hdr.fitted import CLIP
from luxscaler.options import check_boost

KNEE = KNOT_CODES[0]
"""Where the gain starts, in sRGB code values of white (linear 0.216 for a white of 1)."""
SDR_PEAK = 2.0
"""A peak from 1 to this comes from colours outside Rec.709: the white of such a picture is still 1."""
AT_WHITE = 254.5 / 255
"""Code from which on a pixel counts as clipped: what 8 bits round to 255."""
NEAR_WHITE = 0.97
"""Code from which on a dome takes hold, smoothly up to `AT_WHITE`."""
DOME_SIDE = 256
"""Longest side, in pixels, of the small map on which domes are built."""
DOME_EDGE, DOME_POWER = 0.15, 20.0
"""A dome over a clipped area has its body at this share of the largest distance from an edge, and above it
rises to its top with this power: real pictures are brighter towards the middle of such areas, but rarely
much (docs/experiments.md)."""
SMALL_SHARE = 0.004
"""Where clipped areas cover less than about this, what is at white are lights, and they reach the ceiling."""
ROWS, DEVICE_ROWS = 256, 2048
"""Rows done at once, on the CPU and elsewhere, so that temporaries stay small beside the picture. A device
takes more: each band costs it a hundred launches and four waits for a number, however small it is."""


@dataclass(frozen=True)
class ToneStatistics:
    """What the expansion needs to know of the whole picture; the same for all of its tiles."""

    peak: float
    """The linear value that counts as the picture's white, 1.0 = SDR white."""
    curve: ToneCurve = FULL_CURVE
    clipped: float = 0.0
    """How surely the picture was clipped hard rather than bent, 0 to 1."""
    dome: Tensor | None = None
    """`dome_map` of the whole picture at a small size."""

    @staticmethod
    def of(rgb: Tensor) -> "ToneStatistics":
        """Statistics of (H, W, 3) float32 linear light, the whole picture at any size."""
        white = white_of(rgb)
        if white <= 0.0:
            return ToneStatistics(0.0)
        areas = clipped_areas(rgb, white)
        seen = clues(rgb, white)
        curve = estimate(seen, few_lights(areas))
        return ToneStatistics(white, curve, probabilities(seen)[CLIP], dome_map(areas))


def white_of(rgb: Tensor) -> float:
    """The linear value that counts as the white of (H, W, 3) float32 linear light; 0 if all is black."""
    peak = max(float(rgb.max()), 0.0)
    return 1.0 if 1.0 <= peak < SDR_PEAK else peak


def few_lights(areas: Tensor) -> float:
    """How surely what is at white are lights, 0 to 1, from `clipped_areas`."""
    return math.exp(-float(areas.mean()) / SMALL_SHARE)


def clipped_areas(rgb: Tensor, white: float) -> Tensor:
    """Where most of a neighbourhood is clipped: (H, W, 3) linear → at most DOME_SIDE a side, 0 or 1."""
    clipped = rgb.amax(dim=2) >= decode_number(AT_WHITE) * white
    height, width = clipped.shape
    ratio = min(1.0, DOME_SIDE / max(height, width))
    size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
    area = F.interpolate(clipped[None, None].float(), size, mode="area")[0, 0]
    return (area > 0.5).float()


def dome_map(areas: Tensor) -> Tensor | None:
    """Domes over the clipped areas, (h, w) of 0 and 1 → (2, h, w) in [0, 1]; None where there are none.

    First how near an area is (1 inside and beside it), then how deep inside: the distance from the edge,
    counted in erosions by a 3 × 3 square, relative to the largest in the picture.
    """
    left = areas[None, None]
    near = F.max_pool2d(left, 5, stride=1, padding=2)
    depth = torch.zeros_like(left)
    while bool(left.any()):
        depth += left
        if bool(left.all()):  # all of the picture is clipped: no edge is in sight
            break
        left = -F.max_pool2d(F.pad(-left, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    if float(depth.max()) == 0.0:
        return None
    depth = _blurred(_blurred(depth))
    return torch.cat((_blurred(near), depth / depth.max()), dim=1)[0]


def _blurred(plane: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def gain(brightest: Tensor, boost: float, statistics: ToneStatistics, dome: Tensor | None = None) -> Tensor:
    """The factor, 1 to `boost`, for pixels whose largest channel is `brightest` (linear, any shape).

    dome: (2, *the same shape): `dome_map` there.
    """
    # The straight segment lies far below the knee.
    code = encode_power_((brightest / statistics.peak).clamp_(min=0.0))
    rise = statistics.curve.at(code)
    if dome is not None:
        near, depth = dome
        white = _smooth((code - NEAR_WHITE) / (AT_WHITE - NEAR_WHITE))
        # What a hard clip left flat begins, at its edge, with what is beside it.
        edge = float(statistics.curve.at(torch.tensor(NEAR_WHITE, dtype=torch.float64)))
        body = edge + (statistics.curve.log_gains[-1] - edge) * _smooth(depth / DOME_EDGE)
        rise = torch.lerp(rise, body, white * near * statistics.clipped)
        rise = rise + (math.log(FITTED_BOOST) - rise) * (white * depth**DOME_POWER)
    return rise.mul_(math.log(boost) / math.log(FITTED_BOOST)).exp_()


def _smooth(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, a cubic without a corner between."""
    x = x.clamp(0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


@torch.inference_mode()
def expand(
    rgb: Tensor,
    boost: float,
    statistics: ToneStatistics,
    box: TileBox | None = WHOLE,
    *,
    in_place: bool = False,
) -> Tensor:
    """Expand the dynamic range by the factor `boost`.

    rgb: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white. The strongest highlight of the picture goes to
    boost × statistics.peak (a peak of 1.0, the usual one, to `boost`); the knee and what is below it stay
    bit for bit. box: where `rgb` sits in the picture that the statistics are of; None: unknown, and then
    there are no domes. in_place: the result replaces `rgb`, which saves a picture's memory. Returns a new
    tensor, or `rgb` itself when boost is 1. Raises InputError for a boost outside [1, 49].
    """
    check_boost(boost)
    if boost == 1.0 or statistics.peak <= 0.0:
        return rgb
    out = rgb if in_place else torch.empty_like(rgb)
    height, width = rgb.shape[:2]
    knee = decode_number(KNEE) * statistics.peak
    domes = None if statistics.dome is None or box is None else statistics.dome.to(rgb)
    above = rgb.new_empty((0, width))  # `brightest` of the rows above a band: they may be overwritten
    step = ROWS if rgb.device.type == "cpu" else DEVICE_ROWS
    for start in range(0, height, step):
        band = rgb[start : start + step]
        dome = None
        if domes is not None and box is not None:
            dome = _sampled(domes, box, (start, start + band.shape[0]), height, width)
        brightest = band.amax(dim=2)
        lit = brightest > knee  # rarely more than a third of a picture
        factors = torch.ones_like(brightest)
        if bool(lit.any()):
            below = rgb[start + step : start + step + RADIUS].amax(dim=2)
            around = torch.cat((above, brightest, below))
            likely = dequantized(around)[len(above) : len(above) + len(band)]
            factors[lit] = gain(likely[lit], boost, statistics, None if dome is None else dome[:, lit])
        torch.mul(band, factors[..., None], out=out[start : start + step])
        above = brightest[-RADIUS:]
    return out


def _sampled(dome: Tensor, box: TileBox, rows: tuple[int, int], height: int, width: int) -> Tensor:
    """(2, rows, width) of the map for rows of a tile of height × width that sits at `box`: bilinear."""
    y = (torch.arange(*rows, device=dome.device, dtype=dome.dtype) + 0.5) / height * box.height + box.y
    x = (torch.arange(width, device=dome.device, dtype=dome.dtype) + 0.5) / width * box.width + box.x
    grid = torch.stack(torch.meshgrid(y * 2.0 - 1.0, x * 2.0 - 1.0, indexing="ij")[::-1], dim=-1)
    sampled = F.grid_sample(dome[None], grid[None], padding_mode="border", align_corners=False)
    return sampled[0]
