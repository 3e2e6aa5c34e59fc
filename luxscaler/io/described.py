"""What describes the main picture of an AVIF file: its EXIF and XMP items. Damage is never an error.

Sources: ISO/IEC 23008-12, annex A (EXIF, XMP), ISO/IEC 14496-12, 8.11.6 (content types of items).
"""

import struct
from typing import BinaryIO

from luxscaler.io.isobmff import Meta, boxes, described_by, item_data

XMP_TYPE = b"application/rdf+xml"
_DAMAGE = (struct.error, IndexError, OSError, OverflowError)
_MAX_SHOWN = 20
"""Characters of a name in a notice."""


def exif_item(stream: BinaryIO, meta: Meta) -> bytes | None:
    """The EXIF item, at most MAX_ITEM_BYTES and 1 of it; empty where it is damaged."""
    try:
        for item in described_by(meta, meta.primary, b"Exif"):
            return item_data(stream, meta, item)
    except _DAMAGE:
        return b""
    return None


def xmp_item(stream: BinaryIO, meta: Meta) -> tuple[bytes | None, tuple[str, ...]]:
    """The XMP packet, cut and empty as EXIF's; or a notice of one that is compressed."""
    try:
        items = described_by(meta, meta.primary, b"mime")
        types = content_types(meta.iinf) if items else {}
        for item in items:
            kind, coding = types.get(item, (b"", b""))
            if kind != XMP_TYPE:
                continue
            if coding:
                name = coding[:_MAX_SHOWN].decode("ascii", "replace")
                return None, (f"the XMP data is compressed ({name!r}) and was not kept",)
            return item_data(stream, meta, item), ()
    except _DAMAGE:
        return b"", ()
    return None, ()


def content_types(iinf: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Of "mime" items: number to content type and encoding. Raises struct.error or IndexError for damage."""
    found = {}
    for name, entry in boxes(iinf[6 if iinf[0] == 0 else 8 :]):
        if name == b"infe" and entry[0] in (2, 3):
            head = struct.Struct(">HH4s" if entry[0] == 2 else ">IH4s")
            item, _, kind = head.unpack_from(entry, 4)
            if kind == b"mime":
                _, content_type, encoding, *_ = [*entry[4 + head.size :].split(b"\0", 3), b"", b"", b""]
                found[item] = content_type, encoding
    return found
