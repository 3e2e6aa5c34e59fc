"""Tiles to rows: blends what overlaps, expands the dynamic range, and hands the rows on, top to bottom.

    tiles → blended strip → expanded strip → whoever takes the rows

Neighbouring tiles share pixels, in which their weights are raised cosines that add up to one (tiled.py).
A strip is a few rows over the whole width; it is made as soon as all tiles are there that it needs, so that
writing goes on beside the work, in memory that does not grow with the picture. The order of all additions is
fixed: the same tiles give the same bytes. The range is expanded here and not in the tiles, by one curve of
the whole picture. Where opposite edges meet, their tiles are blended too (wrap.py), and the map of gains goes
on there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from luxscaler.errors import InputError
from luxscaler.geometry import WHOLE, Span, TileBox, Wrap
from luxscaler.hdr.dequantize import RADIUS
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.hdr.mask import mask_at, masked, reduced_mask
from luxscaler.picture import FloatArray, Picture
from luxscaler.tiling.coverage import Coverage
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.wrap import Fold
from luxscaler.upscaling.render import is_grey
from luxscaler.upscaling.tiled import weights

STRIP_BYTES = 48 * 2**20
"""Float32 samples of a strip, about."""
MARGIN = RADIUS
"""Rows above and below a strip that the expansion looks at."""


class UpscaledTile(Protocol):
    """A tile that is done, wherever it is kept."""

    @property
    def width(self) -> int:
        """In pixels."""

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right), as a copy."""


class TileInMemory:
    """An upscaled tile in memory."""

    def __init__(self, picture: Picture) -> None:
        self.width = picture.width
        self._picture = picture

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right), as a copy: the assembler multiplies it in place."""
        part = self._picture.region(top, bottom, left, right)
        return Picture(part.rgb.copy(), None if part.alpha is None else part.alpha.copy())


@dataclass(frozen=True)
class Strip:
    """Finished rows of the result."""

    top: int
    rgb: FloatArray
    """(n, width, 3) linear light, expanded."""
    sdr: FloatArray
    """The same before."""
    alpha: FloatArray | None

    def within(self, height: int) -> "Strip | None":
        """The part of it that lies in a result of `height` rows; None where nothing does."""
        first, last = max(self.top, 0), min(self.top + len(self.rgb), height)
        if first >= last:
            return None
        rows = slice(first - self.top, last - self.top)
        return Strip(first, self.rgb[rows], self.sdr[rows], None if self.alpha is None else self.alpha[rows])


class WholeRows:
    """Strips collected into whole arrays."""

    def __init__(self, height: int, width: int, *, has_alpha: bool, shows_both: bool) -> None:
        """shows_both: whether the light before the expansion is wanted too."""
        self.rgb = np.empty((height, width, 3), np.float32)
        self.alpha = np.empty((height, width), np.float32) if has_alpha else None
        self.sdr = np.empty_like(self.rgb) if shows_both else None

    def take(self, strip: Strip) -> None:
        """Keep the rows of a strip."""
        rows = slice(strip.top, strip.top + strip.rgb.shape[0])
        self.rgb[rows] = strip.rgb
        if self.alpha is not None and strip.alpha is not None:
            self.alpha[rows] = strip.alpha
        if self.sdr is not None:
            self.sdr[rows] = strip.sdr


@dataclass(frozen=True)
class Expansion:
    """How the range of the whole picture is expanded."""

    boost: float
    statistics: ToneStatistics
    box: TileBox | None = WHOLE
    """Where the picture sits in the one that the statistics are of; None: not known."""
    mask: Tensor | None = None
    """(h, w) float32 in [0, 1] over all of that one: the gain becomes gain^mask. Needs the box."""

    def __post_init__(self) -> None:
        if self.mask is not None and self.box is None:
            raise InputError("boost_mask: it is not known where in it the picture sits; give tile_box")

    def laid_out(self, wrap: Wrap) -> "Expansion":
        """The same for a picture that wraps: it is the middle of three, side by side along each such axis, as
        in ToneStatistics. Raises ValueError for statistics that were not made so."""
        if not wrap or self.boost == 1.0:
            return self
        if self.statistics.wrap != wrap or self.box != WHOLE:
            raise ValueError(f"the statistics wrap along {self.statistics.wrap!s}, the plan along {wrap!s}")
        down, across = (3 if wrap.y else 1), (3 if wrap.x else 1)
        box = TileBox(1 / 3 if wrap.x else 0.0, 1 / 3 if wrap.y else 0.0, 1 / across, 1 / down)
        return replace(self, box=box, mask=None if self.mask is None else self.mask.repeat(down, across))

    def for_size(self, height: int, width: int) -> "Expansion":
        """The same, with a mask that is no finer than a picture of that size."""
        if self.mask is None or self.box is None:
            return self
        whole = math.ceil(height / self.box.height), math.ceil(width / self.box.width)
        return replace(self, mask=reduced_mask(self.mask, *whole))


class Assembler:
    """Makes the rows of a master from its tiles."""

    def __init__(
        self,
        plan: Plan,
        tile_of: Callable[[int], UpscaledTile],
        expansion: Expansion,
        take: Callable[[Strip], None],
        *,
        has_alpha: bool,
        border: int = 0,
    ) -> None:
        """tile_of: the upscaled tile of a number. take: gets every strip, in order. border: rows of the other
        side that are handed on before the first row and after the last, where the edges meet."""
        self._plan = plan
        self._tile_of = tile_of
        self._expansion = expansion.laid_out(plan.wrap).for_size(plan.output_height, plan.output_width)
        self._take = take
        self._has_alpha = has_alpha
        self._next, self._end = -border, plan.output_height + border
        border_rows, border_columns = plan.border
        self._fold_rows = Fold(plan.output_height, border_rows)
        self._fold_columns = Fold(plan.output_width, border_columns)
        self._down = [_weights(i, plan.rows, self._fold_rows) for i in range(len(plan.rows))]
        self._across = [_weights(i, plan.columns, self._fold_columns) for i in range(len(plan.columns))]
        self._inside = [_ones(weights) for weights in self._across]
        self.peak = 0.0
        """Largest linear value so far."""

    @property
    def rows_done(self) -> int:
        """Rows of the result that were handed on; below 0 while those of a border are."""
        return self._next

    def needs(self, number: int) -> bool:
        """Whether rows that were not handed on yet need that tile."""
        span = self._plan.cut(number).rows
        if self._next == self._end:
            return False
        first, last = self._rows_seen(self._next, self._end)
        lines = (lines for lines, _ in self._fold_rows.lines(first, last))
        return any(line.start < span.stop and span.start < line.stop for line in lines)

    def advance(self, done: Callable[[int], bool], halted: Callable[[], bool] = lambda: False) -> None:
        """Hand on all rows that need only tiles for which `done` is true, or fewer once `halted` says so."""
        absent = self._absent(done)
        step = strip_rows(self._plan.output_width)
        # Strips lie on a fixed grid, whenever tiles come: where a strip begins shows in the last bits.
        while self._next < (bottom := min(self._next + step, self._end)) and self._is_ready(bottom, absent):
            if halted():
                return
            strip = self._strip(self._next, bottom)
            self.peak = max(self.peak, float(strip.rgb.max()))
            self._take(strip)
            self._next += strip.rgb.shape[0]

    def _absent(self, done: Callable[[int], bool]) -> list[Span]:
        """The rows of tiles of which one is not there."""
        columns = len(self._plan.columns)
        return [
            span
            for row, span in enumerate(self._plan.rows)
            if not all(done(row * columns + column) for column in range(columns))
        ]

    def _is_ready(self, bottom: int, absent: list[Span]) -> bool:
        """Whether rows up to `bottom` need none of those."""
        seen = [lines for lines, _ in self._fold_rows.lines(*self._rows_seen(self._next, bottom))]
        return not any(
            lines.start < span.stop and span.start < lines.stop for span in absent for lines in seen
        )

    def _rows_seen(self, top: int, bottom: int) -> tuple[int, int]:
        """Rows that the expansion of rows [top, bottom) looks at; beyond the edges where they meet."""
        if self._plan.wrap.y:
            return top - MARGIN, bottom + MARGIN
        return max(top - MARGIN, 0), min(bottom + MARGIN, self._plan.output_height)

    def _strip(self, top: int, bottom: int) -> Strip:
        """Finished rows [top, bottom)."""
        first, last = self._rows_seen(top, bottom)
        rgb, alpha = self._blended(first, last)
        rows = slice(top - first, bottom - first)
        light = torch.from_numpy(rgb)
        expanded = _expanded(light, first, self._plan.output_height, self._expansion, self._plan.wrap.x)
        return Strip(top, expanded.numpy()[rows], rgb[rows], None if alpha is None else alpha[rows])

    def _blended(self, top: int, bottom: int) -> tuple[FloatArray, FloatArray | None]:
        width = self._plan.output_width
        if len(self._plan) == 1 and not self._plan.wrap:
            only = self._tile_of(0).region(top, bottom, 0, width)
            return only.rgb, only.alpha
        blended = np.zeros((bottom - top, width, 3), np.float32)
        alpha = Coverage(bottom - top, width) if self._has_alpha else None
        for lines, at in self._fold_rows.lines(top, bottom):
            for row, span in enumerate(self._plan.rows):
                first, last = max(lines.start, span.start), min(lines.stop, span.stop)
                if first < last:
                    inside = slice(at + first - lines.start, at + last - lines.start)
                    part = Span(first - span.start, last - span.start)
                    self._add_row(row, part, blended[inside], alpha, inside)
        return blended, None if alpha is None else alpha.blended()

    def _add_row(self, row: int, lines: Span, rgb: FloatArray, alpha: Coverage | None, inside: slice) -> None:
        """Add lines of a row of tiles, times their weights."""
        down = self._down[row][lines.start : lines.stop, None]
        for column, span in enumerate(self._plan.columns):
            tile = self._tile_of(row * len(self._plan.columns) + column)
            part = tile.region(lines.start, lines.stop, 0, tile.width)
            weight = down * self._across[column]
            alone = self._inside[column] if (down == 1.0).all() else slice(0, 0)
            for rim in (slice(0, alone.start), slice(alone.stop, tile.width)):
                np.multiply(part.rgb[:, rim], weight[:, rim, None], out=part.rgb[:, rim])
            for place, at in self._fold_columns.places(span):
                columns, seen = slice(place.start, place.stop), slice(at, at + place.stop - place.start)
                rgb[:, columns] += part.rgb[:, seen]
                if alpha is not None and part.alpha is not None:
                    alpha.add((inside, columns), part.alpha[:, seen], weight[:, seen])


@torch.inference_mode()
def expand_whole(rgb: Tensor, expansion: Expansion, *, in_place: bool) -> Tensor:
    """The whole result of a plan of one tile, expanded in the same strips as an Assembler's.

    rgb: (H, W, 3) float32, linear light. in_place: the result replaces it. On a CPU strip by strip, since
    vectorised powers differ in the last bit by where a strip begins; elsewhere at once.
    """
    height, width = rgb.shape[:2]
    step = strip_rows(width)
    if rgb.device.type != "cpu" and expansion.mask is None:
        return expand(rgb, expansion.boost, expansion.statistics, expansion.box, in_place=in_place)
    if expansion.boost == 1.0:
        return rgb
    expansion = expansion.for_size(height, width)
    out = rgb if in_place else torch.empty_like(rgb)
    above = rgb[:0]
    for top in range(0, height, step):
        bottom = min(top + step, height)
        seen = torch.cat((above, rgb[top : min(bottom + MARGIN, height)]))
        before, until = len(above), len(above) + bottom - top
        above = seen[:until][-MARGIN:].clone()
        out[top:bottom] = _expanded(seen, top - before, height, expansion)[before:until]
    return out


def strip_rows(width: int) -> int:
    """Rows of a strip of a result that is `width` pixels wide."""
    return max(1, STRIP_BYTES // (width * 16))


def _expanded(rgb: Tensor, top: int, height: int, how: Expansion, wraps: bool = False) -> Tensor:
    """Rows from `top` of a result of `height` rows. wraps: whether each goes on at its other end."""
    if how.boost == 1.0:
        return rgb
    box = how.box
    if wraps and box is not None:
        width = rgb.shape[1]
        seen = torch.arange(-MARGIN, width + MARGIN).remainder_(width)
        wide = box.width * (1.0 + 2.0 * MARGIN / width)
        box = TileBox(box.x - box.width * MARGIN / width, box.y, wide, box.height)
        expanded = _expanded(rgb[:, seen], top, height, replace(how, box=box))
        return expanded[:, MARGIN : MARGIN + width]
    if box is not None:
        box = TileBox(box.x, box.y + top / height * box.height, box.width, rgb.shape[0] / height * box.height)
    expanded = expand(rgb, how.boost, how.statistics, box)
    if how.mask is None or box is None or expanded is rgb:
        return expanded
    result = masked(rgb, expanded, mask_at(how.mask, box, *rgb.shape[:2]).to(rgb.device))
    if is_grey(rgb):  # vectorised powers round equal channels differently in the last bit
        result[..., ::2] = result[..., 1:2]
    return result


def _weights(index: int, cuts: tuple[Span, ...], fold: Fold) -> FloatArray:
    line = np.asarray(weights(index, list(cuts), 1).numpy(), np.float32)
    return line * fold.weights(cuts[index]) if fold.border else line


def _ones(weights_: FloatArray) -> slice:
    """The middle of a tile, where no other tile has a part: a product by 1 changes nothing."""
    (places,) = np.nonzero(weights_ != 1.0)
    middle = len(weights_) // 2
    before, after = places[places < middle], places[places >= middle]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(weights_))
