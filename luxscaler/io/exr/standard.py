"""OpenEXR's standard attributes that stay true of a larger picture, so that a result inherits them.

Time code, frames per second, camera, lens, exposure, place. They are copied byte for byte; a comment may
get a line more (write.py). OpenEXR's binding refuses some types and OpenImageIO renames others, so both
write a placeholder text of the same length, which is then overwritten. Left out are attributes about the
file's storage, colours and windows, which the writer sets itself, and owner, date and resolution, which are
inherited through EXIF. Attributes of other programs are named in a notice and left out: only those programs
know which of them are true of another picture. Source: ImfStandardAttributes.h of OpenEXR 3.4.
"""

import struct
from pathlib import Path

from luxscaler.io.exr.header import OWN_PREFIX, Part, read_parts
from luxscaler.picture import ExrAttribute
from luxscaler.words import printable, shortened

STANDARD = {
    **dict.fromkeys(
        ("utcOffset", "longitude", "latitude", "altitude", "focus", "expTime", "aperture"), "float"
    ),
    **dict.fromkeys(("isoSpeed", "cameraCCTSetting", "cameraTintSetting", "shutterAngle", "tStop"), "float"),
    **dict.fromkeys(("nominalFocalLength", "pinholeFocalLength", "effectiveFocalLength"), "float"),
    **dict.fromkeys(("entrancePupilOffset",), "float"),
    **dict.fromkeys(("cameraMake", "cameraModel", "cameraSerialNumber", "cameraFirmwareVersion"), "string"),
    **dict.fromkeys(("cameraUuid", "cameraLabel", "lensMake", "lensModel", "lensSerialNumber"), "string"),
    **dict.fromkeys(("lensFirmwareVersion", "reelName", "ascFramingDecisionList", "wrapmodes"), "string"),
    **dict.fromkeys(("framesPerSecond", "captureRate"), "rational"),
    **dict.fromkeys(("worldToCamera", "worldToNDC"), "m44f"),
    **dict.fromkeys(("sensorCenterOffset", "sensorOverallDimensions"), "v2f"),
    "sensorPhotositePitch": "float",
    "sensorAcquisitionRectangle": "box2i",
    "imageCounter": "int",
    "timeCode": "timecode",
    "keyCode": "keycode",
    "envmap": "envmap",
    "comments": "string",
}
_COMMENTS = "comments"
_KNOWN = {
    *(
        "channels",
        "compression",
        "dataWindow",
        "displayWindow",
        "lineOrder",
        "tiles",
        "type",
        "name",
        "version",
    ),
    *("chunkCount", "screenWindowCenter", "screenWindowWidth", "originalDataWindow", "preview", "view"),
    *("multiView", "maxSamplesPerPixel", "dwaCompressionLevel", "deepImageState", "pixelAspectRatio"),
    *("chromaticities", "whiteLuminance", "colorInteropID", "acesImageContainerFlag"),
    *("xDensity", "owner", "capDate", "software", "idManifest"),
}
"""What the reader looks at, or what is not true of another file."""
_KNOWN_PREFIXES = (OWN_PREFIX, "cryptomatte/", "oiio:")
_SIZES = {
    "float": 4,
    "int": 4,
    "rational": 8,
    "timecode": 8,
    "keycode": 28,
    "envmap": 1,
    "v2f": 8,
    "m44f": 64,
    "box2i": 16,
}
MAX_TEXT = 4096
"""Bytes of a text that are kept at most; longer ones are left out whole."""
_RESERVED = "q"


def standard_attributes(part: Part) -> tuple[tuple[ExrAttribute, ...], tuple[str, ...]]:
    """The standard attributes of a part, in header order, and notices of damaged and unknown ones."""
    found: list[ExrAttribute] = []
    bad: list[str] = []
    others: list[str] = []
    for name, (kind, value) in part.attributes.items():
        if name not in STANDARD:
            if name not in _KNOWN and not name.startswith(_KNOWN_PREFIXES):
                others.append(printable(name))
            continue
        is_sound = kind == STANDARD[name] and (
            len(value) <= MAX_TEXT if kind == "string" else len(value) == _SIZES[kind]
        )
        if is_sound:
            found.append((name, kind, value))
        else:
            bad.append(name)
    said: tuple[str, ...] = (f"damaged EXR attributes are left out: {', '.join(bad)}",) if bad else ()
    if others:
        said += (shortened(f"EXR attributes of other programs are left out: {', '.join(others)}"),)
    return tuple(found), said


def comments(attributes: tuple[ExrAttribute, ...], more: str) -> str:
    """The source's comment and, on a line of its own, `more`, where that is not in it yet."""
    texts = [
        value.decode("utf-8", "replace").strip("\0 ") for name, _, value in attributes if name == _COMMENTS
    ]
    return "\n".join([*filter(None, texts), *([more] if more and more not in "".join(texts) else [])])


def placeholder(attributes: tuple[ExrAttribute, ...]) -> dict[str, str]:
    """A text attribute that takes as many header bytes as these; `put_in_place` overwrites it with them."""
    if not _block(attributes):
        return {}
    return {_RESERVED: "q" * (len(_block(attributes)) - len(_head(_RESERVED, "string", b"")))}


def put_in_place(path: Path, attributes: tuple[ExrAttribute, ...]) -> None:
    """Replace the placeholder in the header of a file that was written with one. Raises OSError."""
    if not _block(attributes):
        return
    (text,) = placeholder(attributes).values()
    old = _head(_RESERVED, "string", text.encode()) + text.encode()
    with path.open("r+b") as file:
        read_parts(file)  # leaves the stream behind the header
        header_bytes = file.tell()
        file.seek(0)
        place = file.read(header_bytes).find(old)
        if place < 0:
            raise OSError("the header has no place for the attributes of the source")
        file.seek(place)
        file.write(_block(attributes))


def _block(attributes: tuple[ExrAttribute, ...]) -> bytes:
    """Their bytes but for the comment's, which is written as a text."""
    return b"".join(_head(name, kind, value) + value for name, kind, value in attributes if name != _COMMENTS)


def _head(name: str, kind: str, value: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value))
