"""The EXIF that our files carry: what made them and how, and what they inherit from their source's EXIF.

Inherited fields keep their type and their bytes.
"""

import struct
from fractions import Fraction

from luxscaler.errors import ExportError
from luxscaler.io.exif.ifd import (
    ASCII,
    EXIF_IFD,
    GPS_IFD,
    INTEROP_IFD,
    MAX_VALUE_BYTES,
    SHORT,
    UNDEFINED,
    Entries,
    Entry,
    Tiff,
    bytes_reader,
    swapped,
    text_entry,
    tiff_block,
)
from luxscaler.io.frame import Frame

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT, _SOFTWARE = 270, 282, 283, 296, 305
_MAKE, _MODEL, _DATE, _ARTIST, _COPYRIGHT = 271, 272, 306, 315, 33432
_DATE_TAKEN, _HISTORY, _USER_COMMENT = 0x9003, 0x9213, 0x9286
_SUB_IFDS = 330
_INCH, _RATIONAL = 2, 5
_LARGEST_PART = 10**6
"""Of a resolution's numerator and denominator."""
_TEXT_CODE = b"ASCII\0\0\0"
"""Begins a UserComment (EXIF 2.32, 4.6.5)."""
_OURS = b'"luxscaler": {'

Directories = tuple[str, Entries, Entries, Entries]
"""Byte order; the main, the EXIF and the GPS directory."""


def check_exif(exif: bytes) -> None:
    """Raise ExportError unless `exif` is an EXIF block, from its TIFF header on, with values of up to 64
    KiB."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        raise ExportError(f"exif must start with a TIFF header, got {exif[:4]!r}")
    try:
        _, *found = directories(exif)
    except (struct.error, ValueError, OverflowError) as error:
        raise ExportError(f"exif cannot be read: {error}") from error
    if any(len(value) > MAX_VALUE_BYTES for entries in found for _, _, value in entries.values()):
        raise ExportError(f"exif has a value of over {MAX_VALUE_BYTES} bytes")


def describe(frame: Frame) -> bytes:
    """Return a block of the source's EXIF with Software, resolution and Frame.notes() as ImageDescription.

    Where the source has a description of its own, that stays and the notes become UserComment; where it has
    a comment too, ImageHistory.
    """
    order, main, exif, gps = directories(frame.exif)
    main[_SOFTWARE] = text_entry(frame.options.software)
    notes = frame.notes()
    if not _has_text(main.get(_DESCRIPTION)):
        main[_DESCRIPTION] = text_entry(notes)
    elif not _has_text(exif.get(_USER_COMMENT), len(_TEXT_CODE)) or _OURS in exif[_USER_COMMENT][2]:
        comment = _TEXT_CODE + notes.encode()
        exif[_USER_COMMENT] = (UNDEFINED, len(comment), comment)
    else:
        exif[_HISTORY] = text_entry(notes)
    if frame.resolution_dpi:
        for tag, value in zip((_X_RESOLUTION, _Y_RESOLUTION), frame.resolution_dpi, strict=True):
            parts = Fraction(value).limit_denominator(_LARGEST_PART // max(1, int(value)))
            main[tag] = (_RATIONAL, 1, struct.pack(order + "2I", parts.numerator, parts.denominator))
        main[_UNIT] = (SHORT, 1, struct.pack(order + "H", _INCH))
    return tiff_block(order, main, {EXIF_IFD: exif, GPS_IFD: gps})


def exif_item(frame: Frame) -> bytes:
    """`describe` as AVIF and JPEG XL hold it: the offset of the TIFF header (0), then the block."""
    return struct.pack(">I", 0) + describe(frame)


def tiff_directories(frame: Frame) -> tuple[Entries, Entries, Entries]:
    """The main, the EXIF and the GPS directory of `describe`, little-endian, as a TIFF file holds them."""
    order, *found = directories(describe(frame))
    main, exif, gps = found if order == "<" else (swapped(entries) for entries in found)
    return main, exif, gps


def baseline_tags(frame: Frame) -> dict[int, str]:
    """Return the source's make, model, date, artist and copyright by their TIFF tags, those that it has."""
    _, main, _, _ = directories(frame.exif)
    found = {tag: entry_text(main.get(tag)) for tag in (_MAKE, _MODEL, _DATE, _ARTIST, _COPYRIGHT)}
    return {tag: text for tag, text in found.items() if text}


def owner_and_date(frame: Frame) -> tuple[str, str]:
    """Return who owns the picture (copyright, else artist) and when it was taken; empty if not known."""
    tags = baseline_tags(frame)
    _, _, exif, _ = directories(frame.exif)
    return tags.get(_COPYRIGHT) or tags.get(_ARTIST, ""), entry_text(exif.get(_DATE_TAKEN))


def directories(block: bytes | None) -> Directories:
    """The directories of an EXIF block, without pointers to other directories; empty ones for None.

    Raises struct.error, ValueError or OverflowError where the block is damaged.
    """
    if block is None:
        return "<", {}, {}, {}
    tiff = Tiff.of(bytes_reader(block))
    main = tiff.directory(tiff.start)
    exif, gps = (
        {} if pointer is None else tiff.directory(tiff.number(pointer[2]))
        for pointer in (main.pop(EXIF_IFD, None), main.pop(GPS_IFD, None))
    )
    main.pop(_SUB_IFDS, None)
    exif.pop(INTEROP_IFD, None)
    return tiff.order, main, exif, gps


def _has_text(entry: Entry | None, start: int = 0) -> bool:
    """Whether there is more than blanks; cameras fill unused fields with those."""
    return entry is not None and bool(entry[2][start:].strip(b"\0 "))


def entry_text(entry: Entry | None) -> str:
    """The text of an entry, on one line; empty where there is none.

    EXIF text is ASCII by the standard, UTF-8 or Latin-1 in practice. Zero bytes may follow it, and a
    copyright has one between its two parts.
    """
    if entry is None or entry[0] != ASCII:
        return ""
    try:
        text = entry[2].decode("utf-8")
    except UnicodeDecodeError:
        text = entry[2].decode("latin-1")
    return " ".join(text.replace("\0", " ").split())
