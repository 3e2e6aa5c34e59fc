"""HEIC and other HEIF pictures through libheif (pillow-heif), which is an optional extra.

Its wheels bring libheif and libde265 (LGPL) and x265 (GPL), so the container does not carry it. libheif turns
and crops the picture itself (irot, imir, clap); the EXIF orientation is void in this format
(ISO/IEC 23008-12, annex A). 10 and 12 bits are kept. Gain maps are not read.
"""

import io
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import SRGB_ASSUMED, ColorCoding, from_cicp
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.exif.read import from_exif
from luxscaler.io.icc import profile_coding

if TYPE_CHECKING:
    import pillow_heif

EXTRA = "pip install 'luxscaler[heif]'"
# pillow-heif's modes without their depth; the small a is of premultiplied alpha.
_CHANNELS = {
    "L": (1, Alpha.NONE),
    "I": (1, Alpha.NONE),
    "LA": (2, Alpha.STRAIGHT),
    "La": (2, Alpha.ASSOCIATED),
    "RGB": (3, Alpha.NONE),
    "RGBA": (4, Alpha.STRAIGHT),
    "RGBa": (4, Alpha.ASSOCIATED),
}


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the boxes. Raises PictureError where pillow-heif is not installed."""
    file = _opened(stream)
    name, _, depth = file.mode.partition(";")
    if name not in _CHANNELS:
        raise PictureError(f"has the pixel layout {file.mode!r}, which is not supported")
    channels, alpha = _CHANNELS[name]
    coding, notices = _coding(file.info, channels - (alpha is not Alpha.NONE))
    if len(file) > 1:
        notices += (f"the main one of {len(file)} pictures is read",)
    if any("gainmap" in str(kind).lower() for kind in file.info.get("aux", ())):
        notices += ("the HDR gain map is ignored: the SDR picture is read",)
    return FileInfo(
        format="heic",
        width=file.size[0],
        height=file.size[1],
        bits=int(depth or 8),
        channels=channels,
        coding=coding,
        alpha=alpha,
        notices=notices,
        metadata=from_exif(file.info.get("exif")),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG001 (Decoder)
    """Decode the main picture, upright, full range."""
    return with_channels(np.asarray(_opened(stream)))


def _opened(stream: BinaryIO) -> "pillow_heif.HeifFile | Any":
    try:
        import pillow_heif  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PictureError(f"is HEIC; reading that needs an extra: {EXTRA}") from error
    pillow_heif.options.DECODE_THREADS = 1
    stream.seek(0)
    return pillow_heif.open_heif(io.BytesIO(stream.read()), convert_hdr_to_8bit=False, hdr_to_16bit=False)


def _coding(said: dict[str, Any], channels: int) -> tuple[ColorCoding, tuple[str, ...]]:
    """A colour profile wins over code points (MIAF, ISO/IEC 23000-22)."""
    notices: tuple[str, ...] = ()
    if said.get("icc_profile"):
        coding, notices = profile_coding(said["icc_profile"], channels)
        if coding is not None:
            return coding, notices
    points = said.get("nclx_profile")
    if points:
        coding, more = from_cicp(int(points["color_primaries"]), int(points["transfer_characteristics"]))
        return coding, notices + more
    return SRGB_ASSUMED, notices
