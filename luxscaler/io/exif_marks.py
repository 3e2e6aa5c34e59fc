"""The three things that LuxScaler wants from an EXIF block: orientation and the two marks of Adobe RGB.

A block that is damaged says nothing, because no photograph is refused over its metadata. (Pillow's reader
would do, but it warns on standard error about what is not ours to mend.) Source: EXIF 2.32, TIFF 6.0.
"""

import struct
from dataclasses import dataclass

_ORIENTATION, _EXIF_IFD, _COLOR_SPACE, _INTEROP_IFD, _INTEROP_INDEX = 0x0112, 0x8769, 0xA001, 0xA005, 1
_SHORT = 3
_MAX_ENTRIES = 1000
_ADOBE_RGB_BY_CONVENTION = 2


@dataclass(frozen=True)
class Exif:
    """What was found; the defaults where nothing was."""

    orientation: int = 1
    """1 to 8."""
    adobe_rgb: bool = False
    """Whether the colours are marked as Adobe RGB: InteropIndex R03 (DCF 2.0), or ColorSpace 2."""


def read_exif(block: bytes | None) -> Exif:
    """Read an EXIF block, with or without its "Exif\\0\\0" prefix; never raises."""
    if not block:
        return Exif()
    tiff = block[6:] if block.startswith(b"Exif\0\0") else block
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        main = _entries(tiff, order, struct.unpack_from(order + "I", tiff, 4)[0])
        exif = _sub_entries(tiff, order, main, _EXIF_IFD)
        interop = _sub_entries(tiff, order, exif, _INTEROP_IFD)
    except (KeyError, struct.error):
        return Exif()
    orientation = _short(order, main.get(_ORIENTATION))
    adobe = (
        _short(order, exif.get(_COLOR_SPACE)) == _ADOBE_RGB_BY_CONVENTION
        or interop.get(_INTEROP_INDEX, b"")[4:7] == b"R03"
    )
    return Exif(orientation if 1 <= orientation <= 8 else 1, adobe)


def _entries(tiff: bytes, order: str, offset: int) -> dict[int, bytes]:
    """The entries of the directory at `offset`: tag to its type (2 bytes), padding (2) and value (4)."""
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries = {}
    for index in range(min(count, _MAX_ENTRIES)):
        tag, kind, _, value = struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * index)
        entries[tag] = struct.pack(order + "Hxx", kind) + value
    return entries


def _sub_entries(tiff: bytes, order: str, parent: dict[int, bytes], tag: int) -> dict[int, bytes]:
    if tag not in parent:
        return {}
    try:
        return _entries(tiff, order, struct.unpack_from(order + "I", parent[tag], 4)[0])
    except struct.error:
        return {}  # damage in a sub-directory must not cost the orientation


def _short(order: str, entry: bytes | None) -> int:
    if entry is None or struct.unpack_from(order + "H", entry)[0] != _SHORT:
        return 0
    return int(struct.unpack_from(order + "H", entry, 4)[0])
