"""AVIF and HEIC files whose XMP is a compressed item: its encoding is named, and its bytes are given."""

import struct
from collections.abc import Callable

from luxscaler.io.isobmff import box, iloc_body, item_places, whole_boxes

_XMP_ENTRY = b"application/rdf+xml\0"


def with_packed_xmp(write: Callable[[bytes], bytes], packed: bytes, encoding: bytes) -> bytes:
    """A file whose XMP item holds `packed` and says that it is so encoded.

    write: gives a file with that XMP. It gets other bytes of that length: libheif changes packets.
    """
    stand_in = b"X" * len(packed)
    return _with_encoding(write(stand_in).replace(stand_in, packed), encoding)


def _with_encoding(file: bytes, encoding: bytes) -> bytes:
    (_, ftyp), (_, meta), *rest = whole_boxes(file)
    parts = dict(whole_boxes(meta[4:]))
    entries = [
        (name, _encoded(body, encoding) if _XMP_ENTRY in body else body)
        for name, body in whole_boxes(parts[b"iinf"][6:])
    ]
    parts[b"iinf"] = parts[b"iinf"][:6] + b"".join(box(*each) for each in entries)
    places = [(item, at, size) for item, [(_, at, size)] in item_places(parts[b"iloc"]).items()]
    parts[b"iloc"] = iloc_body(places)
    moved = sum(len(body) + 8 for body in parts.values()) + 4 - len(meta)
    parts[b"iloc"] = iloc_body([(item, at + moved, size) for item, at, size in places])
    body = meta[:4] + b"".join(box(*each) for each in parts.items())
    return b"".join(box(*each) for each in [(b"ftyp", ftyp), (b"meta", body), *rest])


def _encoded(entry: bytes, encoding: bytes) -> bytes:
    """The body of an infe box of version 2 or 3 with an encoding."""
    assert struct.unpack_from("B", entry)[0] in (2, 3)
    return entry[: entry.index(_XMP_ENTRY) + len(_XMP_ENTRY)] + encoding + b"\0"
