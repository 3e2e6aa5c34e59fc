"""Which curve undoes the rendering of an SDR picture: estimated from its histogram near white.

A camera or a tone mapper bends highlights towards white in its own way. How strongly shows in how many
pixels lie above each of a few code values: a hard clip leaves a heap at white and little to undo below it, a
long shoulder leaves few pixels near white and much to undo. The gains at five codes are linear in the
logarithms of those shares, with coefficients fitted by least squares to real HDR pictures under many
renderings (`evaluation/fit_curve.py`, docs/hdr.md); between the codes runs a monotone cubic (Fritsch and
Carlson, SIAM J. Numer. Anal. 17, 1980), flat at the knee and at the top. The result is an estimate, and
one curve for the whole picture. This module knows codes and curves, and no picture.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

SHARE_CODES = tuple(code / 255 for code in (140, 190, 225, 248, 254))
"""sRGB codes of max(R, G, B), of 1: the share of pixels at or above each is what the estimate looks at."""
KNOT_CODES = tuple(code / 255 for code in (128, 165, 200, 228, 246, 255))
"""Codes at which the gains are estimated; at the first, the knee, and below it nothing changes."""
FITTED_BOOST = 1000.0 / 203.0
"""The boost at which the coefficients were fitted: a display of 1000 cd/m²."""
CLIPPED_SHARE = 0.038
"""Share of pixels at white from which on a picture rather was clipped than bent."""
CLIPPED_STEEPNESS = 4.0
USUAL_SHARE = 0.05
"""Shares are counted from this one, in logarithms."""
MAX_STEEPNESS = 0.035 * 255
"""Most that the log gain may rise per code, of 1: 3.5 % per 8-bit code. Steeper fits better, and shows the
steps of 8 bits and their noise."""
SMALL_SHARE = 0.004
"""Where clipped areas cover less than about this, what is at white are lights, and they reach the ceiling."""

COEFFICIENTS = (
    (0.287, -0.088, -0.010, -0.032, -0.177, 0.179, 0.023, -0.032),
    (0.315, -0.010, -0.001, -0.090, -0.207, 0.241, -0.313, 0.149),
    (0.480, 0.073, -0.028, -0.136, -0.306, 0.350, -0.038, 0.022),
    (0.052, 0.181, 0.140, 0.011, -0.184, 0.159, -0.331, 0.211),
    (1.619, 0.037, 0.150, -0.280, -0.823, 1.107, 0.775, -0.508),
)
"""A row per knot above the knee: log gain of a bent picture as constant and five logarithms of shares, then
of a clipped picture as constant and the last of the logarithms."""


@dataclass(frozen=True)
class ToneCurve:
    """Log gains at `KNOT_CODES` for FITTED_BOOST: 0 at the first, not falling, at most log(FITTED_BOOST)."""

    log_gains: tuple[float, ...]

    def at(self, code: Tensor) -> Tensor:
        """Log gain at codes (any shape, 1 = white); constant above white, 0 at the knee and below."""
        x, y = KNOT_CODES, self.log_gains
        slopes = _slopes(x, y)
        result = torch.full_like(code, y[-1])
        for i in reversed(range(len(x) - 1)):
            width = x[i + 1] - x[i]
            t = ((code - x[i]) / width).clamp_(0.0, 1.0)
            rise = y[i + 1] - y[i]
            # Cubic Hermite on [0, 1], in powers of t.
            a, b = slopes[i] * width, slopes[i + 1] * width
            value = (((a + b - 2.0 * rise) * t + (3.0 * rise - 2.0 * a - b)) * t + a) * t + y[i]
            result = torch.where(code < x[i + 1], value, result)
        return torch.where(code <= x[0], torch.zeros_like(code), result)


FULL_CURVE = ToneCurve((0.0, 0.06, 0.25, 0.6, 1.1, math.log(FITTED_BOOST)))
"""For a picture of which nothing is known but its peak: a usual camera's shoulder."""


def estimate(shares: tuple[float, ...], area_share: float) -> ToneCurve:
    """The curve for a picture of whose pixels the share `shares[i]` is at or above `SHARE_CODES[i]`.

    area_share: the share that clipped areas of more than a few pixels cover.
    """
    inputs = regressors(shares)
    ceiling = math.log(FITTED_BOOST)
    gains = [0.0]
    for row in COEFFICIENTS:
        value = sum(weight * value for weight, value in zip(row, inputs, strict=True))
        gains.append(min(max(value, gains[-1]), ceiling))
    few = math.exp(-area_share / SMALL_SHARE)
    gains[-1] += (ceiling - gains[-1]) * few
    return ToneCurve(_eased(gains))


def _eased(gains: list[float]) -> tuple[float, ...]:
    """Lower knots raised until no stretch is steeper than MAX_STEEPNESS; the knee stays."""
    eased = list(gains)
    for i in range(len(eased) - 2, 0, -1):
        eased[i] = max(eased[i], eased[i + 1] - MAX_STEEPNESS * (KNOT_CODES[i + 1] - KNOT_CODES[i]))
    return tuple(eased)


def regressors(shares: tuple[float, ...]) -> tuple[float, ...]:
    """What a row of `COEFFICIENTS` is multiplied with."""
    logs = [math.log((share + 1e-4) / USUAL_SHARE) for share in shares]
    clipped = clippedness(shares[-1])
    bent = 1.0 - clipped
    return (bent, *(bent * value for value in logs), clipped, clipped * logs[-1])


def clippedness(share_at_white: float) -> float:
    """How surely a picture was clipped hard, 0 to 1."""
    distance = math.log((share_at_white + 1e-5) / CLIPPED_SHARE)
    return 1.0 / (1.0 + math.exp(-CLIPPED_STEEPNESS * distance))


def _slopes(x: tuple[float, ...], y: tuple[float, ...]) -> list[float]:
    """Slopes at the knots that keep the cubic monotone: harmonic means of the secants, 0 at both ends."""
    secants = [(y1 - y0) / (x1 - x0) for (x0, x1), (y0, y1) in zip(pairwise(x), pairwise(y), strict=True)]
    inner = [2.0 / (1.0 / a + 1.0 / b) if a > 0.0 and b > 0.0 else 0.0 for a, b in pairwise(secants)]
    return [0.0, *inner, 0.0]
