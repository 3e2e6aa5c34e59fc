"""Finds where in the global reference a tile sits, when its box is not given.

Normalised cross-correlation (Lewis, "Fast normalized cross-correlation", Vision Interface 1995) of the
tile's brightness with the reference's, over a ladder of sizes, on small versions of both, then refined on
larger ones. A place is accepted only if it fits well and no other place fits nearly as well; a flat sky
has no place.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.color import LUMINANCE_WEIGHTS
from luxscaler.geometry import WHOLE, TileBox

COARSE_SIDE, FINE_SIDE = 192, 768
"""Longest side of the reference in the coarse and in the fine search, in pixels."""
SMALLEST_SHARE = 1 / 24
"""The smallest tile that is searched for, as a share of the reference's longer side."""
LEAST_SIDE = 8
"""The smallest tile that is searched for, in pixels of the coarse reference."""
COARSE_STEP, FINE_STEP = 1.04, 1.004
"""Ratio of neighbouring sizes in the ladders."""
LEAST_SCORE = 0.85
"""Correlation below which the tile is taken not to be in the reference."""
LEAST_LEAD, LEAST_RATIO = 0.03, 3.0
"""The best other place must fit worse by that much, and leave that many times as much unexplained."""
LEAST_CONTRAST = 0.01
"""Standard deviation, in code values, below which a tile is flat."""


@dataclass(frozen=True)
class _Match:
    score: float
    left: float
    top: float
    width: int
    height: int
    rival: float = -1.0
    """The best score away from this place, over all sizes tried."""


@torch.inference_mode()
def locate(tile: Tensor, reference: Tensor) -> TileBox | None:
    """Find (H, W, 3) linear light `tile` in the linear-light `reference` of the whole master.

    tile, reference: float32 on any device; the search runs on the CPU. Both show the same scene at unknown
    relative size and with the same aspect of pixels; exposure and contrast may differ. Returns None when the
    place is ambiguous or not found.
    """
    seen, whole = _brightness(tile), _brightness(reference)
    coarse, small = _fitted(whole, COARSE_SIDE), _fitted(seen, COARSE_SIDE)
    if float(small.std(correction=0)) < LEAST_CONTRAST:
        return None
    found = _search(small, coarse, _ladder(small, coarse))
    if found is None or found.score < LEAST_SCORE:
        return None
    if 1.0 - found.rival < max(LEAST_RATIO * (1.0 - found.score), 1.0 - found.score + LEAST_LEAD):
        return None
    return _refined(seen, whole, found, coarse)


def _brightness(rgb: Tensor) -> Tensor:
    """(H, W) of roughly perceptual brightness: the square root of luminance (Rec.709 weights)."""
    weights = torch.tensor(LUMINANCE_WEIGHTS)
    return (rgb.float().cpu() @ weights).clamp_(min=0.0).sqrt_()


def _fitted(plane: Tensor, side: int) -> Tensor:
    """Reduced so that the longer side is at most `side`."""
    ratio = side / max(plane.shape)
    if ratio >= 1.0:
        return plane
    return _resized(plane, max(1, round(plane.shape[0] * ratio)), max(1, round(plane.shape[1] * ratio)))


def _resized(plane: Tensor, height: int, width: int) -> Tensor:
    resized = F.interpolate(plane[None, None], (height, width), mode="bilinear", antialias=True)
    return resized[0, 0]


def _ladder(tile: Tensor, reference: Tensor) -> list[int]:
    """Widths, in pixels of `reference`, at which the tile may sit in it, the largest first."""
    aspect = tile.shape[0] / tile.shape[1]
    largest = min(reference.shape[1], reference.shape[0] / aspect)
    longer = max(1.0, aspect)
    smallest = max(LEAST_SIDE, max(reference.shape) * SMALLEST_SHARE) / longer
    steps = max(0, math.ceil(math.log(largest / smallest) / math.log(COARSE_STEP))) if smallest > 0 else 0
    widths = {max(1, round(largest * COARSE_STEP**-step)) for step in range(steps + 1)}
    return sorted(widths, reverse=True)


def _search(tile: Tensor, reference: Tensor, widths: list[int]) -> _Match | None:
    """The best place over all widths, with the best score found elsewhere."""
    matches = []
    searched = _Reference(reference)
    for width in widths:
        height = round(width * tile.shape[0] / tile.shape[1])
        if not 1 <= height <= reference.shape[0] or width > reference.shape[1]:
            continue
        scores = _correlation(_resized(tile, height, width), searched)
        matches.append((scores, width, height))
    if not matches:
        return None
    scores, width, height = max(matches, key=lambda match: float(match[0].max()))
    top, left = divmod(int(scores.argmax()), scores.shape[1])
    rival = max(_elsewhere(match, (left + width / 2, top + height / 2, width, height)) for match in matches)
    return _Match(float(scores.max()), left, top, width, height, rival)


def _elsewhere(match: tuple[Tensor, int, int], found: tuple[float, float, int, int]) -> float:
    """The best score whose middle is more than a quarter of the found box away from the found middle."""
    scores, width, height = match
    x, y, found_width, found_height = found
    across = (torch.arange(scores.shape[1]) + width / 2 - x).abs() > max(found_width / 4, 2.0)
    down = (torch.arange(scores.shape[0]) + height / 2 - y).abs() > max(found_height / 4, 2.0)
    away = scores[down[:, None] | across[None, :]]
    return float(away.max()) if away.numel() else -1.0


class _Reference:
    """A picture to be searched, (H, W), and what every search in it needs of it."""

    def __init__(self, plane: Tensor) -> None:
        self.height, self.width = plane.shape
        base = plane.double() - plane.mean().double()
        # Where the tile lies within the picture nothing wraps around, so the picture's own size will do.
        self.size = (_smooth_size(self.height), _smooth_size(self.width))
        self.spectrum = torch.fft.rfft2(base, s=self.size)
        self.sums, self.squares = _integral(base), _integral(base * base)


def correlation(tile: Tensor, reference: Tensor) -> Tensor:
    """Normalised cross-correlation, in [−1, 1], at every place where `tile` lies within `reference`.

    tile: (h, w), reference: (H, W) with H ≥ h, W ≥ w. Returns (H − h + 1, W − w + 1). Where the reference is
    flat the score is 0.
    """
    return _correlation(tile, _Reference(reference))


def _correlation(tile: Tensor, reference: _Reference) -> Tensor:
    height, width = tile.shape
    centred = (tile - tile.mean()).double()
    spectrum = reference.spectrum * torch.fft.rfft2(centred, s=reference.size).conj()
    rows, columns = reference.height - height + 1, reference.width - width + 1
    product = torch.fft.irfft2(spectrum, s=reference.size)[:rows, :columns]
    count = float(height * width)
    mean = _box_sums(reference.sums, height, width) / count
    squares = _box_sums(reference.squares, height, width)
    energy = (squares - count * mean * mean).clamp_(min=0.0)
    norm = (energy * (centred * centred).sum()).sqrt_()
    flat = energy <= count * (LEAST_CONTRAST / 4) ** 2
    return torch.where(flat, torch.zeros_like(product), product / norm.clamp_(min=1e-12)).clamp_(-1.0, 1.0)


def _smooth_size(length: int) -> int:
    """The least number from `length` that has no prime factor above 5: such transforms are fast."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def _integral(plane: Tensor) -> Tensor:
    """(H, W) → (H + 1, W + 1): sums of all that lies above and to the left."""
    return F.pad(plane, (1, 0, 1, 0)).cumsum(0).cumsum(1)


def _box_sums(integral: Tensor, height: int, width: int) -> Tensor:
    """Sums over every height × width box."""
    upper, lower = integral[:-height], integral[height:]
    return lower[:, width:] - lower[:, :-width] - upper[:, width:] + upper[:, :-width]


def _refined(tile: Tensor, reference: Tensor, found: _Match, coarse: Tensor) -> TileBox:
    """The place again, on a larger reference, within a coarse pixel or two of where it was found."""
    if found.width == coarse.shape[1] and found.height == coarse.shape[0]:
        return WHOLE
    fine = _fitted(reference, FINE_SIDE)
    ratio = fine.shape[1] / coarse.shape[1]
    margin = math.ceil(2.0 * ratio) + 1
    left, top = math.floor(found.left * ratio) - margin, math.floor(found.top * ratio) - margin
    left, top = max(left, 0), max(top, 0)
    width, height = found.width * ratio, found.height * ratio
    right = min(fine.shape[1], math.ceil(left + width * COARSE_STEP) + 2 * margin)
    bottom = min(fine.shape[0], math.ceil(top + height * COARSE_STEP) + 2 * margin)
    steps = math.ceil(math.log(COARSE_STEP) / math.log(FINE_STEP)) + 2
    widths = sorted({round(width * FINE_STEP**step) for step in range(-steps, steps + 1)})
    best = _search(_fitted(tile, max(1, 2 * round(max(width, height)))), fine[top:bottom, left:right], widths)
    if best is None:
        best, left, top = found, 0, 0
        fine = coarse
    x, y = (left + best.left) / fine.shape[1], (top + best.top) / fine.shape[0]
    return TileBox(x, y, min(best.width / fine.shape[1], 1.0 - x), min(best.height / fine.shape[0], 1.0 - y))
