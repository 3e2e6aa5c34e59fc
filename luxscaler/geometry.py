"""Where tiles lie and how large results are: arithmetic of sizes, spans and boxes. No pixels, no PyTorch."""

import math
from dataclasses import dataclass
from fractions import Fraction

from luxscaler.checks import check_fields, check_type
from luxscaler.errors import InputError

MIN_SCALE, MAX_SCALE = 1.0, 8.0
LARGEST_NATIVE_SCALE = 16.0
"""Of published networks; allowed too, so that their results need not be resampled."""


def output_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """(width, height) of the result: each side times scale (as written in decimals), rounded half to even.

    Raises InputError when scale is not a number from 1 to 8, or 16.
    """
    check_type("scale", scale, float)
    if not MIN_SCALE <= scale <= MAX_SCALE and scale != LARGEST_NATIVE_SCALE:  # also catches NaN
        limits = f"from {MIN_SCALE:g} to {MAX_SCALE:g}, or {LARGEST_NATIVE_SCALE:g}"
        raise InputError(f"scale is {scale}; it must be {limits}")
    # Exactly, or tiles would not fit: 4015 × 1.1 is 4416.5, and in floats a little more.
    exact = Fraction(str(float(scale)))
    return round(width * exact), round(height * exact)


@dataclass(frozen=True)
class TileBox:
    """Where a tile sits in the master, in fractions of the master's width and height.

    Raises InputError for a box that is empty, not finite, or not inside the master.
    """

    x: float
    """Left edge, from 0."""
    y: float
    """Upper edge, from 0."""
    width: float
    height: float

    def __post_init__(self) -> None:
        check_fields(self)
        values = (self.x, self.y, self.width, self.height)
        inside = all(math.isfinite(value) for value in values) and (
            min(self.x, self.y) >= 0.0
            and min(self.width, self.height) > 0.0
            and max(self.x + self.width, self.y + self.height) <= 1.0 + 1e-6
        )
        if not inside:
            raise InputError(
                f"tile_box is {self}; x, y, width and height are fractions of the master: "
                "from 0, sizes above 0, and the box inside 1 × 1"
            )

    def __str__(self) -> str:
        return f"{self.x:g},{self.y:g},{self.width:g},{self.height:g}"

    @staticmethod
    def parse(text: str) -> "TileBox":
        """The box written as "x,y,width,height". Raises InputError for anything else."""
        try:
            x, y, width, height = (float(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(
                f"tile_box is {text!r}; it must be four numbers 'x,y,width,height' from 0 to 1"
            ) from error
        return TileBox(x, y, width, height)


WHOLE = TileBox(0.0, 0.0, 1.0, 1.0)
"""The box of a tile that is the master."""


@dataclass(frozen=True)
class Wrap:
    """The axes along which opposite edges of a picture meet: tileable textures, 360° panoramas."""

    x: bool = False
    """Whether the right edge meets the left one."""
    y: bool = False
    """Whether the lower edge meets the upper one."""

    def __bool__(self) -> bool:
        return self.x or self.y

    def __str__(self) -> str:
        return "x" * self.x + "y" * self.y

    @staticmethod
    def parse(text: str) -> "Wrap":
        """The axes written as "x", "y", "xy" or "" (none). Raises InputError for anything else."""
        if text not in ("", "x", "y", "xy"):
            raise InputError(f"wrap is {text!r}; it must be x (left meets right), y (top meets bottom) or xy")
        return Wrap("x" in text, "y" in text)


NO_WRAP = Wrap()


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in source pixels: it covers [start, stop)."""

    start: int
    stop: int


def spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Cut `length` pixels into the fewest spans of at most `tile`, neighbours sharing at least `overlap`.

    0 ≤ overlap < tile. The spans are in order, and equally long to within a pixel, so that no sliver is left
    at the end.
    """
    if length <= tile:
        return [Span(0, length)]
    count = math.ceil((length - overlap) / (tile - overlap))
    inner = (length - overlap) / count
    starts = [round(i * inner) for i in range(count)] + [length - overlap]
    return [Span(starts[i], starts[i + 1] + overlap) for i in range(count)]
