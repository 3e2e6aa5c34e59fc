"""What an SDR picture shows of how it was rendered: 24 numbers that tell renderings apart.

A hard clip, a camera's shoulder and a film curve leave different traces, most of them near white:

- how many pixels lie above some codes and in some bands of codes;
- how much neighbours differ there: nature has about as much contrast at every brightness, a clip leaves it
  alone, a shoulder takes it away;
- how the weakest channel follows the strongest where light changes: a curve for each channel bends the lines
  on which colours mix (Lin, Gu, Yamazaki and Shum, "Radiometric calibration from a single image", CVPR 2004);
- how pale bright pixels are: such a curve washes them out;
- how abruptly areas at white begin.

The whole picture is analysed, at no more than SIDE pixels a side and in 8-bit codes, so that a picture and
its reduction show nearly the same.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.color_torch import decode_srgb, encode_srgb

SIDE = 512
"""Longest side, in pixels, of what is analysed: the size that the coefficients were fitted to."""
TOP_CODES, MIDDLE_CODES, LOW_CODES = (118, 190, 230, 248, 255), (190, 210), (190, 230)
"""8-bit codes of the strongest, the second and the weakest channel: the share of pixels from each upwards."""
DENSITY_BANDS = ((64, 96), (96, 128), (196, 214))
CONTRAST_BANDS = ((96, 128), (214, 230), (242, 250), (250, 255))
PALE_BANDS = ((64, 96), (230, 242))
LINE_BANDS = ((110, 160), (160, 200), (200, 230))
"""Bands of codes of the strongest channel, or of the mean of two neighbours'; the upper end is exclusive."""
EDGE_DROPS = (8, 24, 64)
"""How many codes below white a pixel lies that touches one at white."""
CLIPPED = 254
"""Code from which on a pixel is at white, for edges: of JPEG, white often comes back as 254."""
NAMES = (
    *(f"top ≥ {code}" for code in TOP_CODES),
    *(f"middle ≥ {code}" for code in MIDDLE_CODES),
    *(f"low ≥ {code}" for code in LOW_CODES),
    *(f"density {low}-{high}" for low, high in DENSITY_BANDS),
    *(f"contrast {low}-{high}" for low, high in CONTRAST_BANDS),
    *(f"pale {low}-{high}" for low, high in PALE_BANDS),
    *(f"line {low}-{high}" for low, high in LINE_BANDS),
    *(f"edge < {drop}" for drop in EDGE_DROPS),
)
"""What the numbers are, in their order."""

# Added to counts, as shares of the pixels, so that rare things say little and logarithms are finite.
FEW_PIXELS, FEW_PAIRS, FEW_EDGES, FEW_CHANGES = 2e-4, 1.5e-4, 6e-5, 2e-6
USUAL_DROPS = (0.3, 0.6, 0.8)
Band = tuple[int, int]


def clues(rgb: Tensor, white: float) -> tuple[float, ...]:
    """The numbers of `NAMES`; finite for every picture.

    rgb: (H, W, 3) float, linear light, any device, a whole picture. white: the linear value that is its code
    255, above 0; values outside [0, white] count as its ends.
    """
    codes = _codes(rgb, white)
    low, middle, top = codes.sort(dim=2).values.unbind(2)
    return (
        *_shares(top, TOP_CODES),
        *_shares(middle, MIDDLE_CODES),
        *_shares(low, LOW_CODES),
        *_densities(top),
        *_contrasts(top),
        *_paleness(top, low),
        *_lines(top, low),
        *_edges(top),
    )


def _codes(rgb: Tensor, white: float) -> Tensor:
    """(h, w, 3) float64 on the CPU, 8-bit sRGB codes as whole numbers, at most SIDE a side."""
    height, width = rgb.shape[:2]
    ratio = SIDE / max(height, width)
    planes = rgb.permute(2, 0, 1)[None].clamp(0.0, white)
    if ratio < 1.0:
        size = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        planes = F.interpolate(planes, size, mode="area")
    light = planes[0].permute(1, 2, 0).cpu().double() / white
    return (encode_srgb(light) * 255).round()


def _log_light(code: Tensor) -> Tensor:
    """Natural logarithm of the linear light of 8-bit codes, white 0; black counts as 0.001."""
    return decode_srgb(code / 255).clamp(min=1e-3).log()


def _pairs(plane: Tensor) -> tuple[Tensor, Tensor]:
    """All neighbours, below one another and side by side: the firsts and the seconds."""
    first = torch.cat([plane[:-1].flatten(), plane[:, :-1].flatten()])
    return first, torch.cat([plane[1:].flatten(), plane[:, 1:].flatten()])


def _within(code: Tensor, band: Band) -> Tensor:
    return (code >= band[0]) & (code < band[1])


def _share(chosen: Tensor, total: int) -> float:
    """The sum of `chosen`, bool or numbers, as a share of `total`, which may be 0."""
    return float(chosen.double().sum()) / max(total, 1)


def _shares(plane: Tensor, codes: Sequence[int]) -> list[float]:
    return [math.log(_share(plane >= code, plane.numel()) + FEW_PIXELS) for code in codes]


def _densities(top: Tensor) -> list[float]:
    return [math.log(_share(_within(top, band), top.numel()) + FEW_PIXELS) for band in DENSITY_BANDS]


def _contrasts(top: Tensor) -> list[float]:
    """Mean log difference of neighbours in a band, relative to that of all brighter than 128."""
    first, second = _pairs(top)
    mean = (first + second) / 2
    step = ((first - second).abs() / mean.clamp(min=1.0) * 255 + 0.5).log()
    bright = _within(mean, (128, 255))
    usual = _share(step[bright], 1) / max(_share(bright, 1), 1.0)
    found = []
    for band in CONTRAST_BANDS:
        inside = _within(mean, band)
        count = _share(inside, len(mean))
        found.append((_share(step[inside], len(mean)) - usual * count) / (count + FEW_PAIRS))
    return found


def _paleness(top: Tensor, low: Tensor) -> list[float]:
    """Mean ratio of the weakest to the strongest channel in a band, in light."""
    ratio = (_log_light(low) - _log_light(top)).exp()
    found = []
    for band in PALE_BANDS:
        inside = _within(top, band)
        count = _share(inside, top.numel())
        found.append((_share(ratio[inside], top.numel()) + FEW_PIXELS / 2) / (count + FEW_PIXELS))
    return found


def _lines(top: Tensor, low: Tensor) -> list[float]:
    """Slope of the weakest channel over the strongest, both logarithmic, between coloured neighbours.

    Shading alone gives 1, a curve that bends the strongest channel more gives more, no evidence gives 0.
    """
    first, second = _pairs(top)
    weak = torch.minimum(*_pairs(low))
    mean, darker, brighter = (first + second) / 2, torch.minimum(first, second), torch.maximum(first, second)
    (top_1, top_2), (low_1, low_2) = _pairs(_log_light(top)), _pairs(_log_light(low))
    rise, follow = top_1 - top_2, low_1 - low_2
    coloured = torch.minimum(low_1 - top_1, low_2 - top_2) < math.log(0.75)
    usable = coloured & (rise.abs() > 0.02) & (rise.abs() < 0.4) & (weak > 15) & (brighter < 253)
    found = []
    for band in LINE_BANDS:
        inside = usable & _within(mean, band) & (darker > band[0] - 15)
        both, own = (_share((rise * by)[inside], len(mean)) for by in (follow, rise))
        found.append(both / (own + FEW_CHANGES))
    return found


def _edges(top: Tensor) -> list[float]:
    """Of pixels that touch white, the share that is less than some codes below it."""
    first, second = _pairs(top)
    below = torch.minimum(first, second)
    at_edge = (torch.maximum(first, second) >= CLIPPED) & (below < CLIPPED)
    count = _share(at_edge, len(first))
    return [
        (_share(at_edge & (255 - below < drop), len(first)) + FEW_EDGES * usual) / (count + FEW_EDGES)
        for drop, usual in zip(EDGE_DROPS, USUAL_DROPS, strict=True)
    ]
