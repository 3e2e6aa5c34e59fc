"""Checks of a master's inputs, made before a job is kept: as the container would check them.

What is wrong is a Problem (422) that names the input, so that the page can say it beside the field.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from luxscaler.console.master_inputs import (
    DEFAULT_FORMATS,
    HERE_ONLY,
    LOCAL_INPUTS,
    MASTER_INPUTS,
    SIZES,
    TYPE_WORDS,
)
from luxscaler.errors import ExportError, FetchError, InputError
from luxscaler.gateway.problems import Problem
from luxscaler.geometry import output_size
from luxscaler.io.formats import check_pixels
from luxscaler.options import DEFAULT_MAX_PIXELS
from luxscaler.web.url import Url

_MOST_ADDRESS = 500
"""Characters of a container's address."""


def wrong_input(reason: str, known: Iterable[str]) -> Problem:
    """422; the input's name is its `input` where the reason begins with it, as the library's reasons do."""
    name = reason.partition(" ")[0]
    named: dict[str, Any] = {"input": name} if name in known else {}
    return Problem(422, f"inputs: {reason}", field="inputs", **named)


def wrong_type(name: str, value: object, types: tuple[type, ...]) -> str:
    """What is wrong with the type of an input's value; empty if it is one of `types` (master_inputs.TEXT …).

    True and false, which Python counts as whole numbers, are taken for flags alone.
    """
    if isinstance(value, types) and (bool in types or not isinstance(value, bool)):
        return ""
    return f"{name} must be {TYPE_WORDS[types]}, got {str(value)[:80]!r}"


def check_master_inputs(inputs: Mapping[str, Any], *, is_here: bool = False) -> None:
    """Names, types and values as the container takes them. is_here: for this machine, where `cog` is an input
    too. Raises Problem (422)."""
    known = LOCAL_INPUTS if is_here else MASTER_INPUTS
    for name, value in inputs.items():
        if name in HERE_ONLY and not is_here:
            _refuse(f"{name} is for this machine and Cog containers: {HERE_ONLY[name]}")
        if name not in known:
            _refuse(f"unknown {name[:80]!r}; known are {', '.join(known)}")
        if name == "cog":
            _check_cog(value)
            continue
        if reason := wrong_type(name, value, known[name]):
            _refuse(reason)
    _check_values({name: value for name, value in inputs.items() if name != "cog"})


def master_size(
    inputs: Mapping[str, Any], width: int, height: int, place: str = "replicate"
) -> tuple[int, int]:
    """Width and height of the result of a picture of that size. Raises Problem (422)."""
    check_master_inputs(inputs, is_here=place == "here")
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415 - loads the codecs

    try:
        request = picture_request(b"", **inputs).for_picture(width, height)
    except InputError as error:
        size = next((name for name in SIZES if inputs.get(name)), "scale")
        raise Problem(422, f"inputs: {error}", field="inputs", input=size) from error
    return request.final or output_size(width, height, request.scale)


def check_master_result(inputs: Mapping[str, Any], width: int, height: int, place: str) -> None:
    """Whether a result of a picture of that size can be: its format holds it, and at Replicate one container
    makes it as one tile. Raises Problem (422)."""
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415 - loads the codecs
    from luxscaler.pipeline.request import DEFAULT_MAX_MASTER_PIXELS, DEFAULT_MAX_OUTPUT_PIXELS  # noqa: PLC0415 - loads the codecs

    final = master_size(inputs, width, height, place)
    inputs = {"output_format": DEFAULT_FORMATS[place], **inputs}
    request = picture_request(b"", **inputs).for_picture(width, height)
    most = DEFAULT_MAX_PIXELS if place == "replicate" else DEFAULT_MAX_MASTER_PIXELS
    if width * height > most:
        raise Problem(
            422,
            f"source: the picture has {width * height:,} pixels; {most:,} are the most "
            f"{'at Replicate' if place == 'replicate' else 'on this machine'}",
            field="source",
        )
    made = math.prod(output_size(width, height, request.scale))
    if place == "replicate" and made > DEFAULT_MAX_OUTPUT_PIXELS:
        raise Problem(
            422,
            f"inputs: at Replicate a container makes up to {DEFAULT_MAX_OUTPUT_PIXELS:,} pixels at once, and "
            f"these would be {made:,}: choose a smaller scale, or this machine; "
            "`luxscaler upscale --backend replicate` sends tiles",
            field="inputs",
            input="scale",
        )
    try:
        check_pixels(request.output_format, *final, DEFAULT_MAX_OUTPUT_PIXELS)
    except ExportError as error:
        raise Problem(422, f"inputs: {error}", field="inputs", input="output_format") from error


def _check_values(inputs: Mapping[str, Any]) -> None:
    from luxscaler.pipeline.inputs import picture_request  # noqa: PLC0415 - loads the codecs

    try:
        picture_request(b"", **inputs)
    except (InputError, ExportError) as error:
        raise wrong_input(str(error), LOCAL_INPUTS) from error


def _check_cog(address: object) -> None:
    try:
        Url.parse(address if isinstance(address, str) and len(address) <= _MOST_ADDRESS else "")
    except FetchError:
        _refuse(
            f"cog must be the address of a container, e.g. http://127.0.0.1:5000, got {str(address)[:80]!r}"
        )


def _refuse(reason: str) -> None:
    raise wrong_input(reason, LOCAL_INPUTS)
