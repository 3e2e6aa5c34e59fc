"""The boxes of ISO media files: read and built, and what items a file of pictures has.

AVIF is such a file; JPEG XL's container has the boxes and no items. What properties mean is left to the
formats. Sources: ISO/IEC 14496-12 (boxes, iloc, iinf, iref), 23008-12 (items, properties, EXIF in annex A).
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.exif.read import MAX_ITEM_BYTES

_MAX_META = 64 * 2**20
_MAX_EXTENTS = 64

Extent = tuple[int, int, int]
"""Where it lies (0: in the file, 1: in the idat box), offset, and length (0: up to the end)."""


@dataclass
class Meta:
    """What the meta box says; item numbers to their properties, in the order of the file."""

    primary: int = 0
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    associations: dict[int, list[int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, tuple[int, ...]]] = field(default_factory=list)
    """Kind, item from, items to."""
    iinf: bytes = b""
    iloc: bytes = b""
    idat: bytes = b""

    def properties_of(self, item: int) -> list[tuple[bytes, bytes]]:
        """Name and body of an item's properties."""
        numbers = self.associations.get(item, [])
        return [self.properties[number - 1] for number in numbers if 0 < number <= len(self.properties)]


def box(kind: bytes, body: bytes) -> bytes:
    """A box of up to 4 GiB."""
    return box_header(kind, len(body)) + body


def box_header(kind: bytes, size: int, *, wide: bool = False) -> bytes:
    """What stands before a body of `size` bytes. wide: with a size of 64 bits."""
    if wide:
        return struct.pack(">I4sQ", 1, kind, 16 + size)
    return struct.pack(">I4s", 8 + size, kind)


def whole_boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """Name and body of every box, of 32-bit sizes. Raises ValueError where they do not fill `data`."""
    found = list(boxes(data))
    if b"".join(box(*each) for each in found) != data:
        raise ValueError("unexpected ISO media box")
    return found


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
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


def top_boxes(
    stream: BinaryIO, position: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the place and the size of the body of every box of a file; the last may be cut off.

    position, end: of a part of the file that boxes fill, such as the body of another box.
    """
    end = stream.seek(0, 2) if end is None else end
    while position + 8 <= end:
        stream.seek(position)
        head = stream.read(16)
        size, name = struct.unpack_from(">I4s", head)
        header = 8
        if size == 1 and len(head) == 16:
            (size,), header = struct.unpack_from(">Q", head, 8), 16
        size = size or end - position
        if size < header:
            return
        yield name, position + header, size - header
        position += size


def read_meta(stream: BinaryIO) -> Meta:
    """Read the meta box, without the pixels. Raises struct.error or IndexError where it is damaged."""
    for name, start, size in top_boxes(stream):
        if name == b"meta" and 0 < size <= _MAX_META:
            stream.seek(start)
            return _meta(stream.read(size)[4:])
    raise PictureError("has no still picture (it may be truncated, or a sequence)")


def described_by(meta: Meta, item: int, kind: bytes) -> list[int]:
    """The items of that kind that describe `item`. Raises struct.error or IndexError where it is damaged."""
    kinds = item_kinds(meta.iinf) if meta.references else {}
    found = (source for name, source, targets in meta.references if name == b"cdsc" and item in targets)
    return [source for source in found if kinds.get(source) == kind]


def item_data(stream: BinaryIO, meta: Meta, item: int) -> bytes:
    """An item's bytes, at most MAX_ITEM_BYTES + 1 of them, by which a longer item shows.

    Raises struct.error, IndexError, OSError or OverflowError where the file is damaged.
    """
    extents = next(iter(item_places(meta.iloc, item).values()), [])
    return b"".join(_piece(stream, meta, extent) for extent in extents)[: MAX_ITEM_BYTES + 1]


def _meta(body: bytes) -> Meta:
    meta = Meta()
    for name, content in boxes(body):
        if name == b"pitm":
            meta.primary = int.from_bytes(content[4 : 6 if content[0] == 0 else 8], "big")
        elif name == b"iprp":
            for inner, part in boxes(content):
                if inner == b"ipco":
                    meta.properties = list(boxes(part))
                elif inner == b"ipma":  # there may be several, even for one item
                    for item, numbers in associations(part).items():
                        known = meta.associations.setdefault(item, [])
                        known += [number for number in numbers if number not in known]
        elif name == b"iref":
            meta.references += _references(content)
        elif name == b"iinf":
            meta.iinf = content
        elif name == b"iloc":
            meta.iloc = content
        elif name == b"idat":
            meta.idat = content
    return meta


def associations(body: bytes, *, with_flag: bool = False) -> dict[int, list[int]]:
    """The ipma box: item number to 1-based property numbers (ISO/IEC 23008-12, section 9.3.1).

    with_flag: as stored, their highest bit set where the property is essential.
    """
    version, wide = body[0], body[3] & 1
    (count,) = struct.unpack_from(">I", body, 4)
    position = 8
    items: dict[int, list[int]] = {}
    for _ in range(count):
        item, number = struct.unpack_from(">HB" if version == 0 else ">IB", body, position)
        position += 3 if version == 0 else 5
        entries = struct.unpack_from(f">{number}{'H' if wide else 'B'}", body, position)
        position += number * (2 if wide else 1)
        mask = (0xFFFF if wide else 0xFF) if with_flag else (0x7FFF if wide else 0x7F)
        items.setdefault(item, []).extend(entry & mask for entry in entries)
    return items


def _references(body: bytes) -> list[tuple[bytes, int, tuple[int, ...]]]:
    """The iref box; of references that are cut off what there is."""
    code, size = ("H", 2) if body[0] == 0 else ("I", 4)
    found = []
    for kind, content in boxes(body[4:]):
        if len(content) < size + 2:
            continue
        item, count = struct.unpack_from(f">{code}H", content)
        count = min(count, (len(content) - size - 2) // size)
        found.append((kind, item, struct.unpack_from(f">{count}{code}", content, size + 2)))
    return found


def item_kinds(body: bytes) -> dict[int, bytes]:
    """The iinf box: item number to its type; entries from before version 2 have none."""
    kinds = {}
    for name, entry in boxes(body[6 if body[0] == 0 else 8 :]):
        if name == b"infe" and entry[0] in (2, 3):
            item, _, kind = struct.unpack_from(">HH4s" if entry[0] == 2 else ">IH4s", entry, 4)
            kinds[item] = kind
    return kinds


def item_places(iloc: bytes, wanted: int | None = None) -> dict[int, list[Extent]]:
    """The iloc box: item number to its extents (ISO/IEC 14496-12, section 8.11.3); of all items, or of one.

    Raises IndexError or struct.error where it is damaged.
    """
    version, sizes = iloc[0], struct.unpack_from(">H", iloc, 4)[0]
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    index_bytes *= bool(version)
    position = 6

    def number(size: int) -> int:
        nonlocal position
        position += size
        if position > len(iloc):
            raise IndexError
        return int.from_bytes(iloc[position - size : position], "big")

    wide = 2 if version < 2 else 4
    found: dict[int, list[Extent]] = {}
    for _ in range(number(wide)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # data reference
        base = number(base_bytes)
        count = number(2)
        kept = min(count, _MAX_EXTENTS) if wanted in (None, item) else 0
        extents: list[Extent] = []
        for _ in range(kept):
            number(index_bytes)
            extents.append((method, base + number(offset_bytes), number(length_bytes)))
        if item == wanted:
            return {item: extents}
        number((count - kept) * (index_bytes + offset_bytes + length_bytes))
        found[item] = extents
    return found if wanted is None else {}


def iloc_body(places: Iterable[tuple[int, int, int]]) -> bytes:
    """The body of an iloc box, version 0, of items in one extent each: item number, offset, length."""
    entries = [struct.pack(">3H2I", item, 0, 1, offset, length) for item, offset, length in places]
    return struct.pack(">I2H", 0, 0x4400, len(entries)) + b"".join(entries)


def _piece(stream: BinaryIO, meta: Meta, extent: Extent) -> bytes:
    method, offset, length = extent
    most = min(length, MAX_ITEM_BYTES + 1) if length else MAX_ITEM_BYTES + 1
    if method == 0:
        stream.seek(offset)
        return stream.read(most)
    return meta.idat[offset : offset + most] if method == 1 else b""
