"""A picture of any size stored on disk as linear light, band by band; tiles of a master are read from it.

    bytes ─ io/read_rows ─→ samples of a band ─ io/linearize ─→ upright float32 rows in a file

The file holds rgb (height, width, 3) float32, then alpha (height, width) float32 if there is any, both as in
Picture. `write_linear_file` runs in the decoding process (isolation/worker.py); where the format can
be read in bands, it needs memory for one band only. `LinearFile` reads any part of the file.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Alpha, FileInfo
from luxscaler.io.limits import check_limits, most_map_pixels, pixels_of
from luxscaler.io.linearize import REPAIRED, as_stored, has_equal_channels, linearize, upright_size
from luxscaler.io.read import (
    gain_map_pixels,
    header_of,
    one_line_errors,
    read_gain_map,
    with_late_profile,
)
from luxscaler.io.read_rows import BAND_BYTES, MAX_WHOLE_PIXELS, can_stream, check_whole, read_bands
from luxscaler.options import MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.words import counted

_FLOAT = 4


def linear_bytes(width: int, height: int, has_alpha: bool) -> int:
    """Bytes of the arrays in the file."""
    return width * height * (4 if has_alpha else 3) * _FLOAT


def write_linear_file(
    stream: BinaryIO,
    name: str,
    target: int,
    *,
    max_pixels: int,
    limits: DecodeLimits,
    on_header: Callable[[int], None],
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> tuple[int, int, bool, PictureSource]:
    """Decode `stream` into the open file `target`. Returns width, height, whether there is alpha, and its
    source.

    on_header: called with the number of pixels that will be in memory at once, and again where they turn
    out to be more. Infinite values become the largest finite size of their band. Raises PictureError,
    PictureTooLargeError, and OSError if the disk is full. sdr, choice: as in read_picture. A gain map is in
    memory as a whole, and has the limit of such pictures.
    """
    with one_line_errors(name):
        stream.seek(0)
        decoder, info = header_of(stream, choice)
        file_bytes = stream.seek(0, 2)
        check_limits(info, file_bytes, max_pixels, limits)
        most = most_map_pixels(file_bytes, min(max_pixels, MAX_WHOLE_PIXELS), limits)
        if not can_stream(info):
            check_whole(info)
        of_map = gain_map_pixels(info, most, sdr=sdr)
        on_header(_pixels_at_once(info) + of_map)
        info = with_late_profile(stream, info)
    width, height = upright_size(info)
    has_alpha = info.alpha is not Alpha.NONE
    _reserve(target, linear_bytes(width, height, has_alpha))  # a full disk is not the picture's fault
    rgb, alpha = _mapped(target, width, height, has_alpha)
    seen = _Seen()
    with one_line_errors(name):
        gain_map, said = read_gain_map(stream, info, most, sdr=sdr)
        whole = pixels_of(info) + of_map
        for top, samples in read_bands(stream, decoder, info, on_whole=lambda: on_header(whole)):
            if top == 0:  # it begins anew where the picture turns out not to come in bands
                seen = _Seen()
            if info.is_float:
                seen.repaired += int((~np.isfinite(samples)).any(axis=2).sum())
            band = linearize(samples, replace(info, orientation=1))
            seen.has_light_apart = seen.has_light_apart or band.source.has_light_apart
            if gain_map is not None:
                gain_map.apply(band.rgb, top)
                seen.is_grey = seen.is_grey and has_equal_channels(band.rgb)
            rows = slice(top, top + samples.shape[0])
            as_stored(rgb, info.orientation)[rows] = band.rgb
            if alpha is not None and band.alpha is not None:
                as_stored(alpha, info.orientation)[rows] = band.alpha
            seen.source = band.source
            seen.notices |= dict.fromkeys(band.source.notices)
            del band  # free its memory before the next one is decoded
    return width, height, has_alpha, _source(seen, info, said)


@dataclass
class _Seen:
    """What was found in the bands so far."""

    source: PictureSource = PictureSource()
    repaired: int = 0
    is_grey: bool = True
    has_light_apart: bool = False
    notices: dict[str, None] = field(default_factory=dict)


def _source(seen: _Seen, info: FileInfo, said: tuple[str, ...]) -> PictureSource:
    notices = tuple(text for text in seen.notices if REPAIRED not in text) + said
    if seen.repaired:
        notices += (f"repaired: {counted(seen.repaired, 'pixel')} {REPAIRED}",)
    dpi = info.metadata.resolution_dpi
    turned = info.orientation in (5, 6, 7, 8)
    dpi = dpi[::-1] if dpi and turned else dpi
    inherited = seen.source.inherited
    if turned:
        inherited = replace(inherited, pixel_aspect=1.0 / inherited.pixel_aspect)
    is_grey = seen.source.is_grey and seen.is_grey
    return replace(
        seen.source,
        notices=notices,
        resolution_dpi=dpi,
        inherited=inherited,
        is_grey=is_grey,
        has_light_apart=seen.has_light_apart,
    )


def _pixels_at_once(info: FileInfo) -> int:
    pixels = pixels_of(info)
    if not can_stream(info):
        return pixels
    # A band, and what the library holds of a row of tiles.
    return min(pixels, BAND_BYTES + 1024 * info.width)


def _reserve(file: int, size: int) -> None:
    """Claim the space: a disk that is full later would kill this process as it writes into the mapping."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def _mapped(file: int, width: int, height: int, has_alpha: bool) -> tuple[FloatArray, FloatArray | None]:
    with os.fdopen(file, "r+b", buffering=0, closefd=False) as stream:
        rgb = np.memmap(stream, np.float32, "r+", 0, (height, width, 3))
        if not has_alpha:
            return rgb, None
        return rgb, np.memmap(stream, np.float32, "r+", rgb.nbytes, (height, width))


@dataclass(frozen=True)
class LinearFile:
    """A picture stored on disk as linear light; any part of it can be read."""

    path: Path
    width: int
    height: int
    has_alpha: bool
    source: PictureSource

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right), read from disk into new arrays.

        Raises PictureError where the file is shorter than the picture.
        """
        size = (bottom - top, right - left)
        rgb = np.empty((*size, 3), np.float32)
        alpha = np.empty(size, np.float32) if self.has_alpha else None
        with self.path.open("rb", buffering=0) as file:
            self._read(file, rgb, top, left, 3, 0)
            if alpha is not None:
                self._read(file, alpha, top, left, 1, self.width * self.height * 3 * _FLOAT)
        return Picture(rgb, alpha, self.source)

    def _read(
        self, file: BinaryIO, target: FloatArray, top: int, left: int, channels: int, offset: int
    ) -> None:
        whole_rows = target.shape[1] == self.width
        count = 1 if whole_rows else target.shape[0]
        for row in range(count):
            part = target if whole_rows else target[row]
            start = offset + ((top + row) * self.width + left) * channels * _FLOAT
            view = np.ascontiguousarray(part).data.cast("B")
            while view:
                got = os.preadv(file.fileno(), [view], start)
                if got == 0:
                    raise PictureError(f"{self.path} is shorter than it was when it was written")
                view, start = view[got:], start + got

    def whole(self) -> Picture:
        """The whole picture, read into memory."""
        return self.region(0, self.height, 0, self.width)
