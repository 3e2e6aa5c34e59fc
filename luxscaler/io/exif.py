"""What a result may inherit from its source besides pixels: resolution, and EXIF fit for another picture.

EXIF is written anew, not edited: camera, lens, exposure, place, dates, author and copyright stay. What would
be false of another picture goes: orientation, size, colour space, thumbnail, and the maker's notes, whose
offsets break when they are moved. Sources: EXIF 2.32, TIFF 6.0.
"""

import math
import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import BinaryIO

MAX_EXIF_BYTES = 1 << 16
"""Larger blocks are not kept: a JPEG has no room for them."""
MAX_ITEM_BYTES = 1 << 20
"""What is read of a block at most: thumbnail and maker's notes included, which then go."""

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
# BigTIFF's; 13 is a place in classic TIFF too.
_POINTER_BYTES = {4: 4, 13: 4, 16: 8, 18: 8}
_ASCII = 2
_LONG = 4
_DATE_TAKEN, _COPYRIGHT = 0x9003, 33432
_MAX_ENTRIES = 1000
_BIG = 43
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


def from_exif_item(item: bytes | None) -> Metadata:
    """What an EXIF item says: 4 bytes for where its TIFF header is, and a block (ISO/IEC 23008-12, A.2.1)."""
    if item is None:
        return Metadata()
    if len(item) > MAX_ITEM_BYTES:
        return Metadata(notices=(f"the EXIF data is over {MAX_ITEM_BYTES} bytes and was not kept",))
    start = 4 + int.from_bytes(item[:4], "big")
    return from_exif(item[start:] or b"\0")  # which is no block either


def from_texts(owner: str, taken: str, known: Resolution | None) -> Metadata:
    """EXIF of who owns a picture and when it was taken ("YYYY:MM:DD hh:mm:ss"), as far as that is said."""
    main = {_COPYRIGHT: _ascii(owner)} if owner.strip() else {}
    exif = {_DATE_TAKEN: _ascii(taken)} if re.fullmatch(r"\d{4}(:\d\d){2} \d\d(:\d\d){2}", taken) else {}
    return _rewritten("<", main, exif, {}, known)


def from_tiff(stream: BinaryIO) -> Metadata:
    """What the first directory of a TIFF or BigTIFF file says."""

    def read(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    return _metadata(read, None)


def resolution(x: float, y: float, per_inch: float = 1.0) -> Resolution | None:
    """Pixels per unit, of which `per_inch` make an inch, as a Resolution; None if they make no sense."""
    dpi = (x * per_inch, y * per_inch)
    low, high = _DPI_LIMITS
    return dpi if all(math.isfinite(v) and low <= v <= high for v in dpi) else None


def _metadata(read: Read, known: Resolution | None) -> Metadata:
    try:
        order = {b"II": "<", b"MM": ">"}[read(0, 2)]
        big = struct.unpack(order + "H", read(2, 2))[0] == _BIG
        start = _number(order, read(8, 8) if big else read(4, 4))
        wanted = {*_KEPT_OF_MAIN, *_RESOLUTION_TAGS, _EXIF_IFD, _GPS_IFD}
        main = directory(read, order, start, wanted, big=big)
        known = known or _exif_resolution(order, main)
        exif = _sub_entries(read, order, main.pop(_EXIF_IFD, None), big=big)
        gps = _sub_entries(read, order, main.pop(_GPS_IFD, None), big=big)
    except (
        KeyError,
        struct.error,
        ValueError,
        OverflowError,
        OSError,
    ):  # places of 64 bits are beyond any file
        return Metadata(None, known, ("the EXIF data is malformed and was not kept",))
    main = {tag: entry for tag, entry in main.items() if tag in _KEPT_OF_MAIN}
    exif = {tag: entry for tag, entry in exif.items() if tag not in _DROPPED_OF_EXIF}
    return _rewritten(order, main, exif, gps, known)


def _rewritten(order: str, main: Entries, exif: Entries, gps: Entries, known: Resolution | None) -> Metadata:
    if not (main or exif or gps):
        return Metadata(None, known)
    block = _block(order, main, exif, gps)
    if len(block) > MAX_EXIF_BYTES:
        return Metadata(None, known, (f"the EXIF data is over {MAX_EXIF_BYTES} bytes and was not kept",))
    return Metadata(block, known)


def directory(
    read: Read, order: str, offset: int, wanted: Collection[int] | None = None, *, big: bool = False
) -> Entries:
    """The directory at `offset`. Raises struct.error or ValueError where it is damaged.

    big: of BigTIFF, where counts and places have 64 bits.
    """
    head, room = ("Q", 8) if big else ("H", 4)
    layout = struct.Struct(f"{order}HH{'Q' if big else 'I'}{room}s")
    (count,) = struct.unpack(order + head, read(offset, struct.calcsize("<" + head)))
    if count > _MAX_ENTRIES:
        raise ValueError("too many entries")
    table = read(offset + struct.calcsize("<" + head), layout.size * count)
    entries: Entries = {}
    for index in range(count):
        tag, kind, number, field = layout.unpack_from(table, layout.size * index)
        sizes = _POINTER_BYTES if tag in (_EXIF_IFD, _GPS_IFD) else _TYPE_BYTES
        if (wanted is not None and tag not in wanted) or kind not in sizes:
            continue
        size = sizes[kind] * number
        if size > MAX_EXIF_BYTES and tag in _DROPPED_OF_EXIF:
            continue
        value = field[:size]
        if size > room:
            value = read(_number(order, field), min(size, MAX_EXIF_BYTES + 1))
        if len(value) < min(size, MAX_EXIF_BYTES + 1):
            raise ValueError("a value lies beyond the end")
        entries[tag] = (kind, len(value) // sizes[kind], value)
    return entries


def _sub_entries(read: Read, order: str, pointer: tuple[int, int, bytes] | None, *, big: bool) -> Entries:
    return {} if pointer is None else directory(read, order, _number(order, pointer[2]), big=big)


def _number(order: str, data: bytes) -> int:
    """Of 4 or 8 bytes."""
    return int(struct.unpack(order + ("Q" if len(data) == 8 else "I"), data)[0])


def _ascii(text: str) -> tuple[int, int, bytes]:
    """An entry of text: ASCII by the standard, UTF-8 in practice."""
    value = text.replace("\0", " ").encode() + b"\0"
    return _ASCII, len(value), value


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
