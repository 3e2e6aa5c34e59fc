"""Looks at the rows of a master as they are written: a small copy, a histogram, and how seams show.

The seam figure compares, in sRGB code values, the step between the two sides of each seam with the steps
that the picture has of itself beside it: 1 means that a seam cannot be told from its surroundings. It sees
finished rows only; how they were made is not known here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from luxscaler.blending import Span
from luxscaler.mosaic.assembly import Strip
from luxscaler.mosaic.plan import Plan
from luxscaler.mosaic.previews import PREVIEW_PIXELS, Box
from luxscaler.mosaic.reducer import Reducer
from luxscaler.picture import FloatArray, Picture

LOWEST_STOP, HIGHEST_STOP = -12, 6
"""Of the histogram: stops from SDR white, the lowest with all that is darker."""
_SEAM_CELL = 4
"""Source pixels a side that the seam figure sees as one."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


@dataclass(frozen=True)
class SeamFigure:
    """Root mean square of the steps across seams, and of the same steps beside them, in sRGB codes of 1."""

    at_seams: float
    beside: float

    @property
    def ratio(self) -> float:
        """1: seams do not show. 0 where there is nothing to compare."""
        return self.at_seams / self.beside if self.beside > 0.0 else 0.0


class _Detail:
    """One place of the result, as it is."""

    def __init__(self, box: Box, height: int, width: int, *, has_alpha: bool) -> None:
        self.box = box
        self._top, self._left = round(box[1] * height), round(box[0] * width)
        size = (max(1, round(box[3] * height)), max(1, round(box[2] * width)))
        self._rgb = np.zeros((*size, 3), np.float32)
        self._alpha = np.zeros(size, np.float32) if has_alpha else None

    def see(self, strip: Strip) -> None:
        first = max(strip.top, self._top)
        last = min(strip.top + strip.rgb.shape[0], self._top + self._rgb.shape[0])
        if first >= last:
            return
        ours, theirs = slice(first - self._top, last - self._top), slice(first - strip.top, last - strip.top)
        columns = slice(self._left, self._left + self._rgb.shape[1])
        self._rgb[ours] = strip.rgb[theirs, columns]
        if self._alpha is not None and strip.alpha is not None:
            self._alpha[ours] = strip.alpha[theirs, columns]

    @property
    def picture(self) -> Picture:
        """The pixels."""
        return Picture(self._rgb, self._alpha)


class Observer:
    """Watches the strips of one master."""

    def __init__(self, plan: Plan, *, has_alpha: bool, details: Sequence[Box] = ()) -> None:
        """details: places of the result to be kept as they are, in fractions."""
        height, width = plan.output_height, plan.output_width
        self._plan = plan
        self._has_alpha = has_alpha
        ratio = min(1.0, math.sqrt(PREVIEW_PIXELS / (width * height)))
        small = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        self._preview = Reducer((height, width), small, 4 if has_alpha else 3)
        cells = (-(-plan.height // _SEAM_CELL), -(-plan.width // _SEAM_CELL))
        self._luma = Reducer((height, width), cells, 1)
        self.histogram = np.zeros(HIGHEST_STOP - LOWEST_STOP, np.int64)
        """Pixels by stop of their largest channel: LOWEST_STOP and darker, …, HIGHEST_STOP − 1 and up."""
        self.details = [_Detail(box, height, width, has_alpha=has_alpha) for box in details]
        """Those places, filled once all strips were seen."""

    def see(self, strip: Strip) -> None:
        """To be called with every strip, in order."""
        for detail in self.details:
            detail.see(strip)
        if strip.alpha is None:
            self._preview.add(strip.top, strip.rgb)
        else:
            shown = np.concatenate((strip.rgb * strip.alpha[..., None], strip.alpha[..., None]), axis=2)
            self._preview.add(strip.top, shown)
        luma = np.maximum(strip.sdr @ _LUMA, 0.0)
        self._luma.add(strip.top, (luma ** np.float32(1 / 2.4))[..., None])
        brightest = strip.rgb.max(axis=2)
        stops = np.log2(np.maximum(brightest, np.float32(2.0 ** (LOWEST_STOP - 1))))
        bins = np.clip(np.floor(stops), LOWEST_STOP, HIGHEST_STOP - 1).astype(np.int64) - LOWEST_STOP
        self.histogram += np.bincount(bins.ravel(), minlength=len(self.histogram))

    def preview(self) -> Picture:
        """The result, averaged in linear light to about PREVIEW_PIXELS."""
        means = self._preview.means()
        if not self._has_alpha:
            return Picture(means)
        alpha = np.ascontiguousarray(means[..., 3].clip(0.0, 1.0))
        return Picture(means[..., :3] / np.maximum(alpha, 1e-6)[..., None], alpha)

    def seams(self) -> SeamFigure | None:
        """How the seams show; None where there are none."""
        luma = self._luma.means()[..., 0]
        at: list[FloatArray] = []
        beside: list[FloatArray] = []
        for cuts, picture in ((self._plan.source_columns, luma), (self._plan.source_rows, luma.T)):
            for left, right in pairwise(cuts):
                _steps(picture, left, right, at, beside)
        if not at or not beside:
            return None
        return SeamFigure(_rms(at), _rms(beside))


def _steps(luma: FloatArray, left: Span, right: Span, at: list[FloatArray], beside: list[FloatArray]) -> None:
    """Steps at the seam between two spans of columns, and a step's width to both sides of it."""
    reach = max(1, (left.stop - right.start) // 2 // _SEAM_CELL)
    seam = (left.stop + right.start) // 2 // _SEAM_CELL
    for place, found in ((seam, at), (seam - 2 * reach, beside), (seam + 2 * reach, beside)):
        if reach <= place <= luma.shape[1] - reach:
            before, after = luma[:, place - reach : place], luma[:, place : place + reach]
            found.append(after.mean(axis=1) - before.mean(axis=1))


def _rms(steps: list[FloatArray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(steps, dtype=np.float64) ** 2)))
