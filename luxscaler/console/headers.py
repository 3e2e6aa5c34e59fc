"""Headers of pictures: of an EXR, of the layer and part that a job reads.

They are read in the decoding process, since a picture may come from anyone; here only our own parser looks
which layers an EXR has.
"""

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


def header_and_layers(path: Path) -> tuple["PictureHeader", list[str], bool]:
    """The header, the names of an EXR's layers, and whether one of these is read without a choice.

    Where none is, the header is that of the first layer. Raises PictureError.
    """
    from luxscaler.isolation.pool import read_header_isolated  # noqa: PLC0415 - takes a second to load

    choices = _layer_choices(path)
    names = list(dict.fromkeys(choice.layer for choice in choices))[:_MOST_LAYERS]
    try:
        return read_header_isolated(path), names, True
    except PictureError:
        if len(choices) < 2:
            raise
        return read_header_isolated(path, choice=choices[0]), names, False


def header_for_job(path: Path, inputs: Mapping[str, Any]) -> "PictureHeader":
    """The header of what a job with those inputs reads of the picture.

    Raises InputError where the header cannot be read, and Problem (422) for a layer or part that it lacks.
    """
    from luxscaler.isolation.pool import read_header_isolated  # noqa: PLC0415 - takes a second to load
    from luxscaler.options import LayerChoice  # noqa: PLC0415 - the same

    choice = LayerChoice(inputs.get("layer", ""), inputs.get("part") or None)
    try:
        return read_header_isolated(path.expanduser(), choice=choice)
    except PictureError as error:
        if not choice:
            raise
        name = "layer" if choice.layer else "part"
        detail = f"inputs: {without_path(str(error), path)}"
        raise Problem(422, detail, field="inputs", input=name) from error


def size_for_job(path: Path, inputs: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of what a job with those inputs reads of the picture. Raises as `header_for_job`."""
    header = header_for_job(path, inputs)
    return header.width, header.height


def without_path(message: str, path: Path) -> str:
    """A reader's message without the path that the console gave the file."""
    return message.replace(str(path), "it").replace(path.name, "it").removeprefix("it: ")


def _layer_choices(path: Path) -> "tuple[LayerChoice, ...]":
    """The layers that an EXR offers; none for other files and damaged headers."""
    from luxscaler.io.exr.header import MAGIC, read_parts  # noqa: PLC0415 - loads NumPy
    from luxscaler.io.exr.layers import layer_choices  # noqa: PLC0415

    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return ()
        try:
            return layer_choices(read_parts(file))
        except (PictureError, ValueError, struct.error):
            return ()  # said by the reader of headers
