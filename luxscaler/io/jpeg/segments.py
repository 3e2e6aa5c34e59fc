"""The segments before the pixels of a JPEG; the pictures that a multi-picture file names (CIPA DC-007)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from luxscaler.io.exif.ifd import Tiff, bytes_reader
from luxscaler.words import counted

APP1, APP2, APP14 = 0xE1, 0xE2, 0xEE
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
"""Begins the APP1 segment of XMP (XMP specification part 3, 1.1.3)."""
ISO_NAME = b"urn:iso:std:iso:ts:21496:-1\0"
"""Begins the APP2 segment of ISO 21496-1: in the base versions alone, in the map all of its metadata."""
_START_OF_SCAN, _END = 0xDA, 0xD9
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
LOSSLESS = 0xC3
_DEEP_FRAMES = (0xC1, 0xC2, LOSSLESS)
"""Extended sequential, progressive and lossless."""
_USUAL_BITS, _EXTENDED_BITS, _LOSSLESS_BITS = 8, (12,), range(2, 17)
_DEEP_CHANNELS = (1, 3)
_JPEG_LS = 0xF7
_MOST_SEGMENTS = 4096
_MULTI_PICTURE = b"MPF\0"
_ENTRIES = 0xB002
_ENTRY = struct.Struct("3I2H")
_KIND_OF_PICTURE, _THUMBNAIL = 0xFF0000, 0x010000
"""Of the attributes of an entry (CIPA DC-007, 5.2.3.3.1)."""
_DAMAGE = (struct.error, ValueError, OverflowError, OSError)


@dataclass(frozen=True)
class Segment:
    """A marker segment."""

    marker: int
    place: int
    """Of its data, in the file."""
    data: bytes


@dataclass(frozen=True)
class Span:
    """Where a picture lies in the file."""

    place: int
    size: int


def segments(stream: BinaryIO, start: int = 0) -> Iterator[Segment]:
    """The segments of the JPEG at `start`, up to its pixels, or to where it is damaged."""
    stream.seek(start)
    if stream.read(2) != b"\xff\xd8":
        return
    place = start + 2
    for _ in range(_MOST_SEGMENTS):
        stream.seek(place)
        head = stream.read(4)
        while head[:2] == b"\xff\xff":  # fill bytes
            place += 1
            stream.seek(place)
            head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (_START_OF_SCAN, _END):
            return
        size = int.from_bytes(head[2:], "big")
        data = stream.read(size - 2) if size >= 2 else b""
        if len(data) < size - 2 or size < 2:
            return
        yield Segment(head[1], place + 4, data)
        place += 2 + size


def frame_size(parts: list[Segment]) -> tuple[int, int] | None:
    """Width and height of the picture, where its frame header says them."""
    for part in parts:
        if part.marker in _FRAMES and len(part.data) >= 5:
            height, width = struct.unpack_from(">HH", part.data, 1)
            return (width, height) if width and height else None
    return None


def frame_of(parts: list[Segment]) -> Segment | None:
    """The frame header of the picture."""
    return next((part for part in parts if part.marker in _FRAMES and len(part.data) >= 6), None)


def deep_frame(parts: list[Segment]) -> Segment | None:
    """The frame header of a picture that has other than 8 bits a channel, and that libjpeg decodes."""
    frame = frame_of(parts)
    if frame is None or frame.data[0] == _USUAL_BITS or frame.data[5] not in _DEEP_CHANNELS:
        return None
    depths = _LOSSLESS_BITS if frame.marker == LOSSLESS else _EXTENDED_BITS
    return frame if frame.marker in _DEEP_FRAMES and frame.data[0] in depths else None


def unusual_kind(parts: list[Segment]) -> str | None:
    """What kind of JPEG it is, for people, where that is one that few programs read (ITU-T T.81, T.87)."""
    for part in parts:
        if part.marker == _JPEG_LS:
            return "a JPEG-LS"
        if part.marker in _FRAMES and len(part.data) >= 5:
            bits, height = part.data[0], int.from_bytes(part.data[1:3], "big")
            if bits != _USUAL_BITS:
                kind = "a CMYK JPEG" if part.data[5:6] == b"\4" else "a JPEG"
                return f"{kind} of {counted(bits, 'bit')} a channel"
            if height == 0:
                return "a JPEG whose header has no height (it stands behind the pixels, in a DNL marker)"
            return None
    return None


def further_pictures(parts: list[Segment]) -> list[Span]:
    """The pictures behind the first, as the multi-picture index says; none where it is damaged."""
    return [span for _, span in _indexed(parts)]


def further_views(parts: list[Segment]) -> int:
    """How many of them are no thumbnails of the first: other views or moments, a gain map, a depth map."""
    return sum(kind & _KIND_OF_PICTURE != _THUMBNAIL for kind, _ in _indexed(parts))


def _indexed(parts: list[Segment]) -> list[tuple[int, Span]]:
    """The attributes and places of the pictures behind the first."""
    for part in parts:
        if part.marker == APP2 and part.data.startswith(_MULTI_PICTURE):
            block, origin = part.data[len(_MULTI_PICTURE) :], part.place + len(_MULTI_PICTURE)
            try:
                tiff = Tiff.of(bytes_reader(block))
                entries = tiff.directory(tiff.start, {_ENTRIES})[_ENTRIES][2]
                found = struct.iter_unpack(tiff.order + _ENTRY.format, entries)
                return [(kind, Span(origin + place, size)) for kind, size, place, *_ in found if place]
            except (*_DAMAGE, KeyError):
                return []
    return []
