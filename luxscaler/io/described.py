"""The EXIF and XMP items that describe the picture of an AVIF or HEIC file. Damage is never an error.

An XMP item may be compressed: its entry names the coding, as HTTP does. Sources: ISO/IEC 23008-12, annex A
(EXIF, XMP), ISO/IEC 14496-12, 8.11.6 (content types of items).
"""

import struct
from typing import BinaryIO

from luxscaler.io.exif.read import MAX_ITEM_BYTES
from luxscaler.io.isobmff import Meta, boxes, described_by, item_data
from luxscaler.io.unpacking import UnpackError, decoded

XMP_TYPE = b"application/rdf+xml"
_DAMAGE = (struct.error, IndexError, OSError, OverflowError)


def exif_item(stream: BinaryIO, meta: Meta) -> bytes | None:
    """The EXIF item; None if there is none, empty if it is damaged.

    At most MAX_ITEM_BYTES + 1 bytes are returned, by which the caller sees that an item is too long.
    """
    try:
        for item in described_by(meta, meta.primary, b"Exif"):
            return item_data(stream, meta, item)
    except _DAMAGE:
        return b""
    return None


def xmp_item(stream: BinaryIO, meta: Meta) -> tuple[bytes | None, tuple[str, ...]]:
    """The XMP packet, unpacked, and notices; None, empty and too long mean what they do for `exif_item`.

    A packet in a coding that cannot be unpacked is None, with a notice.
    """
    try:
        items = described_by(meta, meta.primary, b"mime")
        types = content_types(meta.iinf) if items else {}
        for item in items:
            kind, coding = types.get(item, (b"", b""))
            if kind == XMP_TYPE:
                return decoded(item_data(stream, meta, item), coding, MAX_ITEM_BYTES), ()
    except UnpackError as error:
        return None, (f"the XMP data is {error} and was not kept",)
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
