"""A result of a size that is asked for in pixels, megapixels or centimetres: how large, and at which scale.

The network runs at the scale of the request, or at the next whole one where that is too little; the result is
then reduced in linear light (tiling/reduction.py). The proportions of the picture always stay.
"""

import math
import re
from dataclasses import dataclass

from luxscaler.checks import check_fields, check_type
from luxscaler.errors import InputError
from luxscaler.geometry import MAX_SCALE

MAX_SIDE = 2**20
"""Pixels of a side at most."""
_PRINT = re.compile(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)(mm|cm|in)@(\d+(?:\.\d+)?)", re.IGNORECASE)
_INCHES = {"mm": 1 / 25.4, "cm": 1 / 2.54, "in": 1.0}
_DPI_LIMITS = (1.0, 10_000.0)


@dataclass(frozen=True)
class PrintSize:
    """A sheet of paper on which a picture is to fit."""

    width: float
    """In inches."""
    height: float
    dpi: float
    """Pixels per inch."""
    text: str
    """The sheet as the user wrote it, for messages."""

    @staticmethod
    def parse(text: str) -> "PrintSize":
        """The sheet written as "60x40cm@300": size, unit (cm, mm, in), dots per inch. Raises InputError."""
        check_type("print", text, str)
        found = _PRINT.fullmatch(text.replace(" ", ""))
        if found is None:
            raise InputError(
                f"print is {text!r}; it must be WIDTHxHEIGHT, mm, cm or in, and @DPI, as in 60x40cm@300"
            )
        per_unit, dpi = _INCHES[found[3].lower()], float(found[4])
        width, height = float(found[1]) * per_unit, float(found[2]) * per_unit
        low, high = _DPI_LIMITS
        if not (low <= dpi <= high and min(width, height) > 0.0):
            raise InputError(f"print is {text!r}; sizes must be above 0, and DPI from {low:g} to {high:g}")
        return PrintSize(width, height, dpi, text)


@dataclass(frozen=True)
class FinalSize:
    """How large a result is to be, by exactly one field. Raises InputError for none, several or a bad one."""

    width: int | None = None
    """Pixels."""
    height: int | None = None
    long_edge: int | None = None
    megapixels: float | None = None
    """Millions of pixels."""
    print: PrintSize | None = None
    """The picture fits on the sheet, which is turned to the picture's orientation; nothing is cut off."""

    def __post_init__(self) -> None:
        check_fields(self)
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            names = " and ".join(given) or "none"
            raise InputError(f"give one of width, height, long_edge, megapixels and print; got {names}")
        for name, value in given.items():
            limit = MAX_SIDE if name != "megapixels" else MAX_SIDE**2 / 1e6
            if not isinstance(value, PrintSize) and not 0 < value <= limit:
                raise InputError(f"{name} is {value:,}; it must be above 0, at most {limit:,.0f}")

    @staticmethod
    def of(
        width: int | None = None,
        height: int | None = None,
        long_edge: int | None = None,
        megapixels: float | None = None,
        print_size: str | None = None,
    ) -> "FinalSize | None":
        """From options of which at most one is given; None where none is. Raises InputError."""
        sheet = None if print_size is None else PrintSize.parse(print_size)
        options = (width, height, long_edge, megapixels, sheet)
        return FinalSize(*options) if any(value is not None for value in options) else None

    @property
    def dpi(self) -> tuple[float, float] | None:
        """The resolution that the result's file states; None: that of its source."""
        return None if self.print is None else (self.print.dpi, self.print.dpi)

    def of_picture(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result for a picture of that size. Raises InputError above MAX_SIDE."""
        factor = self._factor(width, height)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        if max(size) > MAX_SIDE:
            raise InputError(
                f"the result would have {size[0]} × {size[1]} pixels; {MAX_SIDE} a side is the most"
            )
        return size

    def _factor(self, width: int, height: int) -> float:
        if self.width is not None:
            return self.width / width
        if self.height is not None:
            return self.height / height
        if self.long_edge is not None:
            return self.long_edge / max(width, height)
        if self.megapixels is not None:
            return math.sqrt(self.megapixels * 1e6 / (width * height))
        assert self.print is not None  # noqa: S101 - one is given
        sheet = self.print.width * self.print.dpi, self.print.height * self.print.dpi
        if (sheet[0] < sheet[1]) != (width < height):
            sheet = sheet[::-1]
        return min(sheet[0] / width, sheet[1] / height)


def scale_for(final: tuple[int, int], width: int, height: int, scale: float) -> float:
    """The scale at which the network runs: `scale`, or the least whole number that reaches `final`.

    final: (width, height) of the result. width, height: of the source. Raises InputError if 8 is too little.
    """
    factor = max(final[0] / width, final[1] / height)
    # A side is rounded, so that it may be half a pixel more than the scale gives.
    if max(final[0] - width * scale, final[1] - height * scale) <= 0.5:
        return scale
    if factor > MAX_SCALE:
        raise InputError(
            f"the result would have {final[0]} × {final[1]} pixels, {factor:.2f} times the picture's "
            f"{width} × {height}; {MAX_SCALE:g} times is the most"
        )
    return float(math.ceil(factor))


def size_notices(
    size: FinalSize, final: tuple[int, int], width: int, height: int, asked: float, scale: float
) -> tuple[str, ...]:
    """Notices about a result of that size. asked: the scale of the request; scale: the one that is used."""
    notices: tuple[str, ...] = ()
    if scale > asked:
        factor = max(final[0] / width, final[1] / height)
        notices += (
            f"the result is {factor:.2f} times the picture, more than the scale {asked:g}: it is resampled "
            f"from {scale:g} times, most of it without new detail",
        )
    if size.print is not None:
        inches = [pixels / size.print.dpi for pixels in final]
        notices += (
            f"print {size.print.text}: {final[0]} × {final[1]} pixels, "
            f"{inches[0] * 2.54:.1f} × {inches[1] * 2.54:.1f} cm on paper",
        )
    return notices
