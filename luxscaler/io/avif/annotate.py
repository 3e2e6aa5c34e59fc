"""Adds to an AVIF file what imagecodecs' encoder has no arguments for: light levels, EXIF and XMP.

A file is a row of boxes: ftyp, meta (what there is and where), mdat (the coded data). The meta box grows,
EXIF and XMP get an mdat of their own behind it, and the places of the picture's data move by as much. See
ISO/IEC 14496-12 for boxes, 23008-12 for items and properties.
"""

import struct
from collections.abc import Iterable, Sequence

from luxscaler.io.described import XMP_TYPE
from luxscaler.io.isobmff import box, iloc_body, item_places, whole_boxes

EXIF, XMP = b"Exif", b"mime"
_BOX_HEAD = 8
_FULL_HEAD = 4
"""Version and flags, which begin the body of a "full" box."""


def annotate(
    avif: bytes, properties: Sequence[tuple[bytes, bytes]], items: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """Return the file with more properties of its main picture, and items that describe it.

    properties: kind and body of each box. items: kind (EXIF or XMP) and data of each.
    Raises ValueError for a file that libavif would not have written.
    """
    top = whole_boxes(avif)
    if [kind for kind, _ in top[:2]] != [b"ftyp", b"meta"]:
        raise ValueError("unexpected AVIF layout")
    (_, ftyp), (_, old_meta), *rest = top
    meta = dict(whole_boxes(old_meta[_FULL_HEAD:]))
    (primary,) = struct.unpack(">H", meta[b"pitm"][_FULL_HEAD:])
    places = _places(meta[b"iloc"])
    first = 1 + max(item for item, *_ in places)

    for added in properties:
        meta[b"iprp"] = _with_property(meta[b"iprp"], primary, box(*added))
    meta[b"iref"] = meta.get(b"iref", bytes(_FULL_HEAD))
    for number, (kind, _) in enumerate(items, first):
        meta[b"iinf"] = _with_entry(meta[b"iinf"], number, kind)
        meta[b"iref"] += box(b"cdsc", struct.pack(">3H", number, 1, primary))

    # Before the picture: some readers ask for EXIF before they have read to the end (OpenCV).
    new = [(number, 0, len(data)) for number, (_, data) in enumerate(items, first)]
    meta[b"iloc"] = iloc_body([*places, *new])  # offsets follow below; its length is final
    size = _FULL_HEAD + sum(_BOX_HEAD + len(body) for body in meta.values())
    block = b"".join(data for _, data in items)
    moved = size - len(old_meta) + _BOX_HEAD + len(block)
    at = _BOX_HEAD + len(ftyp) + _BOX_HEAD + size + _BOX_HEAD
    places = [(item, offset + moved, length) for item, offset, length in places]
    for number, _, length in new:
        places.append((number, at, length))
        at += length
    meta[b"iloc"] = iloc_body(places)

    new_meta = old_meta[:_FULL_HEAD] + _joined(meta.items())
    return _joined([(b"ftyp", ftyp), (b"meta", new_meta), (b"mdat", block), *rest])


def _joined(boxes: Iterable[tuple[bytes, bytes]]) -> bytes:
    return b"".join(box(kind, body) for kind, body in boxes)


def _places(iloc: bytes) -> list[tuple[int, int, int]]:
    """Number, offset and length of each item, which lies in the file as one piece."""
    items = item_places(iloc)
    if iloc[:6] != iloc_body([])[:6] or any(len(extents) != 1 for extents in items.values()):
        raise ValueError("unexpected AVIF iloc box")
    return [(item, offset, length) for item, [(_, offset, length)] in items.items()]


def _with_entry(iinf: bytes, item: int, kind: bytes) -> bytes:
    """Append the entry of an item to the list of items."""
    said = XMP_TYPE + b"\0" if kind == XMP else b""
    entry = box(b"infe", struct.pack(">I2H4sB", 2 << 24, item, 0, kind, 0) + said)
    (entries,) = struct.unpack(">H", iinf[4:6])
    return iinf[:4] + struct.pack(">H", entries + 1) + iinf[6:] + entry


def _with_property(iprp: bytes, item: int, added: bytes) -> bytes:
    """Append a property to the container and to the associations of one item."""
    parts = dict(whole_boxes(iprp))
    number = len(whole_boxes(parts[b"ipco"])) + 1
    parts[b"ipco"] += added
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
    return _joined(parts.items())
