"""TIFF structures, of which EXIF blocks are made: directories (IFDs) of tagged values, read and built.

Reading takes any source of bytes, so that of a large TIFF file no more than its directories is read.
Sources: TIFF 6.0, BigTIFF, EXIF 2.32.
"""

import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x8769, 0x8825, 0xA005
"""Tags whose value is the place of another directory."""
SUB_IFDS = 330
"""The same, of several."""
MAX_VALUE_BYTES = 1 << 16
"""Of a larger value, one byte more than this is read, so that its size shows."""
ASCII, SHORT, LONG, UNDEFINED = 2, 3, 4, 7
_UNIT_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}
"""Of the numbers that values of a type consist of, where they have several bytes."""
_USER_COMMENT, _UNICODE = 0x9286, b"UNICODE\0"
"""Its text is UTF-16 in the order of the block (EXIF 2.32, 4.6.5)."""
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
# BigTIFF's; 13 is a place in classic TIFF too.
_POINTER_BYTES = {4: 4, 13: 4, 16: 8, 18: 8}
_KNOWN_BYTES = {
    **dict.fromkeys((EXIF_IFD, GPS_IFD), _POINTER_BYTES),
    SUB_IFDS: {**_TYPE_BYTES, **_POINTER_BYTES},  # no place in a directory of EXIF, where any type is a value
}
"""Sizes of the types that a tag may have, where they are not the usual ones."""
_MAX_ENTRIES = 1000
_CLASSIC, _BIG = 42, 43
_MARKS = {b"II": "<", b"MM": ">"}
_FIRST = 8
"""Where the first directory stands in what is built here."""

Read = Callable[[int, int], bytes]
"""(offset, size) to bytes of a TIFF structure, fewer at its end."""
Entry = tuple[int, int, bytes]
"""Type, count and value."""
Entries = dict[int, Entry]
"""Tag to entry."""
_NO_OTHERS: Mapping[int, Entries] = MappingProxyType({})


def bytes_reader(block: bytes) -> Read:
    """The bytes of an EXIF block, with or without the "Exif\\0\\0" that JPEG puts before it."""
    tiff = block.removeprefix(b"Exif\0\0")
    return lambda offset, size: tiff[offset : offset + size]


def stream_reader(stream: BinaryIO) -> Read:
    """The bytes of a seekable file. A place that no file can have raises ValueError."""

    def read(offset: int, size: int) -> bytes:
        try:
            stream.seek(offset)
        except (OverflowError, OSError) as error:  # BigTIFF's places have 64 bits
            raise ValueError(f"no file has a place {offset}") from error
        return stream.read(size)

    return read


@dataclass(frozen=True)
class Tiff:
    """A TIFF structure. All that reads from it raises struct.error or ValueError where it is damaged."""

    read: Read
    order: str
    """ "<" or ">", as in struct."""
    big: bool
    """BigTIFF: counts and places have 64 bits."""
    start: int
    """Place of the first directory."""

    @classmethod
    def of(cls, read: Read) -> "Tiff":
        """Read the header."""
        mark = read(0, 2)
        if mark not in _MARKS:
            raise ValueError("no TIFF header")
        order = _MARKS[mark]
        big = struct.unpack(order + "H", read(2, 2))[0] == _BIG
        return cls(read, order, big, _number(order, read(8, 8) if big else read(4, 4)))

    def number(self, data: bytes) -> int:
        """A place or a count, of 4 or 8 bytes."""
        return _number(self.order, data)

    def fields(self, offset: int) -> Entries:
        """The directory at `offset`, each value as its field has it: if longer, that is its place."""
        head, room = ("Q", 8) if self.big else ("H", 4)
        size = struct.calcsize("<" + head)
        (count,) = struct.unpack(self.order + head, self.read(offset, size))
        if count > _MAX_ENTRIES:
            raise ValueError("too many entries")
        layout = struct.Struct(f"{self.order}HH{'Q' if self.big else 'I'}{room}s")
        table = self.read(offset + size, layout.size * count)
        rows = (layout.unpack_from(table, layout.size * index) for index in range(count))
        return {tag: (kind, number, field) for tag, kind, number, field in rows}

    def directory(
        self, offset: int, wanted: Collection[int] | None = None, unless_large: Collection[int] = ()
    ) -> Entries:
        """The directory at `offset` with its values; entries of unknown types are left out.

        wanted: tags to read; None for all. unless_large: tags to leave out if they are over MAX_VALUE_BYTES.
        """
        entries: Entries = {}
        for tag, (kind, count, field) in self.fields(offset).items():
            sizes = _KNOWN_BYTES.get(tag, _TYPE_BYTES)
            if (wanted is not None and tag not in wanted) or kind not in sizes:
                continue
            size = sizes[kind] * count
            if size > MAX_VALUE_BYTES and tag in unless_large:
                continue
            most = min(size, MAX_VALUE_BYTES + 1)
            value = field[:size] if size <= len(field) else self.read(self.number(field), most)
            if len(value) < most:
                raise ValueError("a value lies beyond the end")
            entries[tag] = (kind, len(value) // sizes[kind], value)
        return entries


def text_entry(text: str) -> Entry:
    """An entry of text: ASCII by the standard, UTF-8 in practice."""
    value = text.replace("\0", " ").encode() + b"\0"
    return ASCII, len(value), value


def tiff_block(order: str, main: Entries, others: Mapping[int, Entries] = _NO_OTHERS) -> bytes:
    """A TIFF structure of a first directory and others that it points to, those without entries left out.

    others: tag of the pointer to the directory's entries.
    """
    mark = next(mark for mark, known in _MARKS.items() if known == order)
    head = mark + struct.pack(order + "HI", _CLASSIC, _FIRST)
    others = {tag: entries for tag, entries in others.items() if entries}

    def first(places: Mapping[int, int]) -> bytes:
        pointers = {tag: (LONG, 1, struct.pack(order + "I", at)) for tag, at in places.items()}
        return directory_bytes(order, {**main, **pointers}, len(head))

    places = dict.fromkeys(others, 0)
    end = len(head) + len(first(places))
    parts = []
    for tag, entries in others.items():
        places[tag] = end
        parts.append(directory_bytes(order, entries, end))
        end += len(parts[-1])
    return head + first(places) + b"".join(parts)


def directory_bytes(order: str, entries: Entries, offset: int, *, big: bool = False) -> bytes:
    """A directory that is to stand at `offset`, with the values that do not fit into it behind it.

    big: as BigTIFF has it.
    """
    head, place, room = ("Q", "Q", 8) if big else ("H", "I", 4)
    table, values = struct.pack(order + head, len(entries)), b""
    after = offset + len(table) + (4 + 2 * room) * len(entries) + room
    for tag, (kind, count, value) in sorted(entries.items()):
        field = value.ljust(room, b"\0")
        if len(value) > room:
            field = struct.pack(order + place, after + len(values))
            values += value + bytes(len(value) % 2)
        table += struct.pack(order + "HH" + place, tag, kind, count) + field
    return table + bytes(room) + values


def swapped(entries: Entries) -> Entries:
    """Entries in the other byte order."""
    return {tag: (kind, count, _swapped(tag, kind, value)) for tag, (kind, count, value) in entries.items()}


def _swapped(tag: int, kind: int, value: bytes) -> bytes:
    if tag == _USER_COMMENT and value.startswith(_UNICODE):
        return _UNICODE + _reversed(value[len(_UNICODE) :], 2)
    return _reversed(value, _UNIT_BYTES.get(kind, 1))


def _reversed(value: bytes, unit: int) -> bytes:
    """With the bytes of each unit in the other order; a part of a unit at the end stays."""
    whole = len(value) - len(value) % unit
    return np.frombuffer(value[:whole], np.uint8).reshape(-1, unit)[:, ::-1].tobytes() + value[whole:]


def _number(order: str, data: bytes) -> int:
    return int(struct.unpack(order + ("Q" if len(data) == 8 else "I"), data)[0])
