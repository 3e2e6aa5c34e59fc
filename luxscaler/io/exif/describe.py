"""What a file says beside its pixels: what made it and how, and what it inherits from its source's EXIF.

Pillow edits the block here: it knows which type each tag has.
"""

import struct

from PIL import Image

from luxscaler.errors import ExportError
from luxscaler.io.exif.ifd import EXIF_IFD
from luxscaler.io.frame import Frame

_DESCRIPTION, _X_RESOLUTION, _Y_RESOLUTION, _UNIT, _SOFTWARE = 270, 282, 283, 296, 305
_MAKE, _MODEL, _DATE, _ARTIST, _COPYRIGHT = 271, 272, 306, 315, 33432
_DATE_TAKEN, _USER_COMMENT = 0x9003, 0x9286
_INCH = 2


def check_exif(exif: bytes) -> None:
    """Raise ExportError for bytes that are not EXIF."""
    if exif[:4] not in (b"II*\0", b"MM\0*"):
        raise ExportError(f"exif must start with a TIFF header, got {exif[:4]!r}")
    try:
        _load(exif).tobytes()
    except Exception as error:  # noqa: BLE001, RUF100 - Pillow raises nearly anything for a broken structure
        raise ExportError(f"exif cannot be read: {error}") from error


def describe(frame: Frame) -> Image.Exif:
    """Return the source's EXIF with Software, resolution and Frame.notes() as ImageDescription.

    Where the source has a description of its own, that stays and the notes become UserComment.
    """
    exif = _load(frame.exif)
    exif[_SOFTWARE] = frame.options.software
    if exif.get(_DESCRIPTION):
        exif.get_ifd(EXIF_IFD)[_USER_COMMENT] = b"ASCII\0\0\0" + frame.notes().encode()
    else:
        exif[_DESCRIPTION] = frame.notes()
    if frame.resolution_dpi:
        exif[_X_RESOLUTION], exif[_Y_RESOLUTION] = frame.resolution_dpi
        exif[_UNIT] = _INCH
    return exif


def exif_item(frame: Frame) -> bytes:
    """Return `describe` as AVIF and JPEG XL hold it: the place of the TIFF header, 0, and the block."""
    return struct.pack(">I", 0) + describe(frame).tobytes().removeprefix(b"Exif\0\0")


def baseline_tags(frame: Frame) -> dict[int, str]:
    """Return the source's make, model, date, artist and copyright by their TIFF tags, those that it has."""
    exif = _load(frame.exif)
    found = {tag: _text(exif.get(tag)) for tag in (_MAKE, _MODEL, _DATE, _ARTIST, _COPYRIGHT)}
    return {tag: text for tag, text in found.items() if text}


def owner_and_date(frame: Frame) -> tuple[str, str]:
    """Return who owns the picture (copyright, else artist) and when it was taken; empty if not known."""
    tags = baseline_tags(frame)
    taken = _load(frame.exif).get_ifd(EXIF_IFD).get(_DATE_TAKEN)
    return tags.get(_COPYRIGHT) or tags.get(_ARTIST, ""), _text(taken)


def _load(exif: bytes | None) -> Image.Exif:
    result = Image.Exif()
    if exif is None:
        return result
    result.load(b"Exif\0\0" + exif)
    for tag, value in dict(result).items():
        # Text is ASCII by the standard and UTF-8 in practice. Pillow reads it as Latin-1 and would write "?".
        if isinstance(value, str) and not value.isascii():
            result[tag] = value.encode("latin-1", "replace")
    return result


def _text(value: object) -> str:
    """EXIF text may be followed by zero bytes, and copyright holds one between its two parts."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join(value.replace("\0", " ").split()) if isinstance(value, str) else ""
