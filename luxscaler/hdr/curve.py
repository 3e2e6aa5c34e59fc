"""Which curve undoes the rendering of an SDR picture.

A clip, a camera's shoulder, a film curve: each is undone by a curve of its own, and the picture's clues
(features.py) tell how probable each is. The log gains of the curves are averaged with these probabilities, a
softmax of linear functions of the clues. Curves and functions were fitted together, to real HDR pictures
under many renderings (fitted.py, evaluation/fit_curve.py, docs/hdr.md). Between the codes with known gains
runs a monotone cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980), flat at the knee and at the top.
The result is an estimate, and one curve for the whole picture.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from luxscaler.hdr.fitted import CURVES, FILM, FUNCTIONS

KNOT_CODES = tuple(code / 255 for code in (128, 150, 172, 192, 210, 225, 237, 246, 252, 255))
"""Codes of max(R, G, B), of 1, with known gains; at the first, the knee, and below it nothing changes."""
FITTED_BOOST = 1000.0 / 203.0
"""The boost at which the numbers were fitted: a display of 1000 cd/m²."""
MAX_STEEPNESS = 0.07 * 255
"""Most that the log gain may rise per code, of 1: 7 % per 8-bit code. Steeper shows the steps of 8 bits and
their noise."""

FILM_LIFT = 1.0
"""How far the curve goes from the truest luminance towards `LIFTED` where a film curve made the picture: such
curves wash colours out, which one gain cannot give back, and ColorVideoVDP prefers more light in exchange."""
LIFTED = tuple(math.log(1 + (FITTED_BOOST - 1) * max(2 * code - 1, 0.0) ** 4.55) for code in KNOT_CODES)
"""Log gains of 1 + (boost − 1)·x^4.55, x from 0 at half of white to 1."""


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


FULL_CURVE = ToneCurve((0.0, 0.03, 0.08, 0.17, 0.34, 0.55, 0.8, 1.1, 1.4, math.log(FITTED_BOOST)))
"""For a picture of which only the peak is known: a typical camera's shoulder."""


def estimate(clues: tuple[float, ...], few: float) -> ToneCurve:
    """The curve for a picture with these clues (features.NAMES).

    few: 0 to 1, how surely what is at white are lights: they reach the ceiling.
    """
    ceiling = math.log(FITTED_BOOST)
    kinds = probabilities(clues)
    gains = [0.0]
    for i, lifted in enumerate(LIFTED[1:]):
        gain = sum(kind * curve[i] for kind, curve in zip(kinds, CURVES, strict=True))
        gain += FILM_LIFT * kinds[FILM] * max(lifted - gain, 0.0)
        gains.append(min(gain, ceiling))
    gains[-1] += (ceiling - gains[-1]) * few
    return ToneCurve(_eased(gains))


def probabilities(clues: tuple[float, ...]) -> tuple[float, ...]:
    """The probability of each of `fitted.KINDS`; they add up to 1."""
    logs = [row[0] + sum(a * b for a, b in zip(row[1:], clues, strict=True)) for row in FUNCTIONS]
    weights = [math.exp(value - max(logs)) for value in logs]
    return tuple(weight / sum(weights) for weight in weights)


def _eased(gains: list[float]) -> tuple[float, ...]:
    """Lower knots raised until no stretch is steeper than MAX_STEEPNESS; the knee stays."""
    eased = list(gains)
    for i in range(len(eased) - 2, 0, -1):
        eased[i] = max(eased[i], eased[i + 1] - MAX_STEEPNESS * (KNOT_CODES[i + 1] - KNOT_CODES[i]))
    return tuple(eased)


def _slopes(x: tuple[float, ...], y: tuple[float, ...]) -> list[float]:
    """Slopes at the knots that keep the cubic monotone: harmonic means of the secants, 0 at both ends."""
    secants = [(y1 - y0) / (x1 - x0) for (x0, x1), (y0, y1) in zip(pairwise(x), pairwise(y), strict=True)]
    inner = [2.0 / (1.0 / a + 1.0 / b) if a > 0.0 and b > 0.0 else 0.0 for a, b in pairwise(secants)]
    return [0.0, *inner, 0.0]
