"""An AVIF or HEIC file, changed for a decoder that is to show one of its pictures.

Decoders refuse a whole file over what they find in an item that is not asked for: the metadata of a derived
picture, or the size of a gain map, a thumbnail or a depth map. Such items get another name; all bytes keep
their places.
"""

import struct
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.isobmff import Meta, item_kinds, read_meta, top_boxes

ALPHA_URNS = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
"""Of an auxiliary picture that is alpha."""
_UNKNOWN = b"none"


def is_alpha(meta: Meta, item: int) -> bool:
    """Whether an item says of itself that it is alpha."""
    said = meta.properties_of(item)
    return any(name == b"auxC" and body[4:].split(b"\0")[0] in ALPHA_URNS for name, body in said)


def showing(stream: BinaryIO, item: int | None = None) -> bytes:
    """The file, for a decoder that is to show `item` (the main picture if not given) and no derived picture.

    Raises struct.error or IndexError where the file is damaged.
    """
    unneeded = _unneeded(stream, item)
    stream.seek(0)
    data = bytearray(stream.read())
    for name, start, size in top_boxes(stream):
        if name == b"ftyp":
            data[start : start + size] = data[start : start + size].replace(b"tmap", b"mif1")
        end = min(start + size, len(data))
        for inner, place, length in top_boxes(stream, start + 4, end) if name == b"meta" else ():
            if inner == b"iinf":
                data[place : place + length] = data[place : place + length].replace(b"tmap", _UNKNOWN)
                first = place + (6 if data[place] == 0 else 8)
                _change_entries(stream, data, first, place + length, item, unneeded)
            elif inner == b"iref" and item is not None:  # it is nobody's auxiliary picture either
                data[place : place + length] = data[place : place + length].replace(b"auxl", _UNKNOWN)
            elif inner == b"pitm" and item is not None:
                struct.pack_into(">H" if data[place] == 0 else ">I", data, place + 4, item)
    return bytes(data)


def _change_entries(
    stream: BinaryIO, data: bytearray, start: int, end: int, shown: int | None, unneeded: set[int]
) -> None:
    """Change entries of items between start and end: `shown` is not hidden, `unneeded` have no known type."""
    for name, place, _ in top_boxes(stream, start, end):
        if name == b"infe" and data[place] in (2, 3):
            (number,) = struct.unpack_from(">H" if data[place] == 2 else ">I", data, place + 4)
            if number == shown:
                data[place + 3] &= 0xFE
            if number in unneeded:
                kind = place + (8 if data[place] == 2 else 10)
                data[kind : kind + 4] = _UNKNOWN


def _unneeded(stream: BinaryIO, item: int | None) -> set[int]:
    """Gain maps, thumbnails and auxiliary pictures but alpha, with their parts, without those of `item`."""
    try:
        meta = read_meta(stream)
        kinds = item_kinds(meta.iinf) if meta.references else {}
    except (struct.error, IndexError, PictureError):  # the decoder may understand it
        return set()
    apart: set[int] = set()
    for name, source, targets in meta.references:
        if name == b"thmb" or (name == b"auxl" and not is_alpha(meta, source)):
            apart.add(source)
        elif name == b"dimg" and kinds.get(source) == b"tmap":
            apart.update(targets[1:])
    shown = meta.primary if item is None else item
    return _with_parts(meta, apart) - _with_parts(meta, {shown})


def _with_parts(meta: Meta, items: set[int]) -> set[int]:
    """These items, and those that they are made of."""
    found, waiting = set(items), list(items)
    while waiting:
        item = waiting.pop()
        for name, source, targets in meta.references:
            if name == b"dimg" and source == item:
                waiting += [target for target in targets if target not in found]
                found.update(targets)
    return found
