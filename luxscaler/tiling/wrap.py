"""Pictures whose opposite edges meet: a border of the opposite side for the tiles, folded back afterwards.

    picture ─ BorderedPicture ─→ picture with a border of its other side ─ tiles ─ Fold ─→ result

The tiles see across the edge as if the picture went on there. In the result the border lies over the other
side, and both are blended as neighbouring tiles are: weights of raised cosines that add up to one. So an edge
is as seamless as any place where two tiles meet, whatever the network.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from luxscaler.geometry import Span
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.tiling.overview import Regions
from luxscaler.tiling.plan import Plan
from luxscaler.upscaling.tiled import ramp


class BorderedPicture:
    """A picture with `rows` and `columns` of its opposite sides around it, as Regions."""

    def __init__(self, picture: Regions, rows: int, columns: int) -> None:
        self._picture, self._rows, self._columns = picture, rows, columns

    @property
    def width(self) -> int:
        """In pixels, border included."""
        return self._picture.width + 2 * self._columns

    @property
    def height(self) -> int:
        """In pixels, border included."""
        return self._picture.height + 2 * self._rows

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""
        return self._picture.has_alpha

    @property
    def source(self) -> PictureSource:
        """What the picture's file said about itself."""
        return self._picture.source

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right), counted from the border's outer edge, as a copy."""
        rgb = np.empty((bottom - top, right - left, 3), np.float32)
        alpha = np.empty(rgb.shape[:2], np.float32) if self.has_alpha else None
        for rows, down in _turns(top - self._rows, bottom - self._rows, self._picture.height):
            for columns, across in _turns(left - self._columns, right - self._columns, self._picture.width):
                part = self._picture.region(rows.start, rows.stop, columns.start, columns.stop)
                place = np.s_[down : down + part.height, across : across + part.width]
                rgb[place] = part.rgb
                if alpha is not None and part.alpha is not None:
                    alpha[place] = part.alpha
        return Picture(rgb, alpha, self.source)

    def whole(self) -> Picture:
        """All of it, border included."""
        return self.region(0, self.height, 0, self.width)


def bordered(picture: Regions, cuts: Plan) -> Regions:
    """The picture with the plan's border around it; as it is where it does not wrap."""
    rows, columns = cuts.source_border
    return BorderedPicture(picture, rows, columns) if cuts.wrap else picture


def _turns(start: int, stop: int, length: int) -> Iterator[tuple[Span, int]]:
    """[start, stop) of a line that repeats every `length`: parts of [0, length), and where each begins."""
    at = start
    while at < stop:
        inside = at % length
        count = min(length - inside, stop - at)
        yield Span(inside, inside + count), at - start
        at += count


@dataclass(frozen=True)
class Fold:
    """One axis of a result with a border at both ends, each of which is laid over the opposite end."""

    length: int
    """Pixels of the result."""
    border: int
    """Pixels of the border at each end; 0 where the ends do not meet."""

    def weights(self, span: Span) -> FloatArray:
        """(pixels,) weights of a span that counts from the border's outer edge."""
        half = min(self.border, self.length // 2)
        line = np.ones(self.length + 2 * self.border, np.float32)
        if self.border:
            rising = np.concatenate((np.zeros(self.border - half, np.float32), ramp(2 * half).numpy()))
            line[: len(rising)] = rising
            line[len(line) - len(rising) :] *= rising[::-1]
        return line[span.start : span.stop]

    def lines(self, start: int, stop: int) -> Iterator[tuple[Span, int]]:
        """What is laid over pixels [start, stop) of the result, which may lie beyond its ends.

        Yields spans that count from the border's outer edge, and how many pixels after `start` each begins.
        """
        whole = self.length + 2 * self.border
        first_turn = (start + self.border - whole) // self.length
        last_turn = -(-(stop + self.border) // self.length)
        for turn in range(first_turn, last_turn + 1) if self.border else (0,):
            shift = self.border - turn * self.length
            first, last = max(start + shift, 0), min(stop + shift, whole)
            if first < last:
                yield Span(first, last), first - shift - start

    def places(self, span: Span) -> Iterator[tuple[Span, int]]:
        """Where the pixels of a span, which counts from the border's outer edge, lie in the result.

        Yields parts of the result, and how many pixels after the beginning of the span each begins.
        """
        return _turns(span.start - self.border, span.stop - self.border, self.length)
