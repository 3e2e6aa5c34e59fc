"""The samples of a file, as a whole or band by band, so that a large picture need not be in memory at once.

For PNG, JPEG, TIFF and OpenEXR in their usual layouts bands come through OpenImageIO; the samples are bit for
bit those of the decoders (a test compares them). For every other layout, and where OpenImageIO is not
installed, `read_bands` decodes the whole picture. Where one of the two readers refuses a file, the other is
tried, so that a file can be read as a whole if and only if it can be read in bands.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io.decoder import Alpha, Decoder, FileInfo, Samples
from luxscaler.io.limits import pixels_of
from luxscaler.io.oiio import image_input, one_line
from luxscaler.io.tiff.read import check_deflate
from luxscaler.words import counted

BAND_BYTES = 16 * 2**20
"""Samples read at once, about."""
MAX_WHOLE_PIXELS = 150_000_000
"""Largest picture of a layout that cannot be read in bands: its samples are in memory as a whole."""
_LAYOUTS = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}
_FLOATS = ("half", "float")
_FLOAT_BITS = (16, 32)
"""TIFF has floats of 24 bits too, which OpenImageIO reads as other numbers."""
_PHOTOMETRICS = (None, 1, 2)
"""Of TIFF: grey and RGB. Palettes and JPEG's YCbCr come out other than the decoder's."""
_KINDS = {"png": (8, 16), "jpeg": (8,), "tiff": (8, 16), "exr": ()}


def can_stream(info: FileInfo) -> bool:
    """Whether OpenImageIO may read it; the opened file must have the same layout, which is checked then."""
    if info.format not in _KINDS or info.inverted or not info.is_plain:
        return False
    if info.format == "jpeg" and info.channels == 4:  # CMYK
        return False
    if info.is_float:
        return info.bits in _FLOAT_BITS
    # Premultiplied integers lose bits on the way; they are rare.
    return info.bits in _KINDS[info.format] and info.alpha is not Alpha.ASSOCIATED


def check_whole(info: FileInfo) -> None:
    """Raise PictureTooLargeError for a picture that is too large to be decoded at once."""
    pixels = pixels_of(info)
    if pixels > MAX_WHOLE_PIXELS:
        raise PictureTooLargeError(
            f"has {counted(pixels, 'pixel', ',')} ({info.width} × {info.height}), "
            f"the limit is {MAX_WHOLE_PIXELS:,} for its layout, which cannot be read in bands"
        )


def whole_samples(stream: BinaryIO, decoder: Decoder, info: FileInfo) -> Samples:
    """(height, width, channels) of the whole picture, before orientation. Raises PictureError, or what the
    decoder's library raises.
    """
    try:
        samples = decoder.read_samples(stream, info)
        _check_shape(samples, info)
    except Exception as error:
        if isinstance(error, MemoryError) or not can_stream(info):
            raise
        try:
            with _streamed(stream, info) as bands:
                if bands is not None:
                    return np.concatenate([samples for _, samples in bands])
        except PictureError:
            pass  # two readers refuse it; what the decoder says is better
        raise
    return samples


def read_bands(
    stream: BinaryIO, decoder: Decoder, info: FileInfo, *, on_whole: Callable[[], None]
) -> Iterator[tuple[int, Samples]]:
    """Yield the first row and the samples of each band, top to bottom, before orientation.

    If a band turns out to be damaged, the decoder reads the whole picture and bands come again from the top.
    on_whole: called before a picture that should have come in bands is decoded as a whole. Raises
    PictureError, or what the decoder's library raises.
    """
    if can_stream(info):
        try:
            with _streamed(stream, info) as bands:
                if bands is not None:
                    yield from bands
                    return
        except PictureError:
            if pixels_of(info) > MAX_WHOLE_PIXELS:
                raise
        check_whole(info)
        on_whole()
    check_whole(info)
    samples = decoder.read_samples(stream, info)
    _check_shape(samples, info)
    rows = max(1, BAND_BYTES // (samples.strides[0] or 1))
    for top in range(0, info.height, rows):
        yield top, samples[top : top + rows]


def _check_shape(samples: Samples, info: FileInfo) -> None:
    if samples.shape != (info.height, info.width, info.channels):
        raise PictureError(
            f"is damaged: its header says {info.width} × {info.height} × {info.channels}, "
            f"its data {' × '.join(str(samples.shape[axis]) for axis in (1, 0, 2))}"
        )


@contextmanager
def _streamed(stream: BinaryIO, info: FileInfo) -> Iterator[Iterator[tuple[int, Samples]] | None]:
    """Bands by OpenImageIO; None where it is not installed, or sees another layout than the decoder did."""
    with image_input(stream) as (file, _):
        # With an error, the file may be whole and slightly irregular: the decoder decides.
        if (
            file is None
            or file.geterror()
            or (info.subimage and not file.seek_subimage(info.subimage, 0))
            or not _is_same_layout(file.spec(), info)
        ):
            yield None
        else:
            if info.format == "tiff":
                check_deflate(stream)
            yield _rows(file, file.spec(), info)


def _is_same_layout(spec: Any, info: FileInfo) -> bool:
    return (
        (spec.width, spec.height, spec.nchannels) == (info.width, info.height, info.channels)
        and tuple(spec.channelnames) == _LAYOUTS.get(info.channels)
        and (spec.x, spec.y, spec.full_x, spec.full_y) == (0, 0, 0, 0)
        and (spec.full_width, spec.full_height) == (spec.width, spec.height)
        and str(spec.format) in (_FLOATS if info.is_float else (f"uint{info.bits}",))
        and spec.getattribute("tiff:PhotometricInterpretation") in _PHOTOMETRICS
        and not (info.format == "tiff" and spec.getattribute("compression") == "jpeg")
        and not spec.getattribute("png:interlaced")
    )


def _rows(file: Any, spec: Any, info: FileInfo) -> Iterator[tuple[int, Samples]]:
    kind = "float" if info.is_float else f"uint{info.bits}"
    row_bytes = info.width * info.channels * (4 if info.is_float else info.bits // 8)
    rows = max(1, BAND_BYTES // row_bytes)
    tile_height = spec.tile_height
    if tile_height:
        rows = max(1, rows // tile_height) * tile_height
    for top in range(0, info.height, rows):
        bottom = min(top + rows, info.height)
        if tile_height:
            samples = file.read_tiles(0, info.width, top, bottom, 0, 1, 0, info.channels, kind)
        else:
            samples = file.read_scanlines(top, bottom, 0, 0, info.channels, kind)
        error = file.geterror()
        if samples is None or error:
            raise PictureError(f"is damaged or truncated: {one_line(error) or 'rows are missing'}")
        yield top, samples.reshape(bottom - top, info.width, info.channels)
