"""TIFF in rows of tiles: values, coding and tags are those of write.py, but tiles where that has strips.

tifffile takes tiles one by one, and no strips; and a viewer of a large master wants a part of it, not all.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from luxscaler.io.float_rounding import round_mantissa
from luxscaler.io.frame import Frame
from luxscaler.io.tiff.write import CLASSIC_BYTES, settings, without_axis_of_one
from luxscaler.picture import FloatArray

TILE = 256
"""Side in pixels; a multiple of 16 (TIFF 6.0, section 15)."""


def band_rows(_: Frame) -> int:
    """Return a row of tiles."""
    return TILE


def write_tiff_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """Write the bands, which are of TILE rows, the last one of what is left."""
    width = head.rgb.shape[1]
    channels = head.channels
    tiles = -(-width // TILE) * -(-height // TILE)
    tifffile.imwrite(
        path,
        _tiles(bands),
        shape=(height, width, channels) if channels > 1 else (height, width),
        dtype=np.float32,
        tile=(TILE, TILE),
        bigtiff=tiles * TILE**2 * channels * 4 > CLASSIC_BYTES,
        **settings(head),
    )


def _tiles(bands: Iterator[Frame]) -> Iterator[FloatArray]:
    """From left to right, from the top; tifffile fills up those at the right and the lower edge."""
    for band in bands:
        samples = round_mantissa(band.samples(), band.options.mantissa_bits)
        for left in range(0, samples.shape[1], TILE):
            yield without_axis_of_one(samples[:, left : left + TILE])
