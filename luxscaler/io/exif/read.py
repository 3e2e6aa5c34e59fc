"""What EXIF says of a picture: how to turn it, whether it is Adobe RGB, and what a result may inherit.

What is inherited is written anew, not edited: camera, lens, exposure, place, dates, author and copyright
stay. What would be false of another picture is dropped: orientation, size, colour space, thumbnail,
descriptions of how pixels are stored, and the maker's notes, whose offsets break when they are moved. Damage
is never an error: no photograph is refused over its metadata. (Pillow's reader warns about damage on standard
error.) Sources: EXIF 2.32, DCF 2.0.
"""

import math
import re
import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

from luxscaler.io.exif.ifd import (
    EXIF_IFD,
    GPS_IFD,
    INTEROP_IFD,
    SHORT,
    Entries,
    Entry,
    Read,
    Tiff,
    bytes_reader,
    stream_reader,
    text_entry,
    tiff_block,
)
from luxscaler.io.xmp import usable_xmp
from luxscaler.picture import NOTHING_INHERITED, ExrAttribute, Inherited

MAX_EXIF_BYTES = 64_000
"""Larger blocks are not kept: a JPEG has no room for them and what our writer adds."""
MAX_ITEM_BYTES = 1 << 20
"""What is read of a block at most: thumbnail and maker's notes included, which are dropped afterwards."""

Resolution = tuple[float, float]
"""Horizontal and vertical pixels per inch."""

_ORIENTATION, _COLOR_SPACE, _INTEROP_INDEX = 274, 0xA001, 1
_ADOBE_RGB_BY_CONVENTION = 2
_X_RESOLUTION, _Y_RESOLUTION, _UNIT = 282, 283, 296
# Description, make, model, date, artist, host, copyright, and Windows' title to subject.
_KEPT_OF_MAIN = {270, 271, 272, 306, 315, 316, 33432, *range(0x9C9B, 0x9CA0)}
_DESCRIPTION = 270
_OF_STORAGE = re.compile(
    rb'\s*(ImageJ=|\{"shape": ?\[|(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<OME[\s>])', re.DOTALL
)
"""Descriptions by which ImageJ, tifffile and OME-TIFF find pages and pixels: false of another picture."""
_RESOLUTION_TAGS = {_X_RESOLUTION, _Y_RESOLUTION, _UNIT}
# Maker's notes, colour space, width, height, sound, interoperability, gamma.
_DROPPED_OF_EXIF = {0x927C, _COLOR_SPACE, 0xA002, 0xA003, 0xA004, INTEROP_IFD, 0xA500}
_DATE_TAKEN, _COPYRIGHT = 0x9003, 33432
_UNITS_PER_INCH = {2: 1.0, 3: 2.54}
MAX_IPTC_BYTES = 60_000
"""Larger ones are not kept: a JPEG segment has no room for them."""
_ASPECT_LIMITS = (0.01, 100.0)
_DPI_LIMITS = (1.0, 100_000.0)
# OverflowError: places of 64 bits are beyond any file.
_DAMAGE = (struct.error, ValueError, OverflowError, OSError)


@dataclass(frozen=True)
class Marks:
    """What EXIF says about the stored pixels; the defaults where it says nothing."""

    orientation: int = 1
    """1 to 8."""
    adobe_rgb: bool = False
    """Whether the colours are marked as Adobe RGB: InteropIndex R03 (DCF 2.0), or ColorSpace 2."""


@dataclass(frozen=True)
class Metadata:
    """What a result may inherit, as in PictureSource; the resolution is that of the picture as stored."""

    exif: bytes | None = None
    resolution_dpi: Resolution | None = None
    notices: tuple[str, ...] = ()
    inherited: Inherited = NOTHING_INHERITED
    exr_attributes: tuple[ExrAttribute, ...] = ()


def read_marks(block: bytes | None) -> Marks:
    """Read an EXIF block, with or without its "Exif\\0\\0" prefix; never raises."""
    if not block:
        return Marks()
    try:
        tiff = Tiff.of(bytes_reader(block))
        main = tiff.fields(tiff.start)
    except _DAMAGE:
        return Marks()
    exif = _fields_at(tiff, main.get(EXIF_IFD))
    interop = _fields_at(tiff, exif.get(INTEROP_IFD))
    orientation = _short(tiff, main.get(_ORIENTATION))
    index = interop.get(_INTEROP_INDEX)
    adobe = _short(tiff, exif.get(_COLOR_SPACE)) == _ADOBE_RGB_BY_CONVENTION
    adobe = adobe or (index is not None and index[2][:3] == b"R03")
    return Marks(orientation if 1 <= orientation <= 8 else 1, adobe)


def _fields_at(tiff: Tiff, pointer: Entry | None) -> Entries:
    """The directory that a field points to; damage in it must not cost the orientation."""
    if pointer is None:
        return {}
    try:
        return tiff.fields(tiff.number(pointer[2]))
    except _DAMAGE:
        return {}


def _short(tiff: Tiff, field: Entry | None) -> int:
    if field is None or field[0] != SHORT:
        return 0
    return int(struct.unpack_from(tiff.order + "H", field[2])[0])


def from_exif(block: bytes | None, resolution: Resolution | None = None) -> Metadata:
    """What an EXIF block says, with or without its "Exif\\0\\0" prefix. Never raises: damage is a notice.

    resolution: of the file, where its format has one; it overrides the block's.
    """
    if not block:
        return Metadata(None, resolution)
    return _metadata(bytes_reader(block), resolution)


def from_exif_item(item: bytes | None) -> Metadata:
    """What an EXIF item says: 4 bytes for where its TIFF header is, and a block (ISO/IEC 23008-12, A.2.1)."""
    if item is None:
        return Metadata()
    if len(item) > MAX_ITEM_BYTES:
        return Metadata(notices=(f"the EXIF data is over {MAX_ITEM_BYTES} bytes and was not kept",))
    start = 4 + int.from_bytes(item[:4], "big")
    return from_exif(item[start:] or b"\0")  # an empty item counts as damaged, not as absent


def from_texts(owner: str, taken: str, known: Resolution | None) -> Metadata:
    """An EXIF block with owner and date ("YYYY:MM:DD hh:mm:ss"); a date of another form is left out."""
    main = {_COPYRIGHT: text_entry(owner)} if owner.strip() else {}
    exif = {_DATE_TAKEN: text_entry(taken)} if re.fullmatch(r"\d{4}(:\d\d){2} \d\d(:\d\d){2}", taken) else {}
    return _rewritten("<", main, exif, {}, known)


def from_tiff(stream: BinaryIO, directory: int | None = None) -> Metadata:
    """What the directory at that place of a TIFF or BigTIFF file says; None: the first."""
    return _metadata(stream_reader(stream), None, directory)


def resolution(x: float, y: float, per_inch: float = 1.0) -> Resolution | None:
    """Pixels per inch from pixels per unit, `per_inch` units making an inch; None outside 1 to 100,000."""
    dpi = (x * per_inch, y * per_inch)
    low, high = _DPI_LIMITS
    return dpi if all(math.isfinite(v) and low <= v <= high for v in dpi) else None


def with_more(
    metadata: Metadata,
    *,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
    texts: tuple[tuple[str, str], ...] = (),
    pixel_aspect: float = 1.0,
) -> Metadata:
    """The metadata with XMP, IPTC and texts, as far as a result may inherit them, and notices of the rest.

    pixel_aspect: width / height of a pixel, before orientation; values that make no sense count as 1.
    """
    kept, notices = usable_xmp(xmp)
    if iptc is not None and len(iptc) > MAX_IPTC_BYTES:
        iptc, notices = None, (*notices, f"the IPTC data is over {MAX_IPTC_BYTES} bytes and was not kept")
    if not (math.isfinite(pixel_aspect) and _ASPECT_LIMITS[0] <= pixel_aspect <= _ASPECT_LIMITS[1]):
        pixel_aspect = 1.0
    inherited = Inherited(kept, iptc or None, texts, pixel_aspect)
    return replace(metadata, inherited=inherited, notices=metadata.notices + notices)


def _metadata(read: Read, known: Resolution | None, directory: int | None = None) -> Metadata:
    try:
        tiff = Tiff.of(read)
        wanted = {*_KEPT_OF_MAIN, *_RESOLUTION_TAGS, EXIF_IFD, GPS_IFD}
        main = tiff.directory(tiff.start if directory is None else directory, wanted)
        known = known or _exif_resolution(tiff.order, main)
        exif = _directory_at(tiff, main.pop(EXIF_IFD, None))
        gps = _directory_at(tiff, main.pop(GPS_IFD, None))
    except _DAMAGE:
        return Metadata(None, known, ("the EXIF data is malformed and was not kept",))
    main = {tag: entry for tag, entry in main.items() if tag in _KEPT_OF_MAIN}
    if _DESCRIPTION in main and _OF_STORAGE.match(main[_DESCRIPTION][2]):
        del main[_DESCRIPTION]
    exif = {tag: entry for tag, entry in exif.items() if tag not in _DROPPED_OF_EXIF}
    return _rewritten(tiff.order, main, exif, gps, known)


def _directory_at(tiff: Tiff, pointer: Entry | None) -> Entries:
    return {} if pointer is None else tiff.directory(tiff.number(pointer[2]), unless_large=_DROPPED_OF_EXIF)


def _rewritten(order: str, main: Entries, exif: Entries, gps: Entries, known: Resolution | None) -> Metadata:
    if not (main or exif or gps):
        return Metadata(None, known)
    block = tiff_block(order, main, {EXIF_IFD: exif, GPS_IFD: gps})
    if len(block) > MAX_EXIF_BYTES:
        return Metadata(None, known, (f"the EXIF data is over {MAX_EXIF_BYTES} bytes and was not kept",))
    return Metadata(block, known)


def _exif_resolution(order: str, main: Entries) -> Resolution | None:
    try:
        x, y = (struct.unpack(order + "2I", main[tag][2]) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
        unit = struct.unpack(order + "H", main[_UNIT][2])[0] if _UNIT in main else 2
        return resolution(x[0] / x[1], y[0] / y[1], _UNITS_PER_INCH[unit])
    except (KeyError, struct.error, ZeroDivisionError):
        return None
