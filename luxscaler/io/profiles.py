"""The colour spaces that a result can be written in, and the ICC profiles that say so.

PNG, WebP, JPEG and 16-bit TIFF hold code values: the primaries of the space and its curve. EXR, float TIFF
and JPEG XL hold linear light in its primaries; AVIF and PQ PNG PQ in BT.2020 or P3 (pq.py). Colours outside
Rec.709 are kept as far as the space reaches. The ICC profiles are written here: version 4, a matrix and
parametric curves, the matrix adapted to the D50 of ICC by Bradford, as in the conversion of the pixels.
Sources: ICC.1:2022; IEC 61966-2-1; SMPTE EG 432-1; Adobe RGB (1998); ISO 22028-2 (ROMM RGB, "ProPhoto");
ITU-R BT.2020-2; SMPTE ST 2065-1 (AP0) and S-2014-004 (ACEScg).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from luxscaler.color import (
    ADOBE_RGB,
    ADOBE_RGB_GAMMA,
    AP0,
    AP1,
    DISPLAY_P3,
    PROPHOTO,
    REC709,
    REC2020,
    Floats,
    Matrix,
    Primaries,
    bradford,
    decode_gamma,
    decode_srgb,
    encode_bt2020,
    encode_gamma,
    encode_romm,
    encode_srgb,
    rgb_to_rgb,
    rgb_to_xyz,
)
from luxscaler.errors import ExportError

Curve = tuple[int, tuple[float, ...]]
"""Number and values of ICC's parametricCurveType (10.18), from code value to light."""
_D50 = (0.9642, 1.0, 0.8249)
"""XYZ of ICC's connection space (7.2.16)."""
_D50_POINT = (_D50[0] / sum(_D50), _D50[1] / sum(_D50))
_LINEAR: Curve = (0, (1.0,))
_SRGB: Curve = (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
_ADOBE: Curve = (0, (ADOBE_RGB_GAMMA,))
_ROMM: Curve = (3, (1.8, 1.0, 0.0, 1 / 16, 16 / 512))
_ALPHA, _BETA = 1.09929682680944, 0.018053968510807
_BT2020: Curve = (3, (1 / 0.45, 1 / _ALPHA, (_ALPHA - 1) / _ALPHA, 1 / 4.5, 4.5 * _BETA))


@dataclass(frozen=True)
class OutputProfile:
    """One colour space."""

    name: str
    title: str
    primaries: Primaries
    interop_id: str = ""
    """EXR's colorInteropID of linear light in it; empty where none is defined."""
    encode: Callable[[Floats], Floats] | None = None
    """Linear light in [0, 1] to code values; None: the space is linear, for floats."""
    curve: Curve = _LINEAR

    @property
    def matrix(self) -> Matrix | None:
        """From linear Rec.709 to linear light in the space; None where it is the same."""
        return None if self.primaries == REC709 else _from_rec709(self.primaries)

    @property
    def has_srgb_curve(self) -> bool:
        """Whether its code values have the curve of sRGB, which some readers take for granted."""
        return self.curve is _SRGB

    def decode(self, coded: Floats) -> Floats:
        """Code values in [0, 1] to linear light in the primaries: the inverse of `encode`."""
        if self.curve is _SRGB:
            return decode_srgb(coded)
        kind, values = self.curve
        if kind == 0:
            return decode_gamma(coded, values[0])
        gamma, slope, offset, near_black, end = values
        return np.where(coded >= end, (slope * coded + offset) ** gamma, near_black * coded)

    def icc(self, *, linear: bool) -> bytes:
        """The ICC profile of the code values, or of linear light in the primaries."""
        title = f"{self.title}, linear" if linear and self.encode is not None else self.title
        return _icc(title, self.primaries, _LINEAR if linear else self.curve)


_ALL = (
    OutputProfile("srgb", "sRGB", REC709, "lin_rec709_scene", encode_srgb, _SRGB),
    OutputProfile("display-p3", "Display P3", DISPLAY_P3, "lin_p3d65_scene", encode_srgb, _SRGB),
    OutputProfile(
        "adobe-rgb",
        "Compatible with Adobe RGB (1998)",
        ADOBE_RGB,
        "lin_adobergb_scene",
        partial(encode_gamma, gamma=ADOBE_RGB_GAMMA),
        _ADOBE,
    ),
    OutputProfile("prophoto", "ProPhoto RGB (ROMM)", PROPHOTO, "", encode_romm, _ROMM),
    OutputProfile("rec2020", "Rec. ITU-R BT.2020", REC2020, "lin_rec2020_scene", encode_bt2020, _BT2020),
    OutputProfile("acescg", "ACEScg", AP1, "lin_ap1_scene"),
    OutputProfile("ap0", "ACES2065-1", AP0, "lin_ap0_scene"),
)
PROFILES = tuple(profile.name for profile in _ALL)
CODED_PROFILES = tuple(profile.name for profile in _ALL if profile.encode is not None)
CODED_FORMATS = ("png", "tiff16", "webp", "jpg")
"""Formats that hold code values of any profile with a curve; a gain map multiplies their light."""
LINEAR_FORMATS = ("exr", "tiff", "jxl")
"""Formats that hold linear light in the primaries of any profile."""
PQ_FORMATS = ("png-pq", "avif")
"""Formats that hold PQ, in BT.2020 (as "srgb", which asks for nothing else, too) or in P3."""
PQ_PROFILES = ("rec2020", "display-p3")


def profile_named(name: str) -> OutputProfile:
    """The profile of that name. Raises ExportError."""
    for profile in _ALL:
        if profile.name == name:
            return profile
    raise ExportError(f"profile must be one of {', '.join(PROFILES)}, got {name!r}")


def check_profile(name: str, file_format: str) -> None:
    """Raise ExportError if files of that format cannot hold that profile."""
    reason = _refusal(name, file_format)
    if reason is not None:
        raise ExportError(f"profile is {name!r}, {reason}")


def _refusal(name: str, file_format: str) -> str | None:
    """Why files of that format cannot hold that profile, and which can; None: they can."""
    profile = profile_named(name)
    if name == "srgb" or file_format in LINEAR_FORMATS:
        return None
    linear = " or ".join(LINEAR_FORMATS)
    if file_format in PQ_FORMATS:
        if name in PQ_PROFILES:
            return None
        return f"and {file_format} holds PQ: take {' or '.join(PQ_PROFILES)}, or write {linear}"
    if profile.encode is None:
        return (
            f"which is linear light for floats, and {file_format} holds integers: "
            f"take one of {', '.join(CODED_PROFILES)}, or write {linear}"
        )
    return None


def profiles_of(file_format: str) -> tuple[str, ...]:
    """The profiles that files of that format can hold, by name."""
    return tuple(name for name in PROFILES if _refusal(name, file_format) is None)


@cache
def _from_rec709(primaries: Primaries) -> Matrix:
    return rgb_to_rgb(REC709, primaries)


@cache
def _icc(title: str, primaries: Primaries, curve: Curve) -> bytes:
    """A profile of the class of displays (8.3), dated 2000-01-01: the same picture gives the same bytes."""
    adaptation = bradford(primaries.white, _D50_POINT)
    columns = (adaptation @ rgb_to_xyz(primaries)).T
    trc = _parametric(curve)
    tags = {
        b"desc": _text(title),
        b"cprt": _text("CC0"),
        b"wtpt": _xyz(_D50),
        b"chad": b"sf32\0\0\0\0" + _fixed(*adaptation.flatten()),
        **{name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc),
    }
    table, data = b"", b""
    places: dict[bytes, int] = {}
    begin = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:
            places[value] = begin + len(data)
            data += value + b"\0" * (-len(value) % 4)
        table += name + struct.pack(">2I", places[value], len(value))
    header = struct.pack(">I4sI4s4s4s", begin + len(data), b"\0" * 4, 0x04400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp")
    header = header.ljust(64, b"\0") + struct.pack(">I", 1) + _fixed(*_D50)  # relative colorimetric
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _fixed(*values: float) -> bytes:
    """s15Fixed16Number (4.6)."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _xyz(values: tuple[float, ...] | np.ndarray) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*values)


def _parametric(curve: Curve) -> bytes:
    kind, values = curve
    return b"para\0\0\0\0" + struct.pack(">2H", kind, 0) + _fixed(*values)


def _text(text: str) -> bytes:
    """multiLocalizedUnicodeType (10.15), in English."""
    coded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">2I4s2I", 1, 12, b"enUS", len(coded), 28) + coded
