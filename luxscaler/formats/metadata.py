"""What a result may inherit from its source besides pixels: resolution, and EXIF fit for another picture.

EXIF is written anew, not edited: camera, lens, exposure, place, dates, author and copyright stay. What would
be false of another picture goes: orientation, size, colour space, thumbnail, and the maker's notes, whose
offsets break when they are moved. Sources: EXIF 2.32, TIFF 6.0.
"""

import math
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import BinaryIO

MAX_EXIF_BYTES = 1 << 16
"""Larger blocks are not kept: a JPEG has no room for them."""

Resolution = tuple[float, float]
"""Horizontal and vertical pixels per inch."""

_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
# Description, make, model, date, artist, host, copyright, and Windows' title to subject.
_KEPT_OF_MAIN = {270, 271, 272, 306, 315, 316, 33432, *range(0x9C9B, 0x9CA0)}
_RESOLUTION_TAGS = {_X_RESOLUTION, _Y_RESOLUTION, _UNIT}
# Maker's notes, colour space, width, height, sound, interoperability, gamma.
_DROPPED_OF_EXIF = {0x927C, 0xA001, 0xA002, 0xA003, 0xA004, 0xA005, 0xA500}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_LONG = 4
_MAX_ENTRIES = 1000
_UNITS_PER_INCH = {2: 1.0, 3: 2.54}
_DPI_LIMITS = (1.0, 100_000.0)

Read = Callable[[int, int], bytes]
"""(offset, size) to bytes of a TIFF structure."""
Entries = dict[int, tuple[int, int, bytes]]
"""Tag to type, count and value."""


@dataclass(frozen=True)
class Metadata:
    """See PictureSource; the resolution is that of the stored, not yet upright picture."""

    exif: bytes | None = None
    resolution_dpi: Resolution | None = None
    notices: tuple[str, ...] = ()


def from_exif(block: bytes | None, resolution: Resolution | None = None) -> Metadata:
    """What an EXIF block says, with or without its "Exif\\0\\0" prefix; `resolution` comes before its own."""
    if not block:
        return Metadata(None, resolution)
    tiff = block[6:] if block.startswith(b"Exif\0\0") else block
    return _metadata(lambda offset, size: tiff[offset : offset + size], resolution)


def from_tiff(stream: BinaryIO) -> Metadata:
    """What the first directory of a TIFF file says, classic TIFF only."""

    def read(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    return _metadata(read, None) if read(2, 2) in (b"*\0", b"\0*") else Metadata()


def resolution(x: float, y: float, per_inch: float = 1.0) -> Resolution | None:
    """Pixels per unit, of which `per_inch` make an inch, as a Resolution; None if they make no sense."""
    dpi = (x * per_inch, y * per_inch)
    low, high = _DPI_LIMITS
    return dpi if all(math.isfinite(v) and low <= v <= high for v in dpi) else None


def _metadata(read: Read, known: Resolution | None) -> Metadata:
    try:
        order = {b"II": "<", b"MM": ">"}[read(0, 2)]
        start = _long(order, read(4, 4))
        main = directory(read, order, start, {*_KEPT_OF_MAIN, *_RESOLUTION_TAGS, _EXIF_IFD, _GPS_IFD})
        known = known or _exif_resolution(order, main)
        exif = _sub_entries(read, order, main.pop(_EXIF_IFD, None))
        gps = _sub_entries(read, order, main.pop(_GPS_IFD, None))
    except (KeyError, struct.error, ValueError):
        return Metadata(None, known, ("the EXIF data is malformed and was not kept",))
    main = {tag: entry for tag, entry in main.items() if tag in _KEPT_OF_MAIN}
    exif = {tag: entry for tag, entry in exif.items() if tag not in _DROPPED_OF_EXIF}
    if not (main or exif or gps):
        return Metadata(None, known)
    block = _block(order, main, exif, gps)
    if len(block) > MAX_EXIF_BYTES:
        return Metadata(None, known, (f"the EXIF data is over {MAX_EXIF_BYTES} bytes and was not kept",))
    return Metadata(block, known)


def directory(read: Read, order: str, offset: int, wanted: Collection[int] | None = None) -> Entries:
    """The directory at `offset`. Raises struct.error or ValueError where it is damaged."""
    (count,) = struct.unpack(order + "H", read(offset, 2))
    if count > _MAX_ENTRIES:
        raise ValueError("too many entries")
    table = read(offset + 2, 12 * count)
    entries: Entries = {}
    for index in range(count):
        tag, kind, number = struct.unpack_from(order + "HHI", table, 12 * index)
        if (wanted is not None and tag not in wanted) or kind not in _TYPE_BYTES:
            continue
        size = _TYPE_BYTES[kind] * number
        if size > MAX_EXIF_BYTES and tag in _DROPPED_OF_EXIF:
            continue
        value = table[12 * index + 8 : 12 * index + 12][:size]
        if size > 4:
            value = read(_long(order, value), min(size, MAX_EXIF_BYTES + 1))
        if len(value) < min(size, MAX_EXIF_BYTES + 1):
            raise ValueError("a value lies beyond the end")
        entries[tag] = (kind, len(value) // _TYPE_BYTES[kind], value)
    return entries


def _sub_entries(read: Read, order: str, pointer: tuple[int, int, bytes] | None) -> Entries:
    return {} if pointer is None else directory(read, order, _long(order, pointer[2]))


def _long(order: str, data: bytes) -> int:
    return int(struct.unpack(order + "I", data)[0])


def _exif_resolution(order: str, main: Entries) -> Resolution | None:
    try:
        x, y = (struct.unpack(order + "2I", main[tag][2]) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
        unit = struct.unpack(order + "H", main[_UNIT][2])[0] if _UNIT in main else 2
        return resolution(x[0] / x[1], y[0] / y[1], _UNITS_PER_INCH[unit])
    except (KeyError, struct.error, ZeroDivisionError):
        return None


def _block(order: str, main: Entries, exif: Entries, gps: Entries) -> bytes:
    """A TIFF structure of these directories, without the prefix that JPEG puts before it."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    pointers = {tag: 0 for tag, entries in ((_EXIF_IFD, exif), (_GPS_IFD, gps)) if entries}

    def first() -> bytes:
        values = {tag: (_LONG, 1, struct.pack(order + "I", at)) for tag, at in pointers.items()}
        return _directory(order, {**main, **values}, len(head))

    end = len(head) + len(first())
    parts = []
    for tag, entries in ((_EXIF_IFD, exif), (_GPS_IFD, gps)):
        if entries:
            pointers[tag] = end
            parts.append(_directory(order, entries, end))
            end += len(parts[-1])
    return head + first() + b"".join(parts)


def _directory(order: str, entries: Entries, offset: int) -> bytes:
    """A directory that is to stand at `offset`, with the values that do not fit into it behind it."""
    table, values = struct.pack(order + "H", len(entries)), b""
    after = offset + 2 + 12 * len(entries) + 4
    for tag, (kind, count, value) in sorted(entries.items()):
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field = struct.pack(order + "I", after + len(values))
            values += value + bytes(len(value) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + field
    return table + bytes(4) + values
