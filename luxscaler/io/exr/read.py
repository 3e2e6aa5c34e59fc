"""OpenEXR: R, G, B, A or Y, A or Y, RY, BY, A of a single flat part, as float32.

The picture is the display window; the data window is laid into it, and what it does not cover is black
(transparent, if there is alpha), as the format defines. Other layouts (deep, several parts, layers only) are
refused by name. OpenEXR prints what it finds wrong with a damaged file on standard error before it raises;
its Python binding has no switch for that.
"""

from contextlib import closing
from typing import Any, BinaryIO

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from luxscaler.color import REC709, Primaries
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding, from_chromaticities, keep_linear
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import Metadata, from_texts, resolution
from luxscaler.io.exr.chroma import CHROMA_STEP, to_rgb

_FLAT = (OpenEXR.scanlineimage, OpenEXR.tiledimage)
_CHROMA = ("RY", "BY")
_LAYOUTS = (
    *(("R", "G", "B", "A"), ("R", "G", "B")),
    *(("Y", *_CHROMA, "A"), ("Y", *_CHROMA)),
    *(("Y", "A"), ("Y",)),
)
_CHROMATICITY_TOLERANCE = 1e-4
_LINEAR = "linear Rec.709"
_MAX_SIDE = 2**24
_SOURCE_BITS = "luxscaler:source_bits"
_MAX_SOURCE_BITS = 32
_TYPES: dict[str, np.dtype[Any]] = {
    "HALF": np.dtype(np.float16),
    "FLOAT": np.dtype(np.float32),
    "UINT": np.dtype(np.uint32),
}

Window = tuple[int, int, int, int]
"""left, top, right, bottom; the last two inclusive, as in the file."""


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header."""
    header = _flat_header(stream)
    names, ignored = _layout(header)
    display, data = _window(header, "displayWindow"), _window(header, "dataWindow")
    notices: tuple[str, ...] = ()
    if ignored:
        notices += (f"channels ignored: {', '.join(ignored)}",)
    if display != data:
        notices += ("the data window differs from the display window, which is what is read",)
    coding, more = _coding(header)
    alpha = "A" in names
    return FileInfo(
        format="exr",
        width=display[2] - display[0] + 1,
        height=display[3] - display[1] + 1,
        bits=_bits(stream, names),
        channels=len(names),
        coding=coding,
        is_float=True,
        source_bits=_source_bits(header),
        alpha=Alpha.ASSOCIATED if alpha else Alpha.NONE,
        decoded_pixels=max((data[2] - data[0] + 1) * (data[3] - data[1] + 1), _tile_pixels(header)),
        notices=notices + more,
        metadata=_metadata(header),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode to float32, premultiplied as stored. Integer channels become the same numbers as float."""
    header = _flat_header(stream)
    names, _ = _layout(header)
    display, data = _window(header, "displayWindow"), _window(header, "dataWindow")
    width, height = data[2] - data[0] + 1, data[3] - data[1] + 1
    planes = _planes(stream, names, (height, width))
    if set(_CHROMA) <= set(names):
        y, ry, by = (np.asarray(plane, np.float32) for plane in planes[:3])
        planes = [*np.moveaxis(to_rgb(y, ry, by, info.coding.primaries), -1, 0), *planes[3:]]
    samples = np.zeros((info.height, info.width, info.channels), np.float32)
    left, top = max(display[0], data[0]), max(display[1], data[1])
    right, bottom = min(display[2], data[2]) + 1, min(display[3], data[3]) + 1
    if left < right and top < bottom:
        inside = np.s_[top - data[1] : bottom - data[1], left - data[0] : right - data[0]]
        target = np.s_[top - display[1] : bottom - display[1], left - display[0] : right - display[0]]
        for index, plane in enumerate(planes):
            samples[(*target, index)] = plane[inside]
    return samples


def _flat_header(stream: BinaryIO) -> dict[str, Any]:
    """The header of the only part."""
    stream.seek(0)
    with OpenEXR.File(stream, header_only=True) as file:
        headers = [dict(part.header) for part in file.parts]  # closing empties the originals
    if len(headers) > 1:
        names = ", ".join(str(header.get("name", "?")) for header in headers)
        raise PictureError(
            f"is an EXR of {len(headers)} parts ({names}), only single-part files are supported"
        )
    if not headers:
        raise PictureError("has a damaged EXR header")
    if headers[0].get("type", OpenEXR.scanlineimage) not in _FLAT:
        raise PictureError("is a deep EXR, which is not supported")
    return headers[0]


def _layout(header: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels to read, in the order of Samples, and those to leave out."""
    channels = {channel.name: channel for channel in header["channels"]}
    for names in _LAYOUTS:
        if all(name in channels for name in names):
            break
    else:
        raise PictureError(f"has the EXR channels {', '.join(channels)}; R, G, B or Y are needed")
    for name in names:
        sampling = (channels[name].xSampling, channels[name].ySampling)
        if sampling != ((CHROMA_STEP, CHROMA_STEP) if name in _CHROMA else (1, 1)):
            raise PictureError(
                f"has the EXR channel {name} at every {sampling} pixels, which is not supported"
            )
    return names, tuple(name for name in channels if name not in names)


def _window(header: dict[str, Any], name: str) -> Window:
    (left, top), (right, bottom) = header[name]
    window = (int(left), int(top), int(right), int(bottom))
    if not (0 <= window[2] - window[0] < _MAX_SIDE and 0 <= window[3] - window[1] < _MAX_SIDE):
        raise PictureError(f"has a damaged EXR {name}: {window}")
    return window


def _tile_pixels(header: dict[str, Any]) -> int:
    """Pixels of a tile, which may be larger than the picture."""
    tiles = header.get("tiles")
    return int(tiles.xSize) * int(tiles.ySize) if tiles is not None else 0


def _coding(header: dict[str, Any]) -> tuple[ColorCoding, tuple[str, ...]]:
    stored = header.get("chromaticities")
    if stored is None:
        return ColorCoding(f"{_LINEAR} (assumed)", keep_linear), ()
    values = tuple(float(value) for value in stored)
    if np.allclose(values, REC709.chromaticities, atol=_CHROMATICITY_TOLERANCE):
        return ColorCoding(_LINEAR, keep_linear), ()
    red, green, blue, white = zip(values[0::2], values[1::2], strict=True)
    return from_chromaticities("linear, EXR chromaticities", keep_linear, Primaries(red, green, blue, white))


def _metadata(header: dict[str, Any]) -> Metadata:
    """Who owns the picture, when it was taken, how many pixels an inch has: OpenEXR's standard attributes."""
    across, aspect = header.get("xDensity"), header.get("pixelAspectRatio", 1.0)
    # Of the vertical density the format says that it is xDensity × pixelAspectRatio.
    known = resolution(float(across), float(across * aspect)) if isinstance(across, float) else None
    owner, taken = (header.get(name, "") for name in ("owner", "capDate"))
    return from_texts(owner if isinstance(owner, str) else "", taken if isinstance(taken, str) else "", known)


def _source_bits(header: dict[str, Any]) -> int | None:
    """What a tile on its way to a container says (exr_transport.py): it was cut from a photo, and is no
    measured light."""
    bits = header.get(_SOURCE_BITS)
    return bits if isinstance(bits, int) and 1 <= bits <= _MAX_SOURCE_BITS else None


def _bits(stream: BinaryIO, names: tuple[str, ...]) -> int:
    """The widest of the channels."""
    with _input_file(stream) as file:
        return max(_types(file)[name].itemsize * 8 for name in names)


def _planes(stream: BinaryIO, names: tuple[str, ...], size: tuple[int, int]) -> list[NDArray[Any]]:
    """The channels of the data window, of `size` (height, width); chroma is half as high and wide."""
    with _input_file(stream) as file:
        types = _types(file)
        if set(_CHROMA) <= set(names):  # one by one: the interface takes none together whose sampling differs
            stored = [file.channel(name) for name in names]
        else:
            stored = file.channels(list(names))
    shapes = [tuple(-(-side // (CHROMA_STEP if name in _CHROMA else 1)) for side in size) for name in names]
    return [
        np.frombuffer(plane, types[name]).reshape(shape)
        for name, plane, shape in zip(names, stored, shapes, strict=True)
    ]


def _types(file: Any) -> dict[str, np.dtype[Any]]:
    return {name: _TYPES[str(channel.type)] for name, channel in file.header()["channels"].items()}


def _input_file(stream: BinaryIO) -> Any:
    """The older interface: it alone tells the types of channels without decoding them, and it raises
    where OpenEXR.File prints and leaves out the part that it cannot decode.
    """
    stream.seek(0)
    return closing(OpenEXR.InputFile(stream))
