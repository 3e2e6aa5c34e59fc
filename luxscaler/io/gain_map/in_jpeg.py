"""Finds the gain map of a JPEG: a second JPEG in the file, whose own metadata say that it is one.

Its place is in the multi-picture index (CIPA DC-007), or follows from the lengths in Google's container. Its
meaning is in the map itself: ISO 21496-1 metadata, else Adobe's XMP, else Apple's XMP with the base's EXIF.
"""

import io
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding
from luxscaler.io.gain_map.apple import apple_gain
from luxscaler.io.gain_map.gain_map import Codes, Decode, GainMap
from luxscaler.io.gain_map.metadata import Gain, read_iso
from luxscaler.io.gain_map.xmp import (
    Properties,
    adobe_gain,
    announces_adobe,
    apple_map,
    container_items,
    properties,
)
from luxscaler.io.icc import profile_coding
from luxscaler.io.jpeg.segments import (
    APP1,
    APP2,
    ISO_NAME,
    XMP_NAME,
    Segment,
    Span,
    frame_size,
    further_pictures,
    segments,
)

_MOST_PICTURES = 16
_VERSIONS_ONLY = 4


def find(stream: BinaryIO, exif: bytes | None, decode: Decode) -> GainMap | None:
    """The gain map of the JPEG in `stream`; None where there is none.

    exif: of the base. Raises PictureError, the reason why a map that is there or announced cannot be used.
    """
    parts = list(segments(stream))
    spans = [*further_pictures(parts), *_in_container(parts, stream)]
    reason: PictureError | None = None
    for span in spans[:_MOST_PICTURES]:
        inner = list(segments(stream, span.place))
        try:
            gain = _gain(inner, exif)
            size = frame_size(inner)
            if gain is None:
                continue  # a preview, a film, another view
            if size is None:
                raise PictureError("its JPEG is damaged")
        except PictureError as error:
            reason = reason or error
            continue
        return GainMap(gain, *size, partial(_decoded, span, decode), _alternate(inner))
    if reason is not None:
        raise reason
    if _announces(parts):
        raise PictureError("it is announced, and it is not in the file")
    return None


def _gain(inner: list[Segment], exif: bytes | None) -> Gain | None:
    """What the second JPEG says that it means, in the first form that it has and that is whole."""
    reason: PictureError | None = None
    for form in (_iso, _adobe, _apple):
        try:
            gain = form(inner, exif)
        except PictureError as error:
            reason = reason or error
            continue
        if gain is not None:
            return gain
    if reason is not None:
        raise reason
    return None


def _iso(inner: list[Segment], _exif: bytes | None) -> Gain | None:
    data = next(_named(inner, APP2, ISO_NAME), b"")
    return read_iso(data) if len(data) > _VERSIONS_ONLY else None


def _adobe(inner: list[Segment], _exif: bytes | None) -> Gain | None:
    return adobe_gain(_xmp(inner))


def _apple(inner: list[Segment], exif: bytes | None) -> Gain | None:
    said = apple_map(_xmp(inner))
    return None if said is None else apple_gain(said, exif)


def _xmp(parts: list[Segment]) -> Properties:
    said: Properties = {}
    for packet in _named(parts, APP1, XMP_NAME):
        said |= properties(packet)
    return said


def _named(parts: list[Segment], marker: int, name: bytes) -> Iterator[bytes]:
    """The data behind that name, of the segments that have it."""
    return (part.data[len(name) :] for part in parts if part.marker == marker and part.data.startswith(name))


def _in_container(parts: list[Segment], stream: BinaryIO) -> list[Span]:
    """The gain maps of Google's container: its pictures follow one another up to the end of the file."""
    spans = []
    for packet in _named(parts, APP1, XMP_NAME):
        try:
            items = container_items(packet)
        except PictureError:
            continue
        end = stream.seek(0, 2)
        for item in reversed(items[1:]):
            place = end - item.length - item.padding
            if item.semantic == "GainMap" and 0 < place < end:
                spans.append(Span(place, item.length))
            end = place
    return spans


def _announces(parts: list[Segment]) -> bool:
    if next(_named(parts, APP2, ISO_NAME), None) is not None:
        return True
    try:
        return announces_adobe(_xmp(parts))
    except PictureError:
        return False


def _alternate(inner: list[Segment]) -> ColorCoding | None:
    """The map's ICC profile, which is the alternate picture's."""
    chunks = sorted(_named(inner, APP2, b"ICC_PROFILE\0"))
    profile = b"".join(chunk[2:] for chunk in chunks)
    return profile_coding(profile, 3)[0] if profile else None


def _decoded(span: Span, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    stream.seek(span.place)
    return decode(io.BytesIO(stream.read(span.size)))
