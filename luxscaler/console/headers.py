"""What the headers of pictures say: of an EXR, those of the layer and part that a job is to read."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luxscaler.errors import PictureError
from luxscaler.gateway.problems import Problem

if TYPE_CHECKING:
    from luxscaler.io.read import PictureHeader
    from luxscaler.options import LayerChoice

_MOST_LAYERS = 100
_EXR_MAGIC = b"\x76\x2f\x31\x01"


def header_and_layers(path: Path) -> tuple["PictureHeader", list[str], bool]:
    """The header, the names of an EXR's layers, and whether one of them is read where none is chosen; else
    the header is that of the first. Raises PictureError."""
    from luxscaler.isolation.pool import read_header_isolated  # noqa: PLC0415 - takes a second to load

    choices = _layer_choices(path)
    names = list(dict.fromkeys(choice.layer for choice in choices))[:_MOST_LAYERS]
    try:
        return read_header_isolated(path), names, True
    except PictureError:
        if len(choices) < 2:
            raise
        return read_header_isolated(path, choice=choices[0]), names, False


def header_read(path: Path, inputs: Mapping[str, Any]) -> "PictureHeader":
    """The header of what a job with those inputs reads of the picture.

    Raises InputError where the header cannot be read, and Problem (422) for a layer or part that it lacks.
    """
    from luxscaler.io.read import read_header  # noqa: PLC0415 - its formats take a second to load
    from luxscaler.options import LayerChoice  # noqa: PLC0415 - the same

    choice = LayerChoice(inputs.get("layer", ""), inputs.get("part") or None)
    try:
        return read_header(path.expanduser(), choice)
    except PictureError as error:
        if not choice:
            raise
        name = "layer" if choice.layer else "part"
        said = f"inputs: {without_path(str(error), path)}"
        raise Problem(422, said, field="inputs", input=name) from error


def size_read(path: Path, inputs: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of that. Raises as `header_read` does."""
    header = header_read(path, inputs)
    return header.width, header.height


def without_path(message: str, path: Path) -> str:
    """A reader's message without the path that the console gave the file."""
    return message.replace(str(path), "it").replace(path.name, "it").removeprefix("it: ")


def _layer_choices(path: Path) -> "tuple[LayerChoice, ...]":
    """Of an EXR; of anything else none."""
    from luxscaler.io.exr.header import read_parts  # noqa: PLC0415 - loads NumPy
    from luxscaler.io.exr.layers import layer_choices  # noqa: PLC0415

    with path.open("rb") as file:
        if file.read(4) != _EXR_MAGIC:
            return ()
        file.seek(0)
        try:
            return layer_choices(read_parts(file))
        except (PictureError, ValueError, struct.error):
            return ()  # said by the reader of headers
