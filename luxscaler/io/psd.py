"""PSD and PSB: the merged picture. RGB, indexed and grey by OpenImageIO, CMYK by hand; the resources by hand.

OpenImageIO adds black to the other inks, and returns neither EXIF nor resolution. A file that was saved
without "Maximize Compatibility" holds white instead of a merged picture and is marked so: it is refused.
Source: Adobe, "Photoshop File Formats Specification".
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import imagecodecs
import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import CMYK_ASSUMED, CMYK_NOTICE
from luxscaler.io.decoder import FileInfo, Samples
from luxscaler.io.exif.read import Metadata, from_exif, resolution, with_more
from luxscaler.io.icc import MAX_PROFILE_BYTES, profile_coding
from luxscaler.io.oiio_format import OiioFormat
from luxscaler.words import counted

_HEAD = struct.Struct(">4sH6xHIIHH")
_MODES = ("bitmap", "grey", "indexed", "RGB", "CMYK", "", "", "multichannel", "duotone", "Lab")
_GREY, _INDEXED, _RGB, _CMYK = 1, 2, 3, 4
_RESOLUTION, _IPTC, _PROFILE, _VERSION, _EXIF, _XMP = 1005, 1028, 1039, 1057, 1058, 1060
_KEPT = {_RESOLUTION, _IPTC, _PROFILE, _VERSION, _EXIF, _XMP}
_MOST_RESOURCES = 4096
_RAW, _PACKED = 0, 1
"""Compressions that Photoshop uses for the merged picture."""
_OIIO = OiioFormat("psd", "psd")


@dataclass(frozen=True)
class _Head:
    is_big: bool
    """PSB, whose sections are longer."""
    channels: int
    height: int
    width: int
    bits: int
    mode: int


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header and the resources."""
    head = _head(stream)
    resources = _resources(stream)
    version = resources.get(_VERSION, b"")
    if len(version) > 4 and not version[4]:
        raise PictureError(
            'has no merged picture: Photoshop leaves it out unless "Maximize Compatibility" is chosen'
        )
    info = _cmyk_info(head, resources) if head.mode == _CMYK else _OIIO.read_info(stream)
    ignored = head.channels - (1 if head.mode == _INDEXED else info.channels)
    notices = (f"ignored: {counted(ignored, 'extra channel')}",) if ignored > 0 else ()
    return replace(info, notices=info.notices + notices, metadata=_metadata(resources))


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode the merged picture, as stored: of CMYK, 0 is full ink (info.inverted)."""
    head = _head(stream)
    if head.mode != _CMYK:
        return _OIIO.read_samples(stream, info)
    return np.stack(_planes(stream, head, info.channels), axis=-1)


def _head(stream: BinaryIO) -> _Head:
    """The header; the stream then stands behind it."""
    stream.seek(0)
    data = stream.read(_HEAD.size)
    if len(data) < _HEAD.size:
        raise PictureError("is truncated: there is no whole PSD header")
    _, version, channels, height, width, bits, mode = _HEAD.unpack(data)
    if version not in (1, 2) or not (width and height and channels):
        raise PictureError(f"has a damaged PSD header: version {version}, {width} × {height} × {channels}")
    if mode not in (_GREY, _INDEXED, _RGB, _CMYK):
        name = _MODES[mode] if mode < len(_MODES) and _MODES[mode] else f"number {mode}"
        raise PictureError(
            f"is a PSD in the colour mode {name}, which is not supported; RGB, CMYK, grey and indexed are"
        )
    return _Head(version == 2, channels, height, width, bits, mode)


def _resources(stream: BinaryIO) -> dict[int, bytes]:
    """Those that are kept, by their numbers; the stream stands behind the header."""
    stream.seek(_length(stream, ">I"), 1)  # palette
    size = _length(stream, ">I")
    end = stream.tell() + size
    return dict(_blocks(stream, end))


def _blocks(stream: BinaryIO, end: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(_MOST_RESOURCES):
        head = stream.read(7)
        if stream.tell() >= end or len(head) < 7:
            return
        _, number, name = struct.unpack(">4sHB", head)
        stream.seek(name + (name + 1) % 2, 1)
        size = _length(stream, ">I")
        place = stream.tell()
        if number in _KEPT and size <= MAX_PROFILE_BYTES and place + size <= end:
            yield number, stream.read(size)
        stream.seek(place + size + size % 2)


def _length(stream: BinaryIO, layout: str) -> int:
    data = stream.read(struct.calcsize(layout))
    if len(data) < struct.calcsize(layout):
        raise PictureError("is truncated: the PSD ends within its sections")
    return int(struct.unpack(layout, data)[0])


def _metadata(resources: dict[int, bytes]) -> Metadata:
    known = None
    if len(resources.get(_RESOLUTION, b"")) >= 16:  # per inch, whatever unit is shown; fixed point 16.16
        across, down = struct.unpack_from(">I4xI", resources[_RESOLUTION])
        known = resolution(across / 65536, down / 65536)
    found = from_exif(resources.get(_EXIF), known)
    return with_more(found, xmp=resources.get(_XMP), iptc=resources.get(_IPTC))


def _cmyk_info(head: _Head, resources: dict[int, bytes]) -> FileInfo:
    if head.bits not in (8, 16) or head.channels < 4:
        raise PictureError(
            f"is a PSD in CMYK of {head.channels} × {counted(head.bits, 'bit')}, which is not supported"
        )
    coding, notices = profile_coding(resources[_PROFILE], 4) if _PROFILE in resources else (None, ())
    if coding is None:
        coding, notices = CMYK_ASSUMED, (*notices, CMYK_NOTICE)
    return FileInfo(
        format="psd",
        width=head.width,
        height=head.height,
        bits=head.bits,
        channels=4,
        coding=coding,
        inverted=True,
        notices=notices,
    )


def _planes(stream: BinaryIO, head: _Head, count: int) -> list[Samples]:
    """The first channels of the merged picture; the stream stands behind the header."""
    for layout in (">I", ">I", ">Q" if head.is_big else ">I"):  # palette, resources, layers
        stream.seek(_length(stream, layout), 1)
    packing = _length(stream, ">H")
    row_bytes = head.width * head.bits // 8
    if packing not in (_RAW, _PACKED):
        raise PictureError(f"has a merged picture of the compression {packing}, which is not supported")
    sizes = [row_bytes] * (count * head.height)
    if packing == _PACKED:
        kind = np.dtype(">u4" if head.is_big else ">u2")
        table = stream.read(kind.itemsize * head.channels * head.height)
        sizes = np.frombuffer(table[: len(table) // kind.itemsize * kind.itemsize], kind).tolist()
    rows = []
    for size in sizes[: count * head.height]:
        data = stream.read(size)
        if len(data) < size:
            break
        row = bytes(imagecodecs.packbits_decode(data)) if packing == _PACKED else data
        if len(row) < row_bytes:
            break
        rows.append(row[:row_bytes])
    if len(rows) < count * head.height:
        raise PictureError(f"is truncated: it has {len(rows):,} of {count * head.height:,} rows of channels")
    samples = np.frombuffer(b"".join(rows), f">u{head.bits // 8}").astype(f"u{head.bits // 8}")
    return list(samples.reshape(count, head.height, head.width))
