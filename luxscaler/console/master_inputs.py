"""The inputs of a master: one list for Replicate, this machine, a Cog container and the page.

Names, types, values, limits and defaults are the container's (predict.py); a test compares the two. The page
builds its fields from this list. On this machine `cog` may name a running container, and `model` a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from luxscaler.geometry import MAX_SCALE, MIN_SCALE
from luxscaler.io.formats import HDR_FORMATS
from luxscaler.options import MAX_LAYER_NAME
from luxscaler.pipeline.final_size import MAX_SIDE

TEXT, NUMBER, WHOLE, FLAG = (str,), (int, float), (int,), (bool,)
"""What Python makes of an input's JSON."""
TYPE_WORDS: dict[tuple[type, ...], str] = {
    TEXT: "text",
    NUMBER: "a number",
    WHOLE: "a whole number",
    FLAG: "true or false",
}
HERE_ONLY = {"print": "give a width or a height at Replicate, whose container takes pixels"}
"""Inputs that the container does not have, each with what to do instead."""
DEFAULT_FORMATS = {"here": "exr", "replicate": "webp"}
"""The output format at each place, where none is asked for."""
MODELS = {
    "photo": "photo: the most detail, slow without a GPU",
    "anime": "anime: drawings",
    "fast": "fast: small and quick",
}
"""Name to words; those that have been trained come to them."""
FORMATS = {
    "png": "PNG",
    "jpg": "JPEG with HDR",
    "webp": "WebP",
    "avif": "AVIF, HDR",
    "jxl": "JPEG XL, float",
    "png-pq": "PNG, HDR",
    "tiff16": "TIFF, 16 bits",
    "tiff": "TIFF, float",
    "exr": "EXR, HDR",
}
_EXR_TYPES = {"float": "float: every bit", "half": "half: half the size, 0.05 % off at most"}
_EXR_COMPRESSIONS = {
    "auto": "automatic, without loss",
    "zip": "ZIP, 16 lines",
    "zips": "ZIPS, single lines",
    "piz": "PIZ: grain",
    "rle": "RLE",
    "none": "none",
    "pxr24": "PXR24: loses bits of float",
    "dwaa": "DWAA: lossy",
    "dwab": "DWAB: lossy",
}
_PROFILES = {
    "srgb": "sRGB",
    "display-p3": "Display P3",
    "adobe-rgb": "Adobe RGB",
    "prophoto": "ProPhoto RGB",
    "rec2020": "Rec. 2020",
    "acescg": "ACEScg, linear",
    "ap0": "ACES2065-1, linear",
}
_WRAPS = {
    "none": "none",
    "x": "left and right: a panorama",
    "y": "top and bottom",
    "xy": "all four: a texture",
}

Kind = Literal["choice", "number", "whole", "text", "flag"]
Group = Literal["main", "size", "file", "source"]
_TYPES: dict[Kind, tuple[type, ...]] = {
    "choice": TEXT,
    "number": NUMBER,
    "whole": NUMBER,
    "text": TEXT,
    "flag": FLAG,
}


@dataclass(frozen=True)
class MasterInput:
    """One input, and the words of its field on the page."""

    kind: Kind
    label: str
    group: Group
    help: str = ""
    default: str | float | bool | None = None
    """What an input that is not given counts as; None: nothing, or the places differ."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Of a choice: each value, and its words."""
    low: float | None = None
    """The least number."""
    above: float | None = None
    """A number that it is greater than, instead of `low`."""
    high: float | None = None
    """The greatest number; of a text, its most characters."""
    formats: tuple[str, ...] = ()
    """Of the output formats that it is for; empty: for all."""

    @property
    def types(self) -> tuple[type, ...]:
        """What Python makes of its JSON."""
        return _TYPES[self.kind]


_GROUPS: dict[Group, tuple[str, str]] = {
    "size": ("Size of the result", "Instead of by scale: give one of these five."),
    "file": ("The file", ""),
    "source": ("The picture that is read", ""),
}
"""Those that few need: title, and help."""
_INPUTS = {
    "model": MasterInput("choice", "Model", "main", ". ".join(MODELS.values()) + ".", values=MODELS),
    "output_format": MasterInput(
        "choice",
        "Format",
        "main",
        "Float formats keep all light for further work; PNG and WebP show it up to white.",
        values=FORMATS,
    ),
    "exr_type": MasterInput(
        "choice", "Samples of EXR", "main", default="float", values=_EXR_TYPES, formats=("exr",)
    ),
    "exr_compression": MasterInput(
        "choice", "Codec of EXR", "main", default="auto", values=_EXR_COMPRESSIONS, formats=("exr",)
    ),
    "scale": MasterInput(
        "number",
        "Scale",
        "main",
        "Times its width and height.",
        default=4.0,
        low=MIN_SCALE,
        high=MAX_SCALE,
    ),
    "hdr_boost": MasterInput(
        "number",
        "Boost of highlights",
        "main",
        "Highlights get up to so many times white. 1: off.",
        default=1.0,
        low=1.0,
        high=49.0,
    ),
    "fractality": MasterInput(
        "number",
        "Fractality: fine detail",
        "main",
        "0 smooth, 1 as the network gives it, 2 the most.",
        default=1.0,
        low=0.0,
        high=2.0,
    ),
    "width": MasterInput("whole", "Width, pixels", "size", low=1, high=MAX_SIDE),
    "height": MasterInput("whole", "Height, pixels", "size", low=1, high=MAX_SIDE),
    "long_edge": MasterInput("whole", "Longer side, pixels", "size", low=1, high=MAX_SIDE),
    "megapixels": MasterInput("number", "Megapixels", "size", above=0, high=MAX_SIDE**2 / 1e6),
    "print": MasterInput(
        "text",
        "Print size",
        "size",
        "60x40cm@300: paper in mm, cm or in, at dots per inch. The picture fits on it, uncut. "
        "Not at Replicate.",
        default="",
    ),
    "profile": MasterInput(
        "choice",
        "Colour profile",
        "file",
        "The colours of the file, embedded in it; wider ones keep more of a wide source.",
        default="srgb",
        values=_PROFILES,
    ),
    "wrap": MasterInput(
        "choice",
        "Edges that meet",
        "source",
        "Of a texture or a 360° picture, so that no seam shows where they meet.",
        default="none",
        values=_WRAPS,
    ),
    "layer": MasterInput(
        "text",
        "Layer of an EXR",
        "source",
        "Its name, or that of one channel. Empty: the main one.",
        default="",
        high=MAX_LAYER_NAME,
    ),
    "part": MasterInput(
        "whole", "Part of an EXR", "source", "Counted from 1. Empty: the first with the layer.", low=1
    ),
    "sdr": MasterInput(
        "flag",
        "Read the SDR picture",
        "source",
        "Of files that hold an HDR one too, by a gain map.",
        default=False,
    ),
}
SIZES = tuple(name for name, each in _INPUTS.items() if each.group == "size")
"""Of these one at most is given."""
MASTER_INPUTS = {name: each.types for name, each in _INPUTS.items() if name not in HERE_ONLY}
"""Name to types."""
LOCAL_INPUTS = {**{name: each.types for name, each in _INPUTS.items()}, "cog": TEXT}
"""On this machine."""


def offered() -> dict[str, Any]:
    """What the page builds its fields from: the inputs in their order, their groups, the formats that hold
    light above white, and the profiles that each format takes."""
    from luxscaler.io.profiles import profiles_of  # noqa: PLC0415 - NumPy, for the page alone

    return {
        "inputs": [{"name": name, **_described(each)} for name, each in _INPUTS.items()],
        "groups": [{"name": name, "title": title, "help": text} for name, (title, text) in _GROUPS.items()],
        "boosted": [name for name in FORMATS if name in HDR_FORMATS],
        "profiles": {name: list(profiles_of(name)) for name in FORMATS},
    }


def _described(each: MasterInput) -> dict[str, Any]:
    values = [{"value": value, "words": words} for value, words in each.values.items()]
    return {**vars(each), "values": values, "formats": list(each.formats)}
