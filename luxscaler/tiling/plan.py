"""Where a master is cut: tiles with context, their places in the result, and the order of the work.

Neighbouring tiles share source pixels; assembly.py blends their results there. Tiles begin at source pixels
whose place in the result is a whole pixel, so that a tile's result fits in without resampling, whatever the
scale. A picture that wraps is cut as if some of its other side lay beside each edge (wrap.py); spans count
from the outer edge of that border.
"""

from dataclasses import dataclass
from fractions import Fraction

from luxscaler.errors import InputError
from luxscaler.geometry import NO_WRAP, Span, TileBox, Wrap, output_size, spans

MIN_TILE, MAX_TILE = 64, 8192
MAX_OVERLAP = 128
"""Source pixels that two tiles share at most: more changes nothing that can be seen (docs/experiments.md)."""
EXTRA_PIXELS = 1.25
"""Most that the default overlap may cost: pixels of all tiles / pixels of the picture."""
MIN_OVERLAP = 16
REFERENCE_SIDE = 2048
"""Longest side of the reference in pixels: it is trusted for areas of 8 of them, 1/256 of the picture."""
NETWORK_STEP = 4
"""Source pixels that a network folds into one, at most (the ×1 variant of RRDBNet)."""
LEAST_WRAPPED = 8
"""Least pixels of a side whose ends meet."""
LEAST_STEPS = 5
"""Places per tile where tiles may begin: with fewer, three tiles could meet in one place."""
MAX_DENOMINATOR = 16
"""Scales of several tiles are fractions with denominators up to this: 1.5, 2.25, 3.2, …"""


@dataclass(frozen=True)
class Cut:
    """One tile: its context, in source pixels, and what becomes of it, in pixels of the result."""

    index: int
    row: int
    column: int
    source_rows: Span
    source_columns: Span
    rows: Span
    columns: Span
    box: TileBox
    """source_rows and source_columns as fractions of the picture, borders of its other side included."""

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of the upscaled tile."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True)
class Plan:
    """A picture's tiles, row by row, left to right."""

    width: int
    height: int
    scale: float
    tile: int
    overlap: int
    source_rows: tuple[Span, ...]
    source_columns: tuple[Span, ...]
    rows: tuple[Span, ...]
    """In pixels of the result, as `source_rows`."""
    columns: tuple[Span, ...]
    wrap: Wrap = NO_WRAP
    source_border: tuple[int, int] = (0, 0)
    """Source pixels of the other side that lie above and below the picture, and left and right of it."""

    @property
    def border(self) -> tuple[int, int]:
        """`source_border` in pixels of the result: rows, columns."""
        rows, columns = (round(pixels * self.scale) for pixels in self.source_border)
        return rows, columns

    @property
    def output_width(self) -> int:
        """Width of the result in pixels."""
        return self.columns[-1].stop - 2 * self.border[1]

    @property
    def output_height(self) -> int:
        """Height of the result in pixels."""
        return self.rows[-1].stop - 2 * self.border[0]

    @property
    def order(self) -> tuple[int, ...]:
        """Numbers of the tiles in the order of the work: row by row.

        Where the lower edge meets the upper one the last row of tiles comes first: the first rows of the
        result need it.
        """
        last = len(self) - len(self.columns) if self.wrap.y else 0
        return (*range(last, len(self)), *range(last))

    def __len__(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    @property
    def extra(self) -> float:
        """Pixels of all tiles / pixels of the picture: what the overlap costs."""
        down = sum(span.stop - span.start for span in self.source_rows) / self.height
        return down * sum(span.stop - span.start for span in self.source_columns) / self.width

    def cut(self, index: int) -> Cut:
        """Tile `index`, counted row by row from the top left, from 0."""
        row, column = divmod(index, len(self.columns))
        down, across = self.source_rows[row], self.source_columns[column]
        height, width = self.source_rows[-1].stop, self.source_columns[-1].stop
        box = TileBox(
            across.start / width,
            down.start / height,
            (across.stop - across.start) / width,
            (down.stop - down.start) / height,
        )
        return Cut(index, row, column, down, across, self.rows[row], self.columns[column], box)


def plan(
    width: int, height: int, *, scale: float, tile: int, overlap: int | None = None, wrap: Wrap = NO_WRAP
) -> Plan:
    """Cut a picture of width × height source pixels into the fewest tiles of at most `tile` a side.

    overlap: source pixels that neighbours share at least; None: as many as EXTRA_PIXELS pay for, up to
    MAX_OVERLAP. wrap: where the picture goes on at its other side; opposite edges then share an overlap too.
    Raises InputError for a bad size, scale or overlap, and where a wrapped side has no whole size.
    """
    out_width, out_height = output_size(width, height, scale)
    if not MIN_TILE <= tile <= MAX_TILE:
        raise InputError(f"tile is {tile}; it must be from {MIN_TILE} to {MAX_TILE} pixels")
    if overlap is not None and not 0 <= overlap <= tile // 4:
        # Above a third, three tiles could meet in one place.
        raise InputError(f"overlap is {overlap}; it must be from 0 to a quarter of the tile, {tile // 4}")
    _check_wrap(width, height, scale, wrap)
    is_cut = max(width, height) > tile or bool(wrap)
    step = _step(scale, tile, "that wraps, with tiles" if wrap else "of several tiles") if is_cut else 1
    if overlap is None:
        overlap = _affordable_overlap(width, height, tile, step)
    reach = -(-max(overlap, MIN_OVERLAP) // (2 * step)) * step
    border = reach * wrap.y, reach * wrap.x
    across = _spans(width + 2 * border[1], tile, overlap, step)
    down = _spans(height + 2 * border[0], tile, overlap, step)
    return Plan(
        width,
        height,
        scale,
        tile,
        overlap,
        tuple(down),
        tuple(across),
        tuple(_scaled(down, scale, out_height + 2 * round(border[0] * scale))),
        tuple(_scaled(across, scale, out_width + 2 * round(border[1] * scale))),
        wrap,
        border,
    )


def plan_or_uncut(
    width: int,
    height: int,
    *,
    scale: float,
    tile: int,
    overlap: int | None,
    most_pixels: int,
    wrap: Wrap = NO_WRAP,
) -> Plan:
    """The plan, or, at a scale at which tiles would not meet on whole pixels, the picture as one tile.

    Only as far as the result fits into memory: up to `most_pixels`. Raises InputError as `plan` does.
    """
    if wrap:
        return plan(width, height, scale=scale, tile=tile, overlap=overlap, wrap=wrap)
    out_width, out_height = output_size(width, height, scale)
    fits = max(width, height) <= tile or _exact(scale, tile) is not None
    if not fits and MIN_TILE <= tile <= MAX_TILE and out_width * out_height <= most_pixels:
        return uncut(width, height, scale=scale)
    return plan(width, height, scale=scale, tile=tile, overlap=overlap)


def uncut(width: int, height: int, *, scale: float) -> Plan:
    """The plan of a picture that stays one tile, whatever its size."""
    out_width, out_height = output_size(width, height, scale)
    return Plan(
        width,
        height,
        scale,
        max(width, height),
        0,
        (Span(0, height),),
        (Span(0, width),),
        (Span(0, out_height),),
        (Span(0, out_width),),
    )


def _check_wrap(width: int, height: int, scale: float, wrap: Wrap) -> None:
    """Raise InputError for sides that are too short, or would meet inside a pixel of the result."""
    for wraps, name, pixels in ((wrap.x, "width", width), (wrap.y, "height", height)):
        size = pixels * Fraction(str(float(scale)))
        if wraps and size.denominator != 1:
            raise InputError(
                f"wrap is {wrap}, and the {name} {pixels} times the scale {scale:g} is {float(size):g}: take "
                "a scale that makes a whole number of pixels, or a size in pixels"
            )
        if wraps and pixels < LEAST_WRAPPED:
            raise InputError(
                f"wrap is {wrap}, and the {name} is {pixels}; it must be {LEAST_WRAPPED} or more"
            )


def _step(scale: float, tile: int, what: str) -> int:
    """Source pixels between the places where tiles may begin and end.

    They are whole, even pixels of the result (so that rounding half to even agrees), and multiples of four
    source pixels, which networks may fold into one. what: how a message calls the picture.
    """
    exact = _exact(scale, tile)
    if exact is None:
        raise InputError(
            f"scale is {scale}; a picture {what} of {tile} pixels needs a scale that is a fraction "
            f"with a denominator up to {min(MAX_DENOMINATOR, tile // (LEAST_STEPS * NETWORK_STEP))}, "
            "or its tiles would not meet on whole pixels"
        )
    return NETWORK_STEP * exact.denominator


def _exact(scale: float, tile: int) -> Fraction | None:
    """The scale as the fraction that it is; None where tiles of that size could not meet on whole pixels."""
    exact = Fraction(scale).limit_denominator(MAX_DENOMINATOR)
    is_exact = abs(float(exact) - scale) <= 1e-9
    return exact if is_exact and LEAST_STEPS * NETWORK_STEP * exact.denominator <= tile else None


def reduction(width: int, height: int) -> int:
    """How many source pixels a pixel of the reference stands for, along each side: a whole number."""
    return max(1, -(-max(width, height) // REFERENCE_SIDE))


def _spans(length: int, tile: int, overlap: int, step: int) -> list[Span]:
    """Spans of at most `tile` that begin and end at multiples of `step` (the last ends with the picture)."""
    if length <= tile:
        return [Span(0, length)]
    cuts = spans(-(-length // step), tile // step, -(-overlap // step))
    return [Span(cut.start * step, min(cut.stop * step, length)) for cut in cuts]


def _affordable_overlap(width: int, height: int, tile: int, step: int) -> int:
    """The largest multiple of `step` that costs no more than EXTRA_PIXELS as an overlap, and at least
    MIN_OVERLAP.
    """
    least = -(-MIN_OVERLAP // step) * step
    for overlap in range(min(MAX_OVERLAP, tile // 4) // step * step, least, -step):
        cost = 1.0
        for length in (width, height):
            cost *= sum(cut.stop - cut.start for cut in _spans(length, tile, overlap, step)) / length
        if cost <= EXTRA_PIXELS:
            return overlap
    return least


def _scaled(cuts: list[Span], scale: float, length: int) -> list[Span]:
    """Spans of the result, which has `length` pixels."""
    ends = [round(cut.stop * scale) for cut in cuts[:-1]] + [length]
    return [Span(round(cut.start * scale), end) for cut, end in zip(cuts, ends, strict=True)]
