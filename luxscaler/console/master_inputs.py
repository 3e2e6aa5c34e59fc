"""The inputs of a master: one list for Replicate, this machine, a Cog container and the page.

Names, types and values are the container's (predict.py); a test holds the two together. On this machine
`cog` may name a running container, and `model` a file.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from luxscaler.errors import ExportError, InputError
from luxscaler.gateway.problems import Problem
from luxscaler.geometry import output_size

TEXT, NUMBER, FLAG = (str,), (int, float), (bool,)
_TYPE_WORDS: dict[tuple[type, ...], str] = {TEXT: "text", NUMBER: "a number", FLAG: "true or false"}
MASTER_INPUTS: dict[str, tuple[type, ...]] = {
    "output_format": TEXT,
    "hdr_boost": NUMBER,
    "fractality": NUMBER,
    "scale": NUMBER,
    "model": TEXT,
    "sdr": FLAG,
    **dict.fromkeys(("exr_type", "exr_compression", "profile", "layer", "wrap"), TEXT),
    **dict.fromkeys(("part", "width", "height", "long_edge", "megapixels"), NUMBER),
}
LOCAL_INPUTS = {**MASTER_INPUTS, "cog": TEXT}
"""On this machine."""
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
_MOST_ADDRESS = 500


def offered() -> dict[str, Any]:
    """What the page lets one choose: for each input its values with words, the default first named."""
    from luxscaler.io.write import HDR_FORMATS  # noqa: PLC0415 - its formats take a second to load

    return {
        "output_format": _listed(FORMATS),
        "model": _listed(MODELS),
        "exr_type": _listed(_EXR_TYPES),
        "exr_compression": _listed(_EXR_COMPRESSIONS),
        "boosted": [name for name in FORMATS if name in HDR_FORMATS],
    }


def check_master_inputs(inputs: Mapping[str, Any], *, is_here: bool = False) -> None:
    """As the container checks them. Raises Problem (422)."""
    known = LOCAL_INPUTS if is_here else MASTER_INPUTS
    for name, value in inputs.items():
        if name not in known:
            _refuse(f"unknown {name[:80]!r}; known are {', '.join(known)}")
        if name == "cog":
            _check_cog(value)
            continue
        types = known[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            _refuse(f"{name} must be {_TYPE_WORDS[types]}, got {str(value)[:80]!r}")
    _check_values({name: value for name, value in inputs.items() if name != "cog"})


def master_size(inputs: Mapping[str, Any], width: int, height: int) -> tuple[int, int]:
    """Width and height of the result of a picture of that size. Raises Problem (422)."""
    check_master_inputs(inputs)
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415 - as above

    try:
        request = picture_request(b"", **inputs).for_picture(width, height)
    except InputError as error:
        raise Problem(422, f"inputs: {error}", field="inputs") from error
    return request.final or output_size(width, height, request.scale)


def _check_values(inputs: Mapping[str, Any]) -> None:
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415 - as above

    try:
        picture_request(b"", **inputs)
    except (InputError, ExportError) as error:
        raise Problem(422, f"inputs: {error}", field="inputs") from error


def _check_cog(address: object) -> None:
    parts = urlsplit(address) if isinstance(address, str) and len(address) <= _MOST_ADDRESS else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        _refuse(
            f"cog must be the address of a container, e.g. http://127.0.0.1:5000, got {str(address)[:80]!r}"
        )


def _listed(words: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"value": value, "words": text} for value, text in words.items()]


def _refuse(reason: str) -> None:
    raise Problem(422, f"inputs: {reason}", field="inputs")
