"""Pictures as the files that travel to a remote backend and back: float32 EXR, exactly reversible.

    Picture → encode → bytes → (a container) → file → decode → rgb, alpha

What comes back is not trusted: isolation/pool.py decodes it, and it must be an EXR of the size and the tile
box that were asked for.
"""

import os
import struct
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from luxscaler.errors import InputError, TileError
from luxscaler.geometry import TileBox
from luxscaler.io.write import export
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.options import DecodeLimits
from luxscaler.picture import FloatArray, Picture
from luxscaler.pipeline.request import TileSettings

CONTENT_TYPE = "image/x-exr"
SUFFIX = ".exr"
SOURCE_BITS = "source_bits"
"""Metadata of a file whose picture came from integers: their depth. Without it a container would take the
floats for measured light, which it keeps, where it removes noise and compression from a photo of 8 bits."""
_TILE_BOX = b"luxscaler:tile_box"
_MAGIC = b"\x76\x2f\x31\x01"
_MAX_HEADER = 64 * 1024
_LENGTH = struct.Struct("<I")

ExrFile = bytes | os.PathLike[str]


def encode(picture: Picture, *, is_hdr: bool = False) -> bytes:
    """The picture as the bytes of an EXR file.

    `decode` returns opaque pictures bit for bit; with alpha, straight colour is stored premultiplied, so that
    it is rounded where it is translucent, and lost where alpha is 0. is_hdr: as in MasterContext. A container
    sees one tile, which may lie in the shadows: so it is told that the light of all tiles is to be kept.
    """
    picture = picture.as_light()
    source = picture.source
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
        path = Path(folder) / f"picture{SUFFIX}"
        export(
            path,
            picture.rgb,
            picture.alpha,
            file_format="exr",
            is_grey=source.is_grey,
            is_associated=source.is_associated,
            metadata={} if source.is_float or is_hdr else {SOURCE_BITS: source.bits},
        )
        return path.read_bytes()


def decode(
    file: ExrFile,
    size: tuple[int, int],
    box: TileBox | None = None,
    limits: DecodeLimits | None = None,
    *,
    is_associated: bool = False,
) -> tuple[FloatArray, FloatArray | None]:
    """(rgb, alpha) as in TileOutput. size: (height, width) that it must have. box: where the tile must sit.
    is_associated: whether rgb is to be premultiplied, like that of the master.

    Raises TileError for anything but the EXR that was asked for: a picture that cannot be read, of another
    size, with values that are not finite, or of another tile.
    """
    height, width = size
    try:
        picture = read_picture_isolated(_source(file), max_pixels=height * width, limits=limits)
    except InputError as error:
        raise TileError(f"the result is no usable picture: {error}") from error
    if picture.source.format != "exr":
        raise TileError(f"the result is {picture.source.format}, and EXR was asked for")
    if (picture.height, picture.width) != size:
        raise TileError(
            f"the result has {picture.width} × {picture.height} pixels, {width} × {height} were asked for"
        )
    if any("NaN" in notice for notice in picture.source.notices):
        raise TileError("the result has values that are not finite")
    _check_box(file, box)
    return _as_master(picture, is_associated=is_associated), picture.alpha


def _as_master(picture: Picture, *, is_associated: bool) -> FloatArray:
    """The colour as the master has it, whatever the reader took this tile for by its content."""
    if not is_associated:
        return picture.rgb
    return replace(picture, source=replace(picture.source, has_light_apart=True)).as_light().rgb


def tile_inputs(
    settings: TileSettings, tile: str, reference: str | None, box: TileBox | None
) -> dict[str, object]:
    """The inputs of a container's prediction. tile, reference: addresses or data URLs of their EXR files."""
    inputs: dict[str, object] = {
        "tile_input": tile,
        "output_format": "exr",
        "fractality": settings.fractality,
        "scale": settings.scale,
        "model": settings.model,
    }
    if reference is not None:
        inputs["global_reference"] = reference
        if box is not None:
            inputs["tile_box"] = box_text(box)
    return inputs


def most_bytes(size: tuple[int, int]) -> int:
    """Most bytes of a file of (height, width) pixels: uncompressed RGBA in float32, and a header."""
    return size[0] * size[1] * 4 * 4 * 11 // 10 + 2**20


def box_text(box: TileBox) -> str:
    """The box as text for `tile_box`, with all digits: `str(box)` has six, too few for large masters."""
    return ",".join(repr(float(value)) for value in (box.x, box.y, box.width, box.height))


def _source(file: ExrFile) -> ExrFile:
    return file if isinstance(file, bytes) else Path(file)


def _check_box(file: ExrFile, box: TileBox | None) -> None:
    """Raise TileError if the file says that it is another tile; containers that write no box pass."""
    if box is None:
        return
    found = _tile_box(_head(file))
    if found is not None and not np.allclose(found, (box.x, box.y, box.width, box.height), rtol=1e-4):
        raise TileError(f"the result is of another tile: it says {found}, asked for was {box}")


def _head(file: ExrFile) -> bytes:
    if isinstance(file, bytes):
        return file[:_MAX_HEADER]
    with Path(file).open("rb") as opened:
        return opened.read(_MAX_HEADER)


def _tile_box(head: bytes) -> tuple[float, ...] | None:
    """The tile_box in an EXR header: attributes of name, type (both ended by 0), length and value.

    Read by hand, because no library may parse an untrusted file in this process.
    """
    if not head.startswith(_MAGIC):
        return None
    start = len(_MAGIC) + 4
    while 0 <= start < len(head):
        name, _, rest = head[start : start + 512].partition(b"\0")
        kind, end, _ = rest.partition(b"\0")
        value = start + len(name) + len(kind) + 2 + _LENGTH.size
        if not name or not end or value > len(head):
            return None
        (length,) = _LENGTH.unpack(head[value - _LENGTH.size : value])
        if name == _TILE_BOX:
            return _numbers(head[value : value + length])
        start = value + length
    return None


def _numbers(text: bytes) -> tuple[float, ...] | None:
    try:
        numbers = tuple(float(part) for part in text.decode("ascii").split(","))
    except ValueError:
        return None
    return numbers if len(numbers) == 4 else None
