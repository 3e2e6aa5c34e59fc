"""Apple's gain maps: the headroom is in XMP, or follows from two numbers in the maker's notes of EXIF.

The maker's notes begin with "Apple iOS", a version and a byte order; then comes a TIFF directory whose
offsets count from the beginning of the notes.
"""

import struct

from luxscaler.errors import PictureError
from luxscaler.io.exif.ifd import EXIF_IFD, Tiff, bytes_reader
from luxscaler.io.gain_map.metadata import AppleGain, apple_headroom
from luxscaler.io.gain_map.xmp import AppleMap

_MAKER_NOTE = 0x927C
_NOTE_START = b"Apple iOS\0"
_NOTE_DIRECTORY = 14
_NOTE_ORDERS = {b"MM": ">", b"II": "<"}
_FIRST, _SECOND = 0x0021, 0x0030
_RATIONALS = {5: "II", 10: "ii"}


def apple_gain(said: AppleMap, exif: bytes | None) -> AppleGain:
    """The gain of Apple's map. exif: of the picture that it belongs to. Raises PictureError."""
    if said.headroom is not None:
        return AppleGain(said.headroom)
    numbers = _maker_numbers(exif or b"")
    if numbers is None:
        raise PictureError("its headroom is said neither in XMP nor in Apple's maker's notes")
    return AppleGain(apple_headroom(*numbers))


def _maker_numbers(exif: bytes) -> tuple[float, float] | None:
    """Tags 33 and 48 of the maker's notes; None where they are damaged, or the first is missing.

    Many iPhones write no tag 48 where it would be 0; Skia, and so Chromium, reads it so too.
    """
    try:
        tiff = Tiff.of(bytes_reader(exif))
        main = tiff.directory(tiff.start, {EXIF_IFD})
        note = tiff.directory(tiff.number(main[EXIF_IFD][2]), {_MAKER_NOTE})[_MAKER_NOTE][2]
        if not note.startswith(_NOTE_START):
            return None
        order = _NOTE_ORDERS[note[_NOTE_DIRECTORY - 2 : _NOTE_DIRECTORY]]
        notes = Tiff(bytes_reader(note), order, False, _NOTE_DIRECTORY)
        entries = notes.directory(_NOTE_DIRECTORY, {_FIRST, _SECOND})
        numbers = {tag: _rational(order, kind, value) for tag, (kind, _, value) in entries.items()}
        return numbers[_FIRST], numbers.get(_SECOND, 0.0)
    except (KeyError, struct.error, ValueError, OverflowError, ZeroDivisionError):
        return None


def _rational(order: str, kind: int, value: bytes) -> float:
    numerator, denominator = struct.unpack(order + _RATIONALS[kind], value[:8])
    return float(numerator / denominator)
