"""TIFF in rows of tiles: values, coding and tags are those of write.py, but tiles where that has strips.

tifffile takes tiles one by one, but not strips; and viewers of large masters read them tile by tile.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from luxscaler.io.float_rounding import round_mantissa
from luxscaler.io.frame import Frame
from luxscaler.io.sdr import as_written, encode_sdr
from luxscaler.io.tiff.write import CLASSIC_BYTES, append_exif, settings, without_axis_of_one
from luxscaler.picture import FloatArray

TILE = 256
"""Side in pixels; a multiple of 16 (TIFF 6.0, section 15)."""


def band_rows(_: Frame) -> int:
    """Return a row of tiles."""
    return TILE


def write_tiff_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """Write the bands, which are of TILE rows, the last one of what is left."""
    _write(path, head, height, _tiles(_light(band) for band in bands), is_float=True)


def write_tiff16_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """The same of the SDR rendering for head.sdr_peak, in 16 bits."""
    coded = (as_written(encode_sdr(band, np.dtype(np.uint16)), band) for band in bands)
    _write(path, head, height, _tiles(coded), is_float=False)


def _write(path: Path, head: Frame, height: int, tiles: Iterator[NDArray[Any]], *, is_float: bool) -> None:
    width = head.rgb.shape[1]
    channels = head.channels
    count = -(-width // TILE) * -(-height // TILE)
    big = count * TILE**2 * channels * (4 if is_float else 2) > CLASSIC_BYTES
    tifffile.imwrite(
        path,
        tiles,
        shape=(height, width, channels) if channels > 1 else (height, width),
        dtype=np.float32 if is_float else np.uint16,
        tile=(TILE, TILE),
        **settings(head, big=big, is_float=is_float),
    )
    append_exif(path, head)


def _light(band: Frame) -> FloatArray:
    return round_mantissa(band.samples(), band.options.mantissa_bits)


def _tiles(bands: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """From left to right, from the top; tifffile fills up those at the right and the lower edge."""
    for samples in bands:
        for left in range(0, samples.shape[1], TILE):
            yield without_axis_of_one(samples[:, left : left + TILE])
