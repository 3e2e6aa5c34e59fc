"""What EXIF says of camera, lens, exposure and place, as OpenEXR's standard attributes say it.

Owner and date are in write.py. Sources: EXIF 2.32; ImfStandardAttributes.h of OpenEXR 3.4.
"""

import re
import struct

from luxscaler.io.exif.describe import directories, entry_text
from luxscaler.io.exif.ifd import Entries, Entry

_MAIN_TEXTS = {271: "cameraMake", 272: "cameraModel"}
_EXIF_TEXTS = {
    0xA431: "cameraSerialNumber",
    0xA433: "lensMake",
    0xA434: "lensModel",
    0xA435: "lensSerialNumber",
}
_NUMBERS = {0x829A: "expTime", 0x829D: "aperture", 0x8827: "isoSpeed", 0x920A: "nominalFocalLength"}
_LATITUDE, _LONGITUDE, _ALTITUDE = 2, 4, 6
_PLACES = {_LATITUDE: ("latitude", b"S"), _LONGITUDE: ("longitude", b"W"), _ALTITUDE: ("altitude", b"\1")}
"""Of the GPS directory; the tag before each says, by this byte, that it is negative."""
_OFFSET_TAKEN = 0x9011
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_KEPT_ELSEWHERE = {"main": {306, 315, 33432, 282, 283, 296, 305}, "exif": {0x9003}}
"""Date, artist, copyright, resolution and software; when it was taken."""
_WITHOUT_MEANING = {0x9000, 0x9101, 0xA000}
"""Versions of EXIF and FlashPix, and the components of a JPEG."""
_RATIONALS, _SHORT = {5: "2I", 10: "2i"}, 3


def exif_attributes(block: bytes | None) -> dict[str, str | float]:
    """Attributes by their names; none for what is missing, or no number."""
    order, main, exif, gps = directories(block)
    texts = {name: entry_text(main.get(tag)) for tag, name in _MAIN_TEXTS.items()}
    texts |= {name: entry_text(exif.get(tag)) for tag, name in _EXIF_TEXTS.items()}
    numbers = {name: _number(order, exif.get(tag)) for tag, name in _NUMBERS.items()}
    numbers |= {name: _place(order, gps, tag) for tag, (name, _) in _PLACES.items()}
    numbers["utcOffset"] = _offset(entry_text(exif.get(_OFFSET_TAKEN)))
    found: dict[str, str | float] = {name: text for name, text in texts.items() if text}
    return found | {name: value for name, value in numbers.items() if value is not None}


def has_more(block: bytes | None) -> bool:
    """Whether EXIF says what no attribute does."""
    _, main, exif, gps = directories(block)
    known = {*_EXIF_TEXTS, *_NUMBERS, _OFFSET_TAKEN, *_KEPT_ELSEWHERE["exif"], *_WITHOUT_MEANING}
    places = {0, *_PLACES, *(tag - 1 for tag in _PLACES)}
    more = (set(main) - {*_MAIN_TEXTS, *_KEPT_ELSEWHERE["main"]}) | (set(exif) - known) | (set(gps) - places)
    return bool(more)


def _number(order: str, entry: Entry | None, index: int = 0) -> float | None:
    if entry is None:
        return None
    kind, _, value = entry
    try:
        if kind == _SHORT:
            (short,) = struct.unpack_from(order + "H", value, 2 * index)
            return float(short)
        above, below = struct.unpack_from(order + _RATIONALS[kind], value, 8 * index)
    except (KeyError, struct.error):
        return None
    return float(above / below) if below else None


def _place(order: str, gps: Entries, tag: int) -> float | None:
    """Degrees, or metres, with a sign."""
    size = 0.0
    for index in range(1 if tag == _ALTITUDE else 3):
        part = _number(order, gps.get(tag), index)
        if part is None:
            return None
        size += part / 60.0**index
    _, negative = _PLACES[tag]
    reference = gps.get(tag - 1)
    return -size if reference is not None and reference[2].startswith(negative) else size


def _offset(text: str) -> float | None:
    """Seconds that are added to the local time for UTC."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    seconds = 3600.0 * int(match[2]) + 60.0 * int(match[3])
    return -seconds if match[1] == "+" else seconds
