"""OpenEXR in bands of scan lines or rows of tiles.

By OpenImageIO, since OpenEXR's own binding writes whole pictures only. Values and attributes are those of
write.py. OpenImageIO leaves out attributes whose text is empty; nothing else differs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luxscaler.errors import ExportError
from luxscaler.io.exr.codec import codec
from luxscaler.io.exr.standard import placeholder, put_in_place
from luxscaler.io.exr.write import attributes, channel_names, stored_samples
from luxscaler.io.frame import THREADS, Frame

_BAND_BYTES = 32 << 20
_BAND_STEP = 64
"""Rows: whole blocks of every codec (at most 32), and several of them for the threads."""


def band_rows(head: Frame) -> int:
    """Return a row of tiles, or scan lines of about 32 MiB."""
    if head.options.exr_tile:
        return head.options.exr_tile
    width: int = head.rgb.shape[1]
    channels = head.channels
    return max(1, _BAND_BYTES // (width * channels * 4) // _BAND_STEP) * _BAND_STEP


def write_exr_bands(path: Path, head: Frame, height: int, bands: Iterator[Frame]) -> None:
    """Write the bands, which are of `band_rows` rows, the last one of what is left."""
    oiio = _library()
    samples = map(stored_samples, bands)
    first = next(samples)  # a codec that is chosen by the samples follows these
    spec = _spec(oiio, head, height, codec(head.options, first))
    file = oiio.ImageOutput.create("openexr")
    if file is None or not file.open(str(path), spec):
        raise OSError(oiio.geterror() if file is None else file.geterror())
    try:
        top = _written(file, spec, spec.y, first)
        del first
        for rows in samples:
            top = _written(file, spec, top, rows)
    finally:
        closed = file.close()
    if not closed:
        raise OSError(file.geterror())
    put_in_place(path, head.exr_attributes)


def _written(file: Any, spec: Any, top: int, rows: NDArray[np.float32 | np.float16]) -> int:
    """Write rows from `top`; return where they end."""
    bottom = top + len(rows)
    if spec.tile_width:
        written = file.write_tiles(spec.x, spec.x + spec.width, top, bottom, 0, 1, rows)
    else:
        written = file.write_scanlines(top, bottom, 0, rows)
    if not written:
        raise OSError(file.geterror())
    return bottom


def _library() -> Any:
    try:
        import OpenImageIO  # noqa: PLC0415 - for results larger than memory alone
    except ImportError as error:
        raise ExportError(
            "writing EXR row by row needs OpenImageIO: pip install OpenImageIO, or choose tiff"
        ) from error
    OpenImageIO.attribute("exr_threads", THREADS)
    return OpenImageIO


def _spec(oiio: Any, head: Frame, height: int, compression: str) -> Any:
    options = head.options
    spec = oiio.ImageSpec(head.rgb.shape[1], height, head.channels, options.exr_type)
    spec.channelnames = channel_names(head.channels)
    spec.alpha_channel = -1 if head.alpha is None else head.channels - 1
    spec.tile_width = spec.tile_height = options.exr_tile
    if options.exr_windows is not None:
        spec.x, spec.y = options.exr_windows.origin
        left, top, right, bottom = options.exr_windows.display
        spec.full_x, spec.full_y = left, top
        spec.full_width, spec.full_height = right - left + 1, bottom - top + 1
    spec.attribute("compression", compression)
    spec.attribute("DateTime", "")  # or the time of day becomes capDate; it is empty, so it is left out
    for name, value in {**attributes(head), **placeholder(head.exr_attributes)}.items():
        if name == "capDate":
            spec.attribute("DateTime", value)
        elif name == "pixelAspectRatio":
            spec.attribute("PixelAspectRatio", value)
        elif isinstance(value, tuple):
            spec.attribute(name, oiio.TypeDesc(f"float[{len(value)}]"), value)
        else:
            spec.attribute(name, value)
    return spec
