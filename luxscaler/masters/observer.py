"""Looks at the rows of a master as they are written: a small copy, and how much there is to see."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from luxscaler.color import luminance
from luxscaler.geometry import Span
from luxscaler.masters.reducer import Reducer
from luxscaler.picture import FloatArray, Picture
from luxscaler.report.previews import PREVIEW_PIXELS, Box
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.strips import Strip

_SEAM_CELL = 4
"""Source pixels a side that the seam figure sees as one."""


class _Detail:
    """One place of the result, at full size."""

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
        """details: places of the result to be kept at full size, as fractions of its sides."""
        height, width = plan.output_height, plan.output_width
        self._plan = plan
        self._has_alpha = has_alpha
        ratio = min(1.0, math.sqrt(PREVIEW_PIXELS / (width * height)))
        small = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        self._preview = Reducer((height, width), small, 4 if has_alpha else 3)
        cells = (-(-plan.height // _SEAM_CELL), -(-plan.width // _SEAM_CELL))
        self._luma = Reducer((height, width), cells, 1)
        self.details = [_Detail(box, height, width, has_alpha=has_alpha) for box in details]
        """Those places, filled once all strips were seen."""

    def see(self, strip: Strip) -> None:
        """Look at a strip; to be called with all of them, in order."""
        for detail in self.details:
            detail.see(strip)
        if strip.alpha is None or not self._has_alpha:
            self._preview.add(strip.top, strip.rgb)
        else:
            shown = np.concatenate((strip.rgb * strip.alpha[..., None], strip.alpha[..., None]), axis=2)
            self._preview.add(strip.top, shown)
        luma = np.maximum(luminance(strip.unexpanded), 0.0)
        self._luma.add(strip.top, (luma ** np.float32(1 / 2.4))[..., None])

    def preview(self) -> Picture:
        """The result, averaged in linear light to about PREVIEW_PIXELS."""
        means = self._preview.means()
        if not self._has_alpha:
            return Picture(means)
        alpha = np.ascontiguousarray(means[..., 3].clip(0.0, 1.0))
        return Picture(means[..., :3] / np.maximum(alpha, 1e-6)[..., None], alpha)

    def own_steps(self) -> float | None:
        """How much the picture itself changes beside its seams, over the width of a seam.

        Root mean square of the steps, each averaged along a tile, in sRGB code values of 1; None where there
        are no seams.
        """
        luma = self._luma.means()[..., 0]
        steps: list[float] = []
        plan, (above, beside) = self._plan, self._plan.source_border
        rows, columns = _within(plan.source_rows, above), _within(plan.source_columns, beside)
        for across, along, picture in ((columns, rows, luma), (rows, columns, luma.T)):
            for left, right in pairwise(across):
                for span in along:
                    lines = picture[span.start // _SEAM_CELL : -(-span.stop // _SEAM_CELL)]
                    steps += _steps_beside(lines, left, right)
        return math.sqrt(float(np.mean(np.square(steps)))) if steps else None


def _within(spans: tuple[Span, ...], border: int) -> tuple[Span, ...]:
    """Spans that count from the outer edge of a border, counted from the picture's."""
    return tuple(Span(max(span.start - border, 0), span.stop - border) for span in spans)


def _steps_beside(luma: FloatArray, left: Span, right: Span) -> list[float]:
    """Steps as wide as a seam, to both sides of it."""
    reach = max(1, (left.stop - right.start) // 2 // _SEAM_CELL)
    seam = (left.stop + right.start) // 2 // _SEAM_CELL
    profile = luma.mean(axis=0)
    return [
        float(profile[place : place + reach].mean() - profile[place - reach : place].mean())
        for place in (seam - 2 * reach, seam + 2 * reach)
        if reach <= place <= len(profile) - reach
    ]
