"""Which light the samples of an EXR part stand for: what its header says of colours, by decreasing weight.

`chromaticities`; `colorInteropID`; the flag of ACES containers, whose primaries are AP0 (SMPTE ST 2065-4);
`oiio:ColorSpace`, as OpenImageIO wrote it before it knew colorInteropID; else Rec.709. All are linear but for
names that say otherwise ("srgb_rec709_scene"). The Color Interop Forum advises against chromaticities beside
a colorInteropID; where there are both, the name adds its curve if its primaries are the same.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from luxscaler.color import (
    ADOBE_RGB,
    AP0,
    AP1,
    DISPLAY_P3,
    REC709,
    REC2020,
    Floats,
    Primaries,
    decode_gamma,
    decode_srgb,
)
from luxscaler.io.color_encoding import ColorCoding, from_chromaticities, keep_linear
from luxscaler.io.exr.header import Part
from luxscaler.words import printable

_CHROMATICITY_TOLERANCE = 1e-4
_LINEAR = "linear Rec.709"
_CURVES: dict[str, Callable[[Floats], Floats]] = {
    "lin": keep_linear,
    "srgb": decode_srgb,
    "g18": partial(decode_gamma, gamma=1.8),
    "g22": partial(decode_gamma, gamma=2.2),
}
_SPACES = {
    "rec709": REC709,
    "p3d65": DISPLAY_P3,
    "rec2020": REC2020,
    "adobergb": ADOBE_RGB,
    "ap0": AP0,
    "ap1": AP1,
}
"""Beginnings and middles of colorInteropID ("Color Space Encodings for Texture Assets and CG Rendering")."""
_INTEROP, _OIIO = "colorInteropID", "oiio:ColorSpace"
_OIIO_NAMES = {
    "linear": "lin_rec709_scene",
    "lin_srgb": "lin_rec709_scene",
    "linear rec.709 (srgb)": "lin_rec709_scene",
    "srgb": "srgb_rec709_scene",
    "srgb - texture": "srgb_rec709_scene",
    "acescg": "lin_ap1_scene",
    "aces - acescg": "lin_ap1_scene",
    "aces2065-1": "lin_ap0_scene",
    "aces - aces2065-1": "lin_ap0_scene",
}
"""Names of OpenImageIO and of OpenColorIO's ACES configurations, in lower case."""
_SAYS_NOTHING = ("", "unknown", "data", "raw", "scene_linear")
"""scene_linear is a role, of which each studio says what it means."""
_STATES = ("_scene", "_display")
_MOST_NAME = 60


def coding_of(part: Part) -> tuple[ColorCoding, tuple[str, ...]]:
    """How the samples stand for light, and notices of what the header says in vain."""
    values, name = part.chromaticities(), part.text(_INTEROP)
    named = _from_name(name)
    if values is not None:
        return _from_both(values, name, named)
    if named is not None:
        return named, ()
    if part.number("acesImageContainerFlag") == 1:
        return ColorCoding("linear, ACES container", keep_linear, AP0), ()
    if name.lower() not in _SAYS_NOTHING:
        return _assumed(_INTEROP, name)
    return _from_oiio(part.text(_OIIO))


def _from_both(
    values: tuple[float, ...], name: str, named: ColorCoding | None
) -> tuple[ColorCoding, tuple[str, ...]]:
    """Of chromaticities, and what the colorInteropID beside them means, if it is known."""
    coding, notices = _from_numbers(values)
    if named is None:
        return coding, notices
    if not np.allclose(values, named.primaries.chromaticities, atol=_CHROMATICITY_TOLERANCE):
        return coding, (*notices, f"the {_INTEROP} {name} contradicts the chromaticities, which count")
    return (coding if named.curve is keep_linear else named), notices


def _from_oiio(name: str) -> tuple[ColorCoding, tuple[str, ...]]:
    said = name.lower()
    named = _from_name(_OIIO_NAMES.get(said, name if said.endswith(_STATES) else f"{name}_scene"))
    return _assumed(_OIIO, "" if said in _SAYS_NOTHING else name) if named is None else (named, ())


def _from_numbers(values: tuple[float, ...]) -> tuple[ColorCoding, tuple[str, ...]]:
    if np.allclose(values, REC709.chromaticities, atol=_CHROMATICITY_TOLERANCE):
        return ColorCoding(_LINEAR, keep_linear), ()
    red, green, blue, white = zip(values[0::2], values[1::2], strict=True)
    return from_chromaticities("linear, EXR chromaticities", keep_linear, Primaries(red, green, blue, white))


def _from_name(name: str) -> ColorCoding | None:
    """What a colorInteropID means ("lin_ap1_scene"); None for one that is not known."""
    curve, _, rest = name.partition("_")
    space, _, state = rest.rpartition("_")
    if curve not in _CURVES or space not in _SPACES or f"_{state}" not in _STATES:
        return None
    return ColorCoding(f"EXR {name}", _CURVES[curve], _SPACES[space])


def _assumed(attribute: str, name: str) -> tuple[ColorCoding, tuple[str, ...]]:
    """Rec.709, with a notice where an attribute names something else."""
    said = f"the {attribute} {printable(name)[:_MOST_NAME]} is not known; {_LINEAR} is assumed"
    return ColorCoding(f"{_LINEAR} (assumed)", keep_linear), (said,) if name else ()
