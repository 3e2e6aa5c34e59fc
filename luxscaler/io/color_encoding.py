"""How the samples of a file stand for light: the one value that decoders hand to linearize.py.

Every decoder turns what its format says about colour (ICC profile, CICP code points, gamma and
chromaticities, EXIF) into a ColorCoding; nothing downstream asks which format it came from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from luxscaler.color import (
    ADOBE_RGB,
    ADOBE_RGB_GAMMA,
    DCI_P3,
    DISPLAY_P3,
    REC601_525,
    REC601_625,
    REC709,
    REC2020,
    Floats,
    Primaries,
    decode_gamma,
    decode_hlg_scene,
    decode_pq,
    decode_srgb,
    rgb_to_rgb,
)
from luxscaler.errors import InputError


def keep_linear(values: Floats) -> Floats:
    """The curve of samples that are linear already."""
    return values


@dataclass(frozen=True)
class ColorCoding:
    """What a coded value of [0, 1] means."""

    name: str
    """For people: "sRGB (assumed)", "ICC: Display P3", "cICP 9/16"."""
    curve: Callable[[Floats], Floats] = decode_srgb
    """Coded samples to linear, channel by channel; see color.py."""
    primaries: Primaries = REC709
    hlg: bool = False
    """The curve gave HLG scene light; the system gamma is still to be applied."""
    icc: bytes | None = None
    """An ICC profile, which then replaces the curve and the primaries."""


SRGB_ASSUMED = ColorCoding("sRGB (assumed)")
CMYK_ASSUMED = ColorCoding("CMYK without a profile")
"""By the usual formula, sRGB = (1 - ink)(1 - black): see linearize.py."""
CMYK_NOTICE = "CMYK without a usable ICC profile: converted by formula, colours are approximate"
LINEAR_ASSUMED = ColorCoding("linear Rec.709 (assumed)", keep_linear)
ADOBE_RGB_EXIF = ColorCoding(
    "Adobe RGB (EXIF)", partial(decode_gamma, gamma=ADOBE_RGB_GAMMA), primaries=ADOBE_RGB
)

# ITU-T H.273, table 2. Code points not listed are rare (film, XYZ) and are reported, not guessed at.
_PRIMARIES = {
    1: REC709,
    5: REC601_625,
    6: REC601_525,
    7: REC601_525,
    9: REC2020,
    11: DCI_P3,
    12: DISPLAY_P3,
}
# ITU-T H.273, table 3. The camera curves of BT.709, BT.601 and BT.2020 (1, 6, 14, 15) are shown by every
# screen through its own, nearly sRGB, curve; that is the light people saw when they judged the picture.
_CURVES: dict[int, Callable[[Floats], Floats]] = {
    1: decode_srgb,
    4: partial(decode_gamma, gamma=2.2),
    5: partial(decode_gamma, gamma=2.8),
    6: decode_srgb,
    8: keep_linear,
    13: decode_srgb,
    14: decode_srgb,
    15: decode_srgb,
    16: decode_pq,
    18: decode_hlg_scene,
}
_UNSPECIFIED = 2
_NAMES = {
    **{(1, 1): "Rec.709", (1, 13): "sRGB", (12, 13): "Display P3", (12, 16): "Display P3 PQ"},
    **{(9, 16): "Rec.2020 PQ", (9, 18): "Rec.2020 HLG"},
}
"""Of primaries and transfer that often go together: what people call them."""


def _full_range(values: Floats, bits: int, curve: Callable[[Floats], Floats]) -> Floats:
    """Stretch narrow-range values (16 … 235 at 8 bits, ITU-T H.273 equations 20–22) before the curve."""
    top = (2**bits - 1) / 2 ** (bits - 8)
    return curve(((values * top - 16) / 219).astype(values.dtype, copy=False))


def _coding_name(primaries: int, transfer: int) -> str:
    """What these code points are called: by people too, where they have a name for them."""
    points = f"cICP {primaries}/{transfer}"
    name = _NAMES.get((primaries, transfer))
    return f"{name} ({points})" if name else points


def from_cicp(
    primaries: int, transfer: int, *, narrow: bool = False, bits: int = 8
) -> tuple[ColorCoding, tuple[str, ...]]:
    """The coding of the code points of ITU-T H.273, and a notice for each unknown one.

    Unspecified (2) counts as sRGB, as MIAF says and browsers do. `narrow` says that black is 16 and
    white 235 at 8 bits, `bits` how many the samples have.
    """
    notices = []
    for label, code, table in (("primaries", primaries, _PRIMARIES), ("transfer", transfer, _CURVES)):
        if code not in table and code != _UNSPECIFIED:
            notices.append(f"colour {label} {code} (H.273) are unknown; those of sRGB are assumed")
    curve = _CURVES.get(transfer, decode_srgb)
    if narrow:
        curve = partial(_full_range, bits=bits, curve=curve)
    space = _PRIMARIES.get(primaries, REC709)
    name = _coding_name(primaries, transfer)
    return ColorCoding(name, curve, space, hlg=transfer == 18), tuple(notices)


def knows_cicp(primaries: int, transfer: int) -> bool:
    """Whether both code points of ITU-T H.273 are specified, and known here."""
    return primaries in _PRIMARIES and transfer in _CURVES


def from_icc(profile: bytes, name: str) -> ColorCoding:
    """The coding of an ICC profile; `name` is its description."""
    return ColorCoding(f"ICC: {name}", icc=profile)


def from_chromaticities(
    name: str, curve: Callable[[Floats], Floats], primaries: Primaries
) -> tuple[ColorCoding, tuple[str, ...]]:
    """The coding of a curve and chromaticities; those that span no gamut become Rec.709 with a notice."""
    try:
        usable = bool(np.isfinite(rgb_to_rgb(primaries)).all())
    except InputError:
        usable = False
    if usable:
        return ColorCoding(name, curve, primaries), ()
    return ColorCoding(name, curve), ("the chromaticities span no gamut; Rec.709 is assumed",)
