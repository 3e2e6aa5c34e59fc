"""Adds to an AVIF file what its encoder here cannot be told: properties of the picture, and EXIF.

A file is a row of boxes: ftyp, meta (what there is and where), mdat (the coded data). The meta box grows,
EXIF gets an mdat of its own behind it, and the places of the picture's data move by as much. See
ISO/IEC 14496-12 for boxes, 23008-12 for items and properties. What a property says is not known here.
"""

import struct
from collections.abc import Sequence

_PLACE = struct.Struct(">3H2I")  # item, data reference, extents, offset, length


def annotate(avif: bytes, properties: Sequence[tuple[bytes, bytes]], exif: bytes) -> bytes:
    """Return the file with more properties of its main picture and an Exif item that describes it.

    properties: kind and body of each box. exif: from the TIFF header on.
    Raises ValueError for a file that libavif would not have written.
    """
    top = _boxes(avif)
    if [kind for kind, _ in top[:2]] != [b"ftyp", b"meta"]:
        raise ValueError("unexpected AVIF layout")
    meta = dict(_boxes(top[1][1][4:]))
    (primary,) = struct.unpack(">H", meta[b"pitm"][4:])
    exif_item = 1 + max(item for item, *_ in _places(meta[b"iloc"]))

    for added in properties:
        meta[b"iprp"] = _with_property(meta[b"iprp"], primary, _box(*added))
    entry = _box(b"infe", struct.pack(">I2H4sB", 2 << 24, exif_item, 0, b"Exif", 0))
    (entries,) = struct.unpack(">H", meta[b"iinf"][4:6])
    meta[b"iinf"] = meta[b"iinf"][:4] + struct.pack(">H", entries + 1) + meta[b"iinf"][6:] + entry
    describes = _box(b"cdsc", struct.pack(">3H", exif_item, 1, primary))
    meta[b"iref"] = meta.get(b"iref", bytes(4)) + describes

    # Before the picture: some readers ask for EXIF before they have read to the end (OpenCV).
    payload = struct.pack(">I", 0) + exif  # the number: where in it the TIFF header starts
    old_size = 8 + len(top[1][1])
    new_size = 12 + sum(8 + len(body) for body in meta.values()) + _PLACE.size
    moved = new_size - old_size + 8 + len(payload)
    places = [(*place[:3], place[3] + moved, place[4]) for place in _places(meta[b"iloc"])]
    places.append((exif_item, 0, 1, 8 + len(top[0][1]) + new_size + 8, len(payload)))
    head = meta[b"iloc"][:6] + struct.pack(">H", len(places))
    meta[b"iloc"] = head + b"".join(_PLACE.pack(*place) for place in places)

    body = top[1][1][:4] + b"".join(_box(kind, content) for kind, content in meta.items())
    rest = b"".join(_box(kind, content) for kind, content in top[2:])
    return _box(*top[0]) + _box(b"meta", body) + _box(b"mdat", payload) + rest


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if not 8 <= size <= len(data) - at:
            raise ValueError("unexpected AVIF box")
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return found


def _places(iloc: bytes) -> list[tuple[int, int, int, int, int]]:
    """Item, data reference, extents (one), offset and length of each item."""
    version, sizes = struct.unpack_from(">IH", iloc)
    if version != 0 or sizes != 0x4400:
        raise ValueError("unexpected AVIF iloc box")
    return [_PLACE.unpack_from(iloc, at) for at in range(8, len(iloc), _PLACE.size)]


def _with_property(iprp: bytes, item: int, box: bytes) -> bytes:
    """Append a property to the container and to the associations of one item."""
    parts = dict(_boxes(iprp))
    number = len(_boxes(parts[b"ipco"])) + 1
    parts[b"ipco"] += box
    ipma = parts[b"ipma"]
    flags, count = struct.unpack_from(">2I", ipma)
    if flags != 0 or number > 127:
        raise ValueError("unexpected AVIF ipma box")
    result, at = ipma[:8], 8
    for _ in range(count):
        of, associations = struct.unpack_from(">HB", ipma, at)
        own = ipma[at + 3 : at + 3 + associations]
        at += 3 + associations
        if of == item:
            own += bytes([number])
        result += struct.pack(">HB", of, len(own)) + own
    parts[b"ipma"] = result
    return b"".join(_box(kind, content) for kind, content in parts.items())
