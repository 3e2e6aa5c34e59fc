"""JPEG 2000: header and boxes by hand, pixels by OpenJPEG (imagecodecs), which keeps every bit.

What channels mean stands in the boxes of a JP2 file: a colour space by number or an ICC profile, and which
channels are alpha. OpenJPEG expands palettes and puts colours first; imagecodecs makes RGB of sYCC. A bare
codestream says nothing of meaning: one and two channels are grey, three and four RGB, the last of an even
number alpha. Components of different sizes or depths are left to OpenImageIO. Sources: ITU-T T.800 (annexes
A and I), T.801 (annex M).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

import imagecodecs
import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import CMYK_ASSUMED, CMYK_NOTICE, SRGB_ASSUMED, ColorCoding
from luxscaler.io.decoder import Alpha, FileInfo, Samples, colors_and_alpha, with_channels
from luxscaler.io.exif.read import MAX_ITEM_BYTES, Metadata, from_exif, read_marks, with_more
from luxscaler.io.icc import MAX_PROFILE_BYTES, profile_coding, profile_space
from luxscaler.io.isobmff import boxes, top_boxes
from luxscaler.io.oiio_format import OiioFormat
from luxscaler.words import counted

_CODESTREAM = b"\xff\x4f\xff\x51"
"""The start of every codestream, and the marker that follows: its sizes."""
_SIZES = struct.Struct(">HH8IH")
"""Of the segment from its length on: length, capabilities, eight numbers of grid and tiles, components."""
_MAX_CHANNELS = 16
_MAX_HEADER = MAX_PROFILE_BYTES + (1 << 20)
_MAX_BITS = 26
"""What OpenJPEG decodes."""
_SIGNED = 0x80
_USUAL_CHANNELS = 5
_BY_NUMBER, _BY_PROFILE = 1, (2, 3)
_CMYK, _SRGB, _GREY, _SYCC = 12, 16, 17, 18
_SRGB_CURVES = (_SRGB, _GREY, _SYCC)
"""Spaces whose samples have the curve of sRGB by definition, once sYCC is RGB."""
_COLORS = {_CMYK: 4, _SRGB: 3, _GREY: 1, _SYCC: 3}
_OTHER_SPACES = {
    **{0: "bilevel", 1: "YCbCr(1)", 3: "YCbCr(2)", 4: "YCbCr(3)", 9: "PhotoYCC", 11: "CMY", 13: "YCCK"},
    **{14: "CIELab", 15: "bilevel(2)", 19: "CIEJab", 20: "e-sRGB", 21: "ROMM-RGB", 24: "e-sYCC"},
}
_ALPHAS: dict[int | None, Alpha] = {1: Alpha.STRAIGHT, 2: Alpha.ASSOCIATED}
_SPACES = {"gray": 1, "rgb": 3, "cmyk": 4}
_EXIF = b"JpgTiffExif->JP2"
_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_UNEVEN = OiioFormat("jpeg2000", "jpeg2000")


@dataclass(frozen=True)
class _Header:
    """What the codestream says of its components, and the boxes around it of their meaning."""

    width: int
    height: int
    channels: int
    """Once a palette is expanded."""
    bits: int
    signed: bool
    is_even: bool
    """Whether all components have the size of the picture and one depth."""
    space: int | None
    """By number; None: there is none."""
    profile: bytes | None
    types: tuple[int | None, ...] | None
    """What each channel is, as OpenJPEG orders them: 0 colour, 1 alpha, 2 premultiplied alpha, 65535
    anything. None: not said, of one channel or of all."""
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1
    notices: tuple[str, ...] = ()


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the boxes and the header of the codestream. Raises PictureError for what is not supported."""
    header = _header(stream)
    color = _color_channels(header)
    if not header.is_even:
        if color == 4 or header.channels not in (1, 3, 4):
            named = f"{counted(header.channels, 'channel')} of different sizes or depths"
            raise PictureError(f"is a JPEG 2000 of {named}, which is not supported")
        return replace(_UNEVEN.read_info(stream), metadata=header.metadata, orientation=header.orientation)
    if not 1 <= header.bits <= _MAX_BITS:
        raise PictureError(f"is a JPEG 2000 of {counted(header.bits, 'bit')}; 1 to {_MAX_BITS} are supported")
    alpha, _, notices = _alpha(header, color)
    coding, more = _coding(header, color)
    return FileInfo(
        format="jpeg2000",
        width=header.width,
        height=header.height,
        bits=header.bits,
        channels=color + (alpha is not Alpha.NONE),
        coding=coding,
        alpha=alpha,
        orientation=header.orientation,
        decoded_pixels=header.width * header.height * -(-header.channels // _USUAL_CHANNELS),
        notices=header.notices + notices + more,
        metadata=header.metadata,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels): unsigned integers of the file's depth."""
    header = _header(stream)
    if not header.is_even:
        return _UNEVEN.read_samples(stream, info)
    stream.seek(0)
    color = info.channels - (info.alpha is not Alpha.NONE)
    samples = with_channels(imagecodecs.jpeg2k_decode(stream.read(), numthreads=1))
    samples = colors_and_alpha(samples, info, _alpha(header, color)[1])
    if header.signed:
        samples = (samples.astype(np.int64) + 2 ** (header.bits - 1)).astype(f"u{samples.dtype.itemsize}")
    return samples


def _header(stream: BinaryIO) -> _Header:
    stream.seek(0)
    if stream.read(4) == _CODESTREAM:
        return _with_sizes(stream, 0, {})
    found: dict[bytes, bytes] = {}
    places: list[int] = []
    exif, xmp = None, None
    for name, start, size in top_boxes(stream):
        stream.seek(start)
        if name == b"jp2h" and size <= _MAX_HEADER:
            for kind, body in boxes(stream.read(size)):
                found.setdefault(kind, body)
        elif name == b"jp2c":
            places.append(start)
        elif name == b"moov":
            raise PictureError("is Motion JPEG 2000, a video, which is not supported")
        elif name == b"uuid" and 16 < size <= MAX_ITEM_BYTES:
            kind, body = stream.read(16), stream.read(size - 16)
            exif, xmp = (body if kind == _EXIF else exif), (body if kind == _XMP else xmp)
    if not places:
        raise PictureError("is truncated: there is no JPEG 2000 codestream")
    return replace(
        _with_sizes(stream, places[0], found),
        metadata=with_more(from_exif(exif), xmp=xmp),
        orientation=read_marks(exif).orientation,
        notices=("the first of several pictures is read",) if len(places) > 1 else (),
    )


def _with_sizes(stream: BinaryIO, place: int, found: dict[bytes, bytes]) -> _Header:
    """place: of the codestream. found: the boxes of the header, by name."""
    width, height, components = _components(stream, place)
    space, profile = _color_space(found.get(b"colr", b""))
    palette = _palette_depths(found.get(b"pclr", b""), found.get(b"cmap", b""))
    depths = palette or [depth for depth, *_ in components]
    return _Header(
        width=width,
        height=height,
        channels=len(depths),
        bits=(depths[0] & ~_SIGNED) + 1,
        signed=bool(depths[0] & _SIGNED),
        is_even=len(set(depths)) == 1 and all((across, down) == (1, 1) for _, across, down in components),
        space=space,
        profile=profile,
        types=_channel_types(found.get(b"cdef", b""), len(depths)),
    )


def _components(stream: BinaryIO, place: int) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Width, height, and the depth and the steps across and down of each component (T.800, A.5.1)."""
    stream.seek(place)
    if stream.read(4) != _CODESTREAM:
        raise PictureError("is damaged: its JPEG 2000 codestream does not begin with its sizes")
    head = stream.read(_SIZES.size)
    if len(head) < _SIZES.size:
        raise PictureError("is truncated: there is no JPEG 2000 header")
    _, _, right, bottom, left, top, *_, count = _SIZES.unpack(head)
    if right <= left or bottom <= top or count == 0:
        size = f"{right - left} × {bottom - top}, {counted(count, 'channel')}"
        raise PictureError(f"has a damaged JPEG 2000 header: {size}")
    if count > _MAX_CHANNELS:
        raise PictureError(f"has {counted(count, 'channel')}, 1 to {_MAX_CHANNELS} are supported")
    parts = stream.read(3 * count)
    if len(parts) < 3 * count:
        raise PictureError("is truncated: there is no JPEG 2000 header")
    return (
        right - left,
        bottom - top,
        [(parts[at], parts[at + 1], parts[at + 2]) for at in range(0, 3 * count, 3)],
    )


def _color_space(body: bytes) -> tuple[int | None, bytes | None]:
    """The number of the space, or its ICC profile, of the first colr box (T.800, I.5.3.3)."""
    if len(body) >= 7 and body[0] == _BY_NUMBER:
        return int.from_bytes(body[3:7], "big"), None
    if len(body) > 3 and body[0] in _BY_PROFILE:
        return None, body[3:]
    return None, None


def _palette_depths(palette: bytes, mapping: bytes) -> list[int]:
    """Of each channel that a palette makes, as components give theirs (I.5.3.4, I.5.3.5)."""
    depths = palette[3 : 3 + palette[2]] if len(palette) > 3 else b""
    columns = [mapping[at + 3] for at in range(0, len(mapping) - 3, 4)][: _MAX_CHANNELS + 1]
    return [depths[column] for column in columns if column < len(depths)]


def _channel_types(body: bytes, count: int) -> tuple[int | None, ...] | None:
    """The types of the channels (I.5.3.6), in the order in which OpenJPEG hands them on.

    It goes through the entries, and swaps each colour with the channel that stands in its place.
    """
    order, types = list(range(count)), {}
    for number, kind, color in _entries(body):
        types[number] = kind
        if kind == 0 and number < count and 1 <= color <= count:
            at = order.index(number)
            order[at], order[color - 1] = order[color - 1], order[at]
    return tuple(types.get(number) for number in order) if types else None


def _entries(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, type and the colour that belongs to it."""
    for at in range(2, len(body) - 5, 6):
        number, kind, color = struct.unpack_from(">3H", body, at)
        yield number, kind, color


def _color_channels(header: _Header) -> int:
    """How many channels are colours. Raises PictureError where the file has others, or fewer."""
    if header.space is not None and header.space not in _COLORS:
        name = _OTHER_SPACES.get(header.space, f"the colour space {header.space}")
        raise PictureError(f"is a JPEG 2000 in {name}, which is not supported")
    count = header.channels
    by_profile = _SPACES.get(profile_space(header.profile) or "", 0) if header.profile else 0
    color = _COLORS.get(header.space, 0) if header.space is not None else by_profile
    color = color or (1 if count < 3 else 3)
    if color > count:
        raise PictureError(
            f"is damaged: a JPEG 2000 of {counted(count, 'channel')} whose colours have {color}"
        )
    return color


def _alpha(header: _Header, color: int) -> tuple[Alpha, int, tuple[str, ...]]:
    """How alpha relates to the colours, which channel it is, and notices of those that are left out."""
    extra = header.channels - color
    alpha, at = Alpha.NONE, color
    if header.types is not None:
        for place in range(color, header.channels):
            if alpha is Alpha.NONE and header.types[place] in _ALPHAS:
                alpha, at = _ALPHAS[header.types[place]], place
    elif extra == 1:  # without a word of it, one channel more is taken for alpha, as other readers do
        alpha = Alpha.STRAIGHT
    ignored = extra - (alpha is not Alpha.NONE)
    return alpha, at, (f"ignored: {counted(ignored, 'extra channel')}",) if ignored else ()


def _coding(header: _Header, color: int) -> tuple[ColorCoding, tuple[str, ...]]:
    notices: tuple[str, ...] = ()
    if header.profile is not None:
        coding, notices = profile_coding(header.profile, color)
        if coding is not None:
            return coding, notices
    if color == 4:
        return CMYK_ASSUMED, (*notices, CMYK_NOTICE)
    return (ColorCoding("sRGB") if header.space in _SRGB_CURVES else SRGB_ASSUMED), notices
