"""Loose values from outside, as JSON or a command line has them, to a checked TileRequest.

Types are checked here and ranges in TileRequest, so that every bad input is one InputError that names the
input. It knows no Cog and no HTTP.
"""

import math
import os

from luxscaler.errors import InputError
from luxscaler.pipeline import TileRequest
from luxscaler.reference import TileBox


def request_from_inputs(
    *,
    tile_input: object,
    global_reference: object = None,
    tile_box: object = "",
    output_format: object = "webp",
    hdr_boost: object = 1.0,
    fractality: object = 1.0,
    scale: object = 4.0,
    model: object = "photo",
) -> TileRequest:
    """The request that these inputs make; InputError names the first that is wrong."""
    box = _text("tile_box", "" if tile_box is None else tile_box).strip()
    tile = _file("tile_input", tile_input)
    if tile is None:
        raise InputError("tile_input is missing; it must be a picture")
    return TileRequest(
        tile_input=tile,
        global_reference=_file("global_reference", global_reference),
        tile_box=TileBox.parse(box) if box else None,
        output_format=_text("output_format", output_format),
        hdr_boost=_number("hdr_boost", hdr_boost),
        fractality=_number("fractality", fractality),
        scale=_number("scale", scale),
        model=_text("model", model),
    )


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InputError(f"{name} is {value!r}; it must be a number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name} is {value!r}; it must be a number") from error
    if not math.isfinite(number):
        raise InputError(f"{name} is {value!r}; it must be a finite number")
    return number


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}; it must be text")
    return value


def _file(name: str, value: object) -> str | os.PathLike[str] | None:
    if value is None or isinstance(value, os.PathLike):
        return value
    if isinstance(value, str) and value:
        return value
    raise InputError(f"{name} is {value!r}; it must be the URL or path of a picture")
