"""Turns the untyped values of a server's client (JSON) into a checked UpscaleRequest.

Types are checked here and ranges in UpscaleRequest, so that every bad input is one InputError that names the
input. A container's pictures are URLs and data URLs: text of a client never becomes a path
(pipeline/remote.py fetches). The console gives the same inputs for pictures on its own machine.
"""

import math

from luxscaler.errors import InputError
from luxscaler.geometry import TileBox, Wrap
from luxscaler.io.options import EXR_COMPRESSIONS, EXR_TYPES, ExportOptions
from luxscaler.io.profiles import PROFILES
from luxscaler.options import LayerChoice
from luxscaler.picture import Picture
from luxscaler.pipeline.final_size import FinalSize
from luxscaler.pipeline.remote import check_url
from luxscaler.pipeline.request import PictureFile, UpscaleRequest

MAX_TEXT = 4096
"""Longest text that is accepted where no URL is meant, in characters."""
WRAPS = ("none", "x", "y", "xy")
MAX_SHOWN = 80
"""Most characters of a value that a message shows."""


def request_from_inputs(
    *, tile_input: object, global_reference: object = None, **options: object
) -> UpscaleRequest:
    """The request of a container's inputs, whose pictures are URLs. options: those of `picture_request`.

    Raises InputError, which names the first input that is wrong.
    """
    tile = _url("tile_input", tile_input)
    if tile is None:
        raise InputError("tile_input is missing; it must be a picture")
    return picture_request(tile, _url("global_reference", global_reference), **options)


def picture_request(
    source: PictureFile | Picture,
    reference: PictureFile | Picture | None = None,
    *,
    tile_box: object = "",
    output_format: object = "webp",
    hdr_boost: object = 1.0,
    fractality: object = 1.0,
    scale: object = 4.0,
    model: object = "photo",
    sdr: object = False,
    exr_type: object = "float",
    exr_compression: object = "auto",
    profile: object = "srgb",
    layer: object = "",
    part: object = 0,
    wrap: object = "none",
    width: object = 0,
    height: object = 0,
    long_edge: object = 0,
    megapixels: object = 0.0,
    print: object = "",  # noqa: A002 - the input's name
) -> UpscaleRequest:
    """The request for these pictures, with the container's other inputs; 0 and "" mean "not given".

    Raises InputError, and ExportError for what the output format does not have.
    """
    box = _text("tile_box", "" if tile_box is None else tile_box).strip()
    return UpscaleRequest(
        source=source,
        reference=reference,
        box=TileBox.parse(box) if box else None,
        output_format=_text("output_format", output_format),
        hdr_boost=_number("hdr_boost", hdr_boost),
        fractality=_number("fractality", fractality),
        scale=_number("scale", scale),
        model=_text("model", model),
        sdr=_boolean("sdr", sdr),
        export=ExportOptions(
            exr_type=_one_of("exr_type", exr_type, EXR_TYPES),
            exr_compression=_one_of("exr_compression", exr_compression, EXR_COMPRESSIONS),
            profile=_one_of("profile", profile, PROFILES),
        ),
        choice=LayerChoice(_text("layer", layer), _whole("part", part) or None),
        wrap=Wrap.parse(_one_of("wrap", wrap, WRAPS).removeprefix("none")),
        size=FinalSize.of(
            _whole("width", width) or None,
            _whole("height", height) or None,
            _whole("long_edge", long_edge) or None,
            _number("megapixels", megapixels) or None,
            _text("print", print) or None,
        ),
    )


def _whole(name: str, value: object) -> int:
    number = _number(name, value)
    if not number.is_integer():
        raise InputError(f"{name} is {_shown(value)}; it must be a whole number")
    return int(number)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise InputError(f"{name} is {_shown(value)}; it must be a number")
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name} is {_shown(value)}; it must be a number") from error
    if not math.isfinite(number):
        raise InputError(f"{name} is {_shown(value)}; it must be a finite number")
    return number


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} is {_shown(value)}; it must be true or false")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {_shown(value)}; it must be text")
    if len(value) > MAX_TEXT:
        raise InputError(f"{name} has {len(value)} characters; it may have {MAX_TEXT}")
    return value


def _one_of(name: str, value: object, known: tuple[str, ...]) -> str:
    text = _text(name, value)
    if text not in known:
        raise InputError(f"{name} is {_shown(text)}; it must be one of {', '.join(known)}")
    return text


def _url(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InputError(f"{name} is {_shown(value)}; it must be an http, https or data URL of a picture")
    try:
        check_url(value)
    except InputError as error:
        raise InputError(f"{name}: {error}; it must be an http, https or data URL of a picture") from error
    return value


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "an integer of thousands of digits"
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
