"""Overscan: an EXR read as its data window, and what its windows are in a larger picture.

The picture of an EXR is its display window; a plate holds more around it, or less of it. To keep that, the
header's display window is overwritten by the data window before the file is read, and the result gets both
windows, enlarged.
"""

from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO

from luxscaler.errors import InputError, PictureError
from luxscaler.io.exr.header import MAGIC, Window, read_parts

_DISPLAY = b"displayWindow\0box2i\0\x10\0\0\0"
_LARGEST = 2**30
"""OpenEXR refuses windows beyond half of the 32-bit numbers."""


@dataclass(frozen=True)
class Windows:
    """Where the pixels of an EXR lie, in whole pixels of one plane."""

    origin: tuple[int, int]
    """Left and top of the data window."""
    display: Window

    def scaled(self, scale: float) -> "Windows":
        """The windows of a picture `scale` times as large. Raises InputError where an edge would cut a
        pixel."""
        exact = Fraction(str(float(scale)))
        left, top, right, bottom = self.display
        edges = [edge * exact for edge in (*self.origin, left, top, right + 1, bottom + 1)]
        if any(edge.denominator != 1 or abs(edge) > _LARGEST for edge in edges):
            raise InputError(
                f"overscan is keep, and at the scale {scale:g} the edges of its windows are no whole pixels: "
                "take a whole scale"
            )
        x, y, left, top, right, bottom = (int(edge) for edge in edges)
        return Windows((x, y), (left, top, right - 1, bottom - 1))


def opened_up(data: bytes) -> tuple[bytes, Windows]:
    """The file with its data window as what is shown, and both windows as they were.

    Raises PictureError, the rest of a sentence, for what is no EXR of one part, or has a damaged header.
    """
    if not data.startswith(MAGIC):
        raise PictureError("is no EXR; overscan is a matter of EXR")
    stream = BytesIO(data)
    parts = read_parts(stream)
    if len(parts) > 1:
        raise PictureError(f"is an EXR of {len(parts)} parts; overscan is kept of one part only")
    shown, held = parts[0].window("displayWindow"), parts[0].window("dataWindow")
    place = data.find(_DISPLAY, 0, stream.tell())
    if place < 0:
        raise PictureError("has a damaged EXR header: its displayWindow is not where it was")
    start = place + len(_DISPLAY)
    window = b"".join(side.to_bytes(4, "little", signed=True) for side in held)
    return data[:start] + window + data[start + len(window) :], Windows((held[0], held[1]), shown)
