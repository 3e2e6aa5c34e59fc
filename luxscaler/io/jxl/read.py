"""JPEG XL: the header by hand (header.py), pixels by libjxl (imagecodecs), which keeps 16 bits and float.

An ICC profile is compressed within the codestream, and imagecodecs does not return it. OpenImageIO does, with
the same libjxl, but only after decoding the pixels, so it is read then (with_profile). The orientation is
that of the codestream; that of EXIF is void in this format. EXIF and XMP are in boxes of the container, which
may be compressed (ISO/IEC 18181-2).
"""

from dataclasses import replace
from functools import partial
from typing import BinaryIO

import imagecodecs
import numpy as np

from luxscaler.color import (
    D65,
    DCI_P3,
    EQUAL_ENERGY,
    REC709,
    Point,
    Primaries,
    decode_gamma,
)
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import (
    ColorCoding,
    from_chromaticities,
    from_cicp,
)
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.exif.read import MAX_ITEM_BYTES, from_exif_item, with_more
from luxscaler.io.gain_map.gain_map import Codes
from luxscaler.io.gain_map.in_jxl import find_or_notice
from luxscaler.io.icc import profile_or_assumed
from luxscaler.io.isobmff import top_boxes
from luxscaler.io.jxl.header import PRIMARIES, Color, read_jxl_header
from luxscaler.io.linearize import oriented
from luxscaler.io.oiio import opened
from luxscaler.io.unpacking import UnpackError, from_brotli
from luxscaler.words import counted

_CODESTREAM = b"\xff\x0a"
_HEAD_BYTES = 1 << 16
_MAX_INTEGER_BITS = 16
_WHITES: dict[int, Point] = {1: D65, 10: EQUAL_ENERGY, 11: DCI_P3.white}
_DCI_GAMMA = 2.6
_PROFILE_INSIDE = ColorCoding("ICC profile in the codestream")
_DCI_TRANSFER = 17
"""libjxl's curve for it has no luminance scale: a power of 2.6, white = 1."""


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header of the codestream."""
    header = read_jxl_header(_codestream_head(stream))
    if not header.is_float and header.bits > _MAX_INTEGER_BITS:
        raise PictureError(
            f"has {counted(header.bits, 'bit')} a channel; JPEG XL is supported up to {_MAX_INTEGER_BITS}"
        )
    coding, notices = _coding(header.color)
    if header.ignored_channels:
        notices += (f"ignored: {counted(header.ignored_channels, 'extra channel')}",)
    if header.is_animated:
        notices += ("an animation: the first picture is read",)
    gain_map, reason = find_or_notice(stream, _map_codes)
    alpha = Alpha.ASSOCIATED if header.alpha_associated else Alpha.STRAIGHT
    return FileInfo(
        format="jxl",
        width=header.width,
        height=header.height,
        bits=header.bits,
        channels=(1 if header.is_grey else 3) + header.has_alpha,
        coding=coding,
        profile_in_pixels=coding is _PROFILE_INSIDE,
        is_float=header.is_float,
        alpha=alpha if header.has_alpha else Alpha.NONE,
        orientation=header.orientation,
        notices=notices + reason,
        metadata=with_more(
            from_exif_item(_metadata_box(stream, b"Exif")), xmp=_metadata_box(stream, b"xml ")
        ),
        gain_map=gain_map,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode the first picture, as stored."""
    stream.seek(0)
    samples = imagecodecs.jpegxl_decode(stream.read(), index=0, keeporientation=True, numthreads=1)
    samples = with_channels(samples)[..., : info.channels]
    return np.asarray(samples, np.float32) if info.is_float else samples


def with_profile(stream: BinaryIO, info: FileInfo) -> FileInfo:
    """The info of a picture with `profile_in_pixels`, completed with its colour coding.

    It takes as long as decoding the picture. Raises PictureError.
    """
    with opened(stream, "jpegxl") as file:
        profile = file.profile() or b""  # a missing one counts as damaged: the header promises it
    channels = info.channels - (info.alpha is not Alpha.NONE)
    coding, notices = profile_or_assumed(profile, channels, is_float=info.is_float)
    return replace(info, coding=coding, notices=info.notices + notices, profile_in_pixels=False)


def _map_codes(stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map in a codestream, upright."""
    info = read_info(stream)
    if info.is_float:
        raise PictureError("its samples are floats")
    return oriented(read_samples(stream, info), info.orientation), info.bits


def _codestream_head(stream: BinaryIO) -> bytes:
    """The first bytes of the codestream, which may lie in a box, or in several, of a container."""
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    if head.startswith(_CODESTREAM):
        return head
    for name, start, size in top_boxes(stream):
        if name in (b"jxlc", b"jxlp"):
            count = 4 if name == b"jxlp" else 0
            stream.seek(start + count)
            head = stream.read(min(size, _HEAD_BYTES))
            if head.startswith(_CODESTREAM):
                return head
            break
    raise PictureError("is truncated: there is no JPEG XL codestream")


def _metadata_box(stream: BinaryIO, kind: bytes) -> bytes | None:
    """The body of the first box of that kind, unpacked; None if there is none, empty if it is damaged.

    At most MAX_ITEM_BYTES + 1 bytes are returned, by which the caller sees that it is too long.
    """
    stream.seek(0)
    if stream.read(2) == _CODESTREAM:
        return None
    for name, start, size in top_boxes(stream):
        if name not in (kind, b"brob"):
            continue
        stream.seek(start)
        body = stream.read(min(size, MAX_ITEM_BYTES + 1))
        if name == kind:
            return body
        if body.startswith(kind):
            try:
                return from_brotli(body[4:], MAX_ITEM_BYTES)
            except UnpackError:
                return b""
    return None


def _coding(color: Color) -> tuple[ColorCoding, tuple[str, ...]]:
    if color.has_icc:
        return _PROFILE_INSIDE, ()
    name = f"JPEG XL {color.primaries}/{color.transfer}"
    known, notices = from_cicp(1, color.transfer or 2)
    curve = known.curve
    if color.gamma:
        name, curve = f"JPEG XL gamma {1 / color.gamma:.4g}", partial(decode_gamma, gamma=1 / color.gamma)
    elif color.transfer == _DCI_TRANSFER:
        curve, notices = partial(decode_gamma, gamma=_DCI_GAMMA), ()
    base = PRIMARIES.get(color.primaries, REC709)
    red, green, blue = color.corners or (base.red, base.green, base.blue)
    white = color.white_point or _WHITES.get(color.white, D65)
    if (red, green, blue, white) == (base.red, base.green, base.blue, base.white):
        return ColorCoding(name, curve, base, hlg=known.hlg), notices
    coding, more = from_chromaticities(name, curve, Primaries(red, green, blue, white))
    return ColorCoding(name, curve, coding.primaries, hlg=known.hlg), notices + more
