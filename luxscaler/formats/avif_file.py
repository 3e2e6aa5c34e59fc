"""AVIF: the boxes by hand, pixels by libavif (imagecodecs), which keeps 10 and 12 bits.

libavif leaves rotation (irot) and mirroring (imir) to its caller, so they are reported as an orientation;
the EXIF orientation is void in this format. A colour profile of kind "prof" wins over code points
("nclx"), as MIAF has it. Sources: ISO/IEC 14496-12 (boxes), 23008-12 (items, properties), 23000-22 (MIAF).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import imagecodecs

from luxscaler.errors import PictureError
from luxscaler.formats.coding import SRGB_ASSUMED, ColorCoding, from_cicp
from luxscaler.formats.icc import profile_coding
from luxscaler.formats.picture_file import Alpha, FileInfo, Samples, with_channels

_MAX_META = 64 * 2**20
# (irot angle, quarter turns anticlockwise; imir axis or None) → EXIF orientation. Rotation comes first.
_ORIENTATIONS = {
    (0, None): 1,
    (0, 0): 4,
    (0, 1): 2,
    (1, None): 8,
    (1, 0): 5,
    (1, 1): 7,
    (2, None): 3,
    (2, 0): 2,
    (2, 1): 4,
    (3, None): 6,
    (3, 0): 7,
    (3, 1): 5,
}
_ALPHA_URNS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")


@dataclass
class _Meta:
    """What the meta box says; item numbers to their properties, in the order of the file."""

    primary: int = 0
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)
    alpha_of: set[int] = field(default_factory=set)


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the boxes up to the meta box."""
    meta = _read_meta(stream)
    own = [
        meta.properties[i - 1]
        for i in meta.associations.get(meta.primary, [])
        if 0 < i <= len(meta.properties)
    ]
    found = dict(reversed(own))
    try:
        width, height = struct.unpack_from(">II", found[b"ispe"], 4)
        bits, color = _depth(found)
    except (KeyError, struct.error, IndexError) as error:
        raise PictureError("has a damaged AVIF header: no size or no bit depth") from error
    if width < 1 or height < 1:
        raise PictureError(f"has a damaged AVIF header: {width} × {height}")
    coding, notices = _coding([body for name, body in own if name == b"colr"], color)
    alpha = _has_alpha(meta)
    return FileInfo(
        format="avif",
        width=width,
        height=height,
        bits=bits,
        # libavif gives RGBA, not grey with alpha.
        channels=4 if alpha else color,
        coding=coding,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
        orientation=_orientation(found),
        notices=notices,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode the first picture; un-premultiplied and full range, both by libavif."""
    stream.seek(0)
    samples = with_channels(imagecodecs.avif_decode(stream.read(), index=0, numthreads=1))
    if samples.shape[2] > info.channels:
        return samples[..., : info.channels]  # grey or opaque pictures that libavif gave as RGB or RGBA
    return samples


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the body of every whole box."""
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        start = position + 8
        if size == 1 and position + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, start)
            start += 8
        end = position + size if size else len(data)
        if end < start or end > len(data):
            return
        yield name, data[start:end]
        position = end


def _meta_bytes(stream: BinaryIO) -> bytes:
    """The body of the top-level meta box, found without reading the pixels."""
    end = stream.seek(0, 2)
    position = 0
    while position + 8 <= end:
        stream.seek(position)
        head = stream.read(16)
        size, name = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1 and len(head) == 16:
            (size,), header = struct.unpack_from(">Q", head, 8), 16
        size = size or end - position
        if name == b"meta" and header < size <= _MAX_META:
            stream.seek(position + header)
            return stream.read(size - header)
        if size < header:
            break
        position += size
    raise PictureError("has no AVIF still picture (it may be truncated, or a sequence)")


def _read_meta(stream: BinaryIO) -> _Meta:
    meta = _Meta()
    try:
        for name, body in _boxes(_meta_bytes(stream)[4:]):
            if name == b"pitm":
                meta.primary = int.from_bytes(body[4 : 6 if body[0] == 0 else 8], "big")
            elif name == b"iprp":
                for inner, content in _boxes(body):
                    if inner == b"ipco":
                        meta.properties = list(_boxes(content))
                    elif inner == b"ipma":
                        meta.associations.update(_associations(content))
            elif name == b"iref":
                meta.alpha_of |= _auxiliaries(body)
    except (struct.error, IndexError) as error:
        raise PictureError("has a damaged AVIF header") from error
    return meta


def _associations(body: bytes) -> dict[int, list[int]]:
    """The ipma box: item number to 1-based property numbers (ISO/IEC 23008-12, section 9.3.1)."""
    version, wide = body[0], body[3] & 1
    (count,) = struct.unpack_from(">I", body, 4)
    position = 8
    items: dict[int, list[int]] = {}
    for _ in range(count):
        item, number = struct.unpack_from(">HB" if version == 0 else ">IB", body, position)
        position += 3 if version == 0 else 5
        entries = struct.unpack_from(f">{number}{'H' if wide else 'B'}", body, position)
        position += number * (2 if wide else 1)
        items[item] = [entry & (0x7FFF if wide else 0x7F) for entry in entries]
    return items


def _auxiliaries(body: bytes) -> set[int]:
    """The items that the iref box calls auxiliary (to any other)."""
    layout = ">H" if body[0] == 0 else ">I"
    return {struct.unpack_from(layout, content)[0] for name, content in _boxes(body[4:]) if name == b"auxl"}


def _has_alpha(meta: _Meta) -> bool:
    for item in meta.alpha_of:
        for index in meta.associations.get(item, []):
            if 0 < index <= len(meta.properties):
                name, body = meta.properties[index - 1]
                if name == b"auxC" and body[4:].split(b"\0")[0] in _ALPHA_URNS:
                    return True
    return False


def _depth(found: dict[bytes, bytes]) -> tuple[int, int]:
    """Bits and colour channels, from av1C, or from pixi for a grid of tiles."""
    if b"av1C" in found:
        flags = found[b"av1C"][2]
        bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
        return bits, 1 if flags & 0x10 else 3
    pixi = found[b"pixi"]
    return pixi[5], 1 if pixi[4] == 1 else 3


def _orientation(found: dict[bytes, bytes]) -> int:
    angle = found[b"irot"][0] & 3 if found.get(b"irot") else 0
    axis = found[b"imir"][0] & 1 if found.get(b"imir") else None
    return _ORIENTATIONS[angle, axis]


def _coding(boxes: list[bytes], channels: int) -> tuple[ColorCoding, tuple[str, ...]]:
    notices: tuple[str, ...] = ()
    for body in boxes:
        if body[:4] in (b"prof", b"rICC"):
            coding, notices = profile_coding(body[4:], channels)
            if coding is not None:
                return coding, notices
    for body in boxes:
        if body[:4] == b"nclx" and len(body) >= 8:
            primaries, transfer = struct.unpack_from(">HH", body, 4)
            coding, more = from_cicp(primaries, transfer)
            return coding, notices + more
    return SRGB_ASSUMED, notices
