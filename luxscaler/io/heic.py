"""HEIC and other HEIF pictures through libheif (pillow-heif), which is an optional extra.

Its wheels bring libheif and libde265 (LGPL) and x265 (GPL), so the container does not carry it. libheif turns
and crops the picture itself (irot, imir, clap); the EXIF orientation is void in this format
(ISO/IEC 23008-12, annex A). 10 and 12 bits are kept.
"""

import io
import struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import SRGB_ASSUMED, ColorCoding, from_cicp
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.described import xmp_item
from luxscaler.io.exif.read import from_exif, with_more
from luxscaler.io.gain_map.gain_map import Codes, GainMap
from luxscaler.io.gain_map.in_heif import find_or_notice
from luxscaler.io.icc import profile_coding
from luxscaler.io.isobmff import read_meta, top_boxes
from luxscaler.io.shown_item import showing

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
    """Read the boxes. Raises PictureError where pillow-heif is not installed, and for films of pictures."""
    names = {name for name, _, _ in top_boxes(stream)}
    if b"moov" in names and b"meta" not in names:
        raise PictureError("is a HEIF image sequence without a still picture, which is not supported")
    file = _opened(stream)
    name, _, depth = file.mode.partition(";")
    if name not in _CHANNELS:
        raise PictureError(f"has the pixel layout {file.mode!r}, which is not supported")
    channels, alpha = _CHANNELS[name]
    coding, notices = _coding(file.info, channels - (alpha is not Alpha.NONE))
    if len(file) > 1:
        notices += (f"the main one of {len(file)} pictures is read",)
    gain_map, xmp, reason = _from_boxes(stream, file.info.get("exif"))
    return FileInfo(
        format="heic",
        width=file.size[0],
        height=file.size[1],
        bits=int(depth or 8),
        channels=channels,
        coding=coding,
        alpha=alpha,
        notices=notices + reason,
        metadata=with_more(from_exif(file.info.get("exif")), xmp=file.info.get("xmp") or xmp),
        gain_map=gain_map,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG001 (Decoder)
    """Decode the main picture, upright, full range."""
    return with_channels(np.asarray(_opened(stream)))


def _from_boxes(stream: BinaryIO, exif: bytes | None) -> tuple[GainMap | None, bytes | None, tuple[str, ...]]:
    """The gain map, the XMP packet, and notices. libheif passes over XMP that is compressed."""
    try:
        meta = read_meta(stream)
    except (struct.error, IndexError, PictureError):  # libheif reads the file all the same
        return None, None, ()
    gain_map, reason = find_or_notice(stream, meta, exif, _map_codes)
    xmp, unread = xmp_item(stream, meta)
    return gain_map, xmp, reason + unread


def _map_codes(stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map of a file that has it as its main picture, upright."""
    file = _opened(stream)
    name, _, depth = file.mode.partition(";")
    if not file.info.get("primary"):  # libheif has opened another picture than the one asked for
        raise PictureError("libheif does not show it")
    if name not in ("L", "I", "RGB"):
        raise PictureError(f"it has the pixel layout {file.mode!r}")
    return with_channels(np.asarray(file)), int(depth or 8)


def _opened(stream: BinaryIO) -> "pillow_heif.HeifFile | Any":
    try:
        import pillow_heif  # noqa: PLC0415 - optional
    except ImportError as error:
        raise PictureError(f"is HEIC; reading that needs an extra: {EXTRA}") from error
    pillow_heif.options.DECODE_THREADS = 1
    return pillow_heif.open_heif(io.BytesIO(showing(stream)), convert_hdr_to_8bit=False, hdr_to_16bit=False)


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
