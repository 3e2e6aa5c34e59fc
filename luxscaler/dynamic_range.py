"""hdr_boost: one global curve that lifts highlights and leaves the rest alone.

The gain depends on m = max(R, G, B), sRGB-coded, alone. Below the knee it is exactly 1; from there to the
picture's peak it rises to `boost` along x⁵(6 − 5x), which starts and ends flat, so that the curve is monotone
and continuous in slope everywhere, also where it goes on above the peak. One gain for all three channels
keeps the hue. The shape follows the finding that highlight-weighted global curves with pinned midtones serve
camera-like SDR pictures best (Masia et al., "Evaluation of reverse tone mapping through varying exposure
conditions", SIGGRAPH Asia 2009, prefer simple global curves; the comparison is in docs/experiments.md). What
rises above SDR white is an estimate: SDR pictures do not hold it.

This module knows no file and no network. It works on any device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from luxscaler.errors import InputError

MIN_BOOST, MAX_BOOST = 1.0, 49.0
"""49 × 203 cd/m² is just under 10,000 cd/m², the top of SMPTE ST 2084."""
KNEE = 0.5
"""Where the gain starts, as a share of the peak in sRGB code values (linear 0.21 for a peak of 1)."""
ROWS = 256
"""Rows done at once, so that temporaries stay small beside the picture."""


def check_boost(boost: float) -> None:
    """InputError unless `boost` is a number from 1 to 49."""
    if not MIN_BOOST <= boost <= MAX_BOOST:  # also catches NaN
        raise InputError(f"hdr_boost is {boost}; it must be from {MIN_BOOST} to {MAX_BOOST} (10,000 cd/m²)")


@dataclass(frozen=True)
class ToneStatistics:
    """What the curve needs to know of the whole picture; the same for all of its tiles."""

    peak: float
    """The largest of R, G and B, linear, 1.0 = SDR white."""

    @staticmethod
    def of(rgb: Tensor) -> "ToneStatistics":
        """Statistics of (H, W, 3) float32 linear light."""
        return ToneStatistics(peak=max(float(rgb.max()), 0.0))


def gain(brightest: Tensor, boost: float, peak: float) -> Tensor:
    """The factor for pixels whose largest channel is `brightest` (linear, any shape): from 1 to `boost`."""
    top = _code(torch.tensor(peak, dtype=torch.float64)).item()
    knee = KNEE * top
    x = _code(brightest).sub_(knee).div_(max(top - knee, 1e-12)).clamp_(0.0, 1.0)
    rise = x.pow(5).mul_(x.mul(-5.0).add_(6.0))
    return rise.mul_(boost - 1.0).add_(1.0)


@torch.inference_mode()
def expand(rgb: Tensor, boost: float, statistics: ToneStatistics) -> Tensor:
    """Expand the dynamic range by the factor `boost`.

    rgb: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white. The picture's peak goes to boost × peak (a peak
    of 1.0, the usual one, to `boost`), the knee and what is below it stay bit for bit. Returns a new tensor,
    or `rgb` itself when boost is 1. Raises InputError for a boost outside [1, 49].
    """
    check_boost(boost)
    if boost == 1.0 or statistics.peak <= 0.0:
        return rgb
    out = torch.empty_like(rgb)
    for start in range(0, rgb.shape[0], ROWS):
        band = rgb[start : start + ROWS]
        factors = gain(band.amax(dim=2, keepdim=True), boost, statistics.peak)
        torch.mul(band, factors, out=out[start : start + ROWS])
    return out


def _code(linear: Tensor) -> Tensor:
    """sRGB's curve (IEC 61966-2-1) above its straight segment, which lies far below any knee in use."""
    return linear.clamp(min=0.0).pow_(1 / 2.4).mul_(1.055).sub_(0.055)
