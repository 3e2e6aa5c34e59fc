"""A picture larger than memory, row by row from the top into a file that appears whole or not at all.

Rows come in any number at once; they are checked, collected into the bands that suit a format, and encoded in
a second thread. Each band is a Frame and goes through the functions that write whole pictures, so that what a
file says and how its values are rounded is the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from luxscaler.errors import ExportError
from luxscaler.io.atomic import Partial, translated
from luxscaler.io.checks import check_rows
from luxscaler.io.exr import write_rows as exr
from luxscaler.io.formats import ASSOCIATED_FORMATS
from luxscaler.io.frame import Frame
from luxscaler.io.png import write_rows as png
from luxscaler.io.pump import Pump
from luxscaler.io.tiff import write_rows as tiff
from luxscaler.picture import FloatArray
from luxscaler.words import counted

Encode = Callable[[Path, Frame, int, Iterator[Frame]], None]
"""(path, a Frame without rows, the height, bands from the top) → a file."""


@dataclass(frozen=True)
class StreamFormat:
    """How a format is streamed."""

    encode: Encode
    band_rows: Callable[[Frame], int]
    """Rows of every band but the last."""


_STREAMED = {
    "tiff": StreamFormat(tiff.write_tiff_bands, tiff.band_rows),
    "tiff16": StreamFormat(tiff.write_tiff16_bands, tiff.band_rows),
    "exr": StreamFormat(exr.write_exr_bands, exr.band_rows),
    "png": StreamFormat(png.write_png_bands, png.band_rows),
    "png-pq": StreamFormat(png.write_png_pq_bands, png.band_rows),
}


class StreamWriter:
    """Takes the rows, from one thread at a time."""

    def __init__(self, head: Frame, height: int, band_rows: int, pump: Pump[Frame]) -> None:
        self._head, self._height, self._band_rows, self._pump = head, height, band_rows, pump
        self._band: Frame | None = None
        self._filled = 0
        self._failed = False
        self.rows = 0
        """How many were written so far."""

    def write(self, rgb: FloatArray, alpha: FloatArray | None = None) -> None:
        """Write the next rows; they are copied, so the arrays may be used again.

        rgb: (n, width, 3) float32, n ≥ 1, linear Rec.709, D65, 1.0 = SDR white = 203 cd/m², finite.
        alpha: (n, width) float32 in [0, 1], straight, if and only if the stream was opened with has_alpha.

        Raises ExportError, here also for what went wrong with earlier rows. No file comes out after an error.
        """
        if self._failed:
            raise ExportError("no more rows can be written: earlier ones failed")
        self._failed = True
        check_rows(self._head, rgb, alpha)
        if self.rows + len(rgb) > self._height:
            raise ExportError(f"got {self.rows + len(rgb)} rows of a picture of {self._height}")
        start = 0
        while start < len(rgb):
            start += self._collect(rgb[start:], None if alpha is None else alpha[start:])
        self._failed = False

    def finish(self) -> None:
        """Wait for the end of the encoding. Raises ExportError if rows are missing."""
        if self._failed or self.rows < self._height:
            raise ExportError(
                f"got {counted(self.rows, 'row')} of a picture of {self._height}: it is not complete"
            )
        self._pump.finish()

    def _collect(self, rgb: FloatArray, alpha: FloatArray | None) -> int:
        """Copy what the band has room for; return how many rows that are."""
        if self._band is None:
            self._band = _empty(self._head, min(self._band_rows, self._height - self.rows))
            self._filled = 0
        band = self._band
        count = min(len(rgb), len(band.rgb) - self._filled)
        place = slice(self._filled, self._filled + count)
        band.rgb[place] = rgb[:count]
        if band.alpha is not None and alpha is not None:
            band.alpha[place] = alpha[:count]
        self._filled += count
        self.rows += count
        if self._filled == len(band.rgb):
            self._band = None
            self._pump.put(band)
        return count


@contextmanager
def streaming(path: Path, name: str, head: Frame, height: int) -> Iterator[StreamWriter]:
    """Open a file of the format `name`; it is there when the block has ended without an error.

    head: a Frame without rows, (0, width, 3), and (0, width) where there is alpha. Raises ExportError.
    """
    partial = Partial(path)
    try:
        pump = Pump[Frame](lambda bands: _encode(name, path, partial.path, head, height, bands))
        try:
            writer = StreamWriter(head, height, _STREAMED[name].band_rows(head), pump)
            yield writer
            writer.finish()
        finally:
            pump.abort()
        partial.keep()
    finally:
        partial.discard()


def _encode(name: str, target: Path, path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    straight = head if name in ASSOCIATED_FORMATS else head.straight()
    with translated(target, path.name):
        _STREAMED[name].encode(
            path, straight, height, bands if straight is head else (band.straight() for band in bands)
        )


def _empty(head: Frame, rows: int) -> Frame:
    width = head.rgb.shape[1]
    alpha = None if head.alpha is None else np.empty((rows, width), np.float32)
    return replace(head, rgb=np.empty((rows, width, 3), np.float32), alpha=alpha)
