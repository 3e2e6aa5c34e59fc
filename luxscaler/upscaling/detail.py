"""Fractality: the spectral slope of the detail that the network invented.

Octave k above the source's Nyquist limit gets the amplitude fractality^k. As a continuous law that is a gain
of ν^log2(fractality) at ν times the Nyquist frequency, which adds log2(fractality) to the slope of the
amplitude spectrum there, and so moves the fractal dimension of the detail (Pentland, "Fractal-based
description of natural scenes", IEEE PAMI 6, 1984: slope and dimension of a fractal surface are linear in each
other). What the source determined stays: averaged back to the source's size, the picture is the same.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.options import check_fractality

MIRROR = 64
"""Pixels mirrored around the picture, so that its opposite edges do not meet in the Fourier transform."""
TOLERANCE = 5e-4
"""How much a source pixel may still change, in linear light."""
ROWS = 256
"""Rows done at once, where that is possible."""
MAX_PROJECTIONS = 16
"""Rounds of taking back what the source would notice; each leaves about a third of it."""


@torch.inference_mode()
def shape_detail(
    rgb: Tensor, source_size: tuple[int, int], fractality: float, *, in_place: bool = False
) -> Tensor:
    """Tilt the spectrum of `rgb` above the Nyquist limit of its source.

    rgb: (H, W, 3) float32, linear light. source_size: (height, width) of what it was upscaled from.
    in_place: the result replaces `rgb`, which saves a picture's memory.
    Returns the same shape, within the range of `rgb` widened to [0, 1]; `rgb` itself when `fractality` is 1
    or nothing lies above the limit. Raises InputError for a fractality outside [0, 2].
    """
    check_fractality(fractality)
    height, width = rgb.shape[:2]
    if fractality == 1.0 or (height <= source_size[0] and width <= source_size[1]):
        return rgb
    low, high = min(0.0, float(rgb.min())), max(1.0, float(rgb.max()))
    out = rgb if in_place else torch.empty_like(rgb)
    for channel in range(3):  # one at a time: the transforms are the largest temporaries
        plane = rgb[..., channel]
        change = _filtered(plane, source_size, fractality).sub_(plane)
        out[..., channel] = _kept_for_source(plane, change, source_size, low, high)
    return out


def octave_gain(frequency: Tensor, fractality: float) -> Tensor:
    """Gain at `frequency` (in units of the source's Nyquist limit): 1 up to 1, then frequency^log2(F)."""
    if fractality == 0.0:
        return (frequency <= 1.0).to(frequency.dtype)
    return frequency.clamp(min=1.0).pow_(math.log2(fractality))


def _filtered(plane: Tensor, source_size: tuple[int, int], fractality: float) -> Tensor:
    """H×W through the octave gains."""
    height, width = plane.shape
    pads = [min(MIRROR, side - 1) for side in (width, height)]
    padded = F.pad(plane[None, None], (pads[0], pads[0], pads[1], pads[1]), mode="reflect")[0, 0]
    rows, columns = padded.shape
    spectrum = torch.fft.rfft2(padded)
    del padded  # as large as what follows
    # The source's samples determine a square of frequencies, so the distance is the larger coordinate.
    down = torch.fft.fftfreq(rows, device=plane.device).abs_() * (2.0 * height / source_size[0])
    across = torch.fft.rfftfreq(columns, device=plane.device) * (2.0 * width / source_size[1])
    for start in range(0, rows, ROWS):
        band = slice(start, start + ROWS)
        spectrum[band] *= octave_gain(torch.maximum(down[band, None], across[None, :]), fractality)
    result: Tensor = torch.fft.irfft2(spectrum, s=(rows, columns))
    return result[pads[1] : pads[1] + height, pads[0] : pads[0] + width]


def _kept_for_source(
    plane: Tensor, change: Tensor, source_size: tuple[int, int], low: float, high: float
) -> Tensor:
    """`plane + change` within [low, high], after `change` lost what the source's pixels would notice.

    `change` is overwritten, which saves a plane's memory.
    """
    size = (plane.shape[0], plane.shape[1])
    _within(change, plane, low, high)
    for _ in range(MAX_PROJECTIONS):
        seen = _averaged(change, source_size)
        if float(seen.abs().max()) <= TOLERANCE:
            return change.add_(plane)
        change.sub_(F.interpolate(seen, size, mode="bicubic", align_corners=False)[0, 0])
        _within(change, plane, low, high)
    if size[0] % source_size[0] == 0 and size[1] % source_size[1] == 0:
        _take_towards_limits(change, plane, source_size, low, high)
        _within(change, plane, low, high)  # the last bit
    return change.add_(plane)


def _within(change: Tensor, plane: Tensor, low: float, high: float) -> None:
    """Limit `change`, in place, so that `plane + change` stays in [low, high]."""
    change.add_(plane).clamp_(low, high).sub_(plane)


def _averaged(plane: Tensor, source_size: tuple[int, int]) -> Tensor:
    """H×W → 1×1×h×w, averages over the source's pixels."""
    return F.interpolate(plane[None, None], source_size, mode="area")


def _take_towards_limits(
    change: Tensor, plane: Tensor, source_size: tuple[int, int], low: float, high: float
) -> None:
    """Reduce `change`, in place, where black or white prevent taking the same amount from every pixel.

    Each pixel gives the same share of its distance to the limit. The share makes the average of a source
    pixel right; it is never above 1, since without any change the average was right. For whole scales, where
    every pixel belongs to one pixel of the source; bands of rows keep the temporaries small.
    """
    scale = plane.shape[0] // source_size[0]
    step = max(1, ROWS // scale)
    for first in range(0, source_size[0], step):
        rows = min(step, source_size[0] - first)
        band = slice(first * scale, (first + rows) * scale)
        part, light = change[band], plane[band]
        small, size = (rows, source_size[1]), (part.shape[0], part.shape[1])
        excess = F.interpolate(_averaged(part, small), size, mode="nearest")[0, 0]
        way = torch.where(excess > 0.0, part - (low - light), (high - light) - part)
        mean_way = F.interpolate(_averaged(way, small), size, mode="nearest")[0, 0]
        part.sub_(excess.div_(mean_way.clamp_(min=1e-9)).clamp_(-1.0, 1.0).mul_(way))
