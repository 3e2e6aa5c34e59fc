"""What every writer gets: the picture, the options, and what the file says about itself."""

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import apply_matrix
from luxscaler.io.options import ExportOptions
from luxscaler.io.profiles import OutputProfile, profile_named
from luxscaler.picture import NOTHING_INHERITED, ExrAttribute, FloatArray, Inherited

Metadata = Mapping[str, str | float | int]
"""Names and values of what a file says about its making, e.g. {"hdr_boost": 1.5}."""
Coded = NDArray[np.uint8 | np.uint16 | np.float16]
"""(height, width, 3 or 4) samples as a format stores them; see write.CODED_TYPES."""

ESTIMATED_RANGE_COMMENT = "The range above SDR white is estimated from an SDR picture by hdr_boost."
THREADS = min(16, os.cpu_count() or 1)
"""Of the encoders: ZIP of a 4096² EXR takes 3.5 s with 1 thread, 1.16 with 4, 0.40 with 16 (16 cores)."""
_BAND_PIXELS = 1 << 15  # a band of float64 RGB is 0.75 MiB: it stays in the cache


@dataclass(frozen=True)
class Frame:
    """A picture to be written, or a band of its rows, and how; checked by io/write.py or checks.py."""

    rgb: FloatArray
    """(height, width, 3), linear Rec.709, 1.0 = SDR white, unbounded, finite."""
    alpha: FloatArray | None
    """(height, width) in [0, 1]; the colour is straight unless is_associated."""
    sdr_peak: float
    """Linear value that PNG, WebP and 16-bit TIFF show as SDR white."""
    options: ExportOptions
    metadata: Metadata
    resolution_dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    inherited: Inherited = NOTHING_INHERITED
    is_grey: bool = False
    """Whether the channels are equal; formats that can then write one take the second (green)."""
    is_associated: bool = False
    """Whether rgb is premultiplied, and may hold light where alpha is 0."""
    sdr: FloatArray | None = None
    """What a gain-map JPEG shows as SDR, like rgb; None: rgb itself, tone-mapped."""

    exr_attributes: tuple[ExrAttribute, ...] = ()
    """What an EXR inherits from one, as in PictureSource."""
    coded: Coded | None = None
    """(height, width, 3 or 4) as the format stores it, where that was made before; rgb has no rows then."""

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel / its height."""
        if self.resolution_dpi is None:
            return self.inherited.pixel_aspect
        return self.resolution_dpi[1] / self.resolution_dpi[0]

    def notes(self) -> str:
        """Metadata and comment as JSON in ASCII, the only characters that TIFF tags and PNG's tEXt share."""
        comment = {"comments": ESTIMATED_RANGE_COMMENT} if self.options.estimated_range else {}
        return json.dumps({**comment, "luxscaler": dict(self.metadata)})

    @property
    def channels(self) -> int:
        """The number of channels that `samples` returns."""
        return (1 if self.has_one_channel else 3) + (self.alpha is not None)

    def samples(self) -> FloatArray:
        """(height, width, 1 to 4), contiguous: grey or colour, and alpha; the caller's own array where
        there is neither grey nor alpha.
        """
        if not self.has_one_channel:
            return self.interleaved()
        planes = np.empty((*self.rgb.shape[:2], self.channels), np.float32)
        planes[..., 0] = self.rgb[..., 1]
        if self.alpha is not None:
            planes[..., 1] = self.alpha
        return planes

    def straight(self) -> "Frame":
        """The same with straight colour: black where alpha is 0."""
        if self.alpha is None or not self.is_associated:
            return self
        alpha = self.alpha[..., None]
        rgb = np.divide(self.rgb, alpha, out=np.zeros_like(self.rgb), where=alpha > 0)
        limit = np.finfo(np.float32).max
        return replace(self, rgb=rgb.clip(-limit, limit), is_associated=False)

    @property
    def has_one_channel(self) -> bool:
        """Whether grey formats can write it as one channel: profiles other than sRGB have three channels."""
        return self.is_grey and self.profile.name == "srgb"

    @property
    def profile(self) -> OutputProfile:
        """The colour space of the file, where its format leaves the choice."""
        return profile_named(self.options.profile)

    def interleaved(self) -> FloatArray:
        """(height, width, 3 or 4), linear light in the profile's primaries, contiguous; the caller's own
        array where that is possible."""
        matrix = self.profile.matrix
        rgb = self.rgb if matrix is None else apply_matrix(self.rgb, matrix)
        if self.alpha is None:
            return np.ascontiguousarray(rgb)
        rgba = np.empty((*self.alpha.shape, 4), np.float32)
        rgba[..., :3] = rgb
        rgba[..., 3] = self.alpha
        return rgba


def rows_of_a_band(width: int) -> int:
    """Return how many rows of that many pixels `in_bands` works on at once."""
    return max(1, _BAND_PIXELS // width)


def in_bands(height: int, width: int, work: Callable[[slice], None]) -> None:
    """Call `work` for bands of rows, on several threads: NumPy computes without Python's lock.

    Bands keep float64 temporaries small; which thread takes which band does not show in the result.
    """
    rows = rows_of_a_band(width)
    bands = [slice(start, min(start + rows, height)) for start in range(0, height, rows)]
    if len(bands) == 1 or THREADS == 1:
        for band in bands:
            work(band)
        return
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(work, bands):
            pass
