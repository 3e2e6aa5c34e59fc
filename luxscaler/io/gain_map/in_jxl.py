"""Finds the gain map of a JPEG XL file: a box of its container with a codestream in it.

The box "jhgm" holds a version, ISO 21496-1's metadata, the alternate picture's colours and the map (ISO/IEC
18181-2); it may be compressed, in a box "brob". The alternate's colours are coded as in a codestream and are
not read; few gain maps apply in them.
"""

import io
import struct
from functools import partial
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.gain_map.gain_map import Codes, Decode, GainMap, unusable_notice
from luxscaler.io.gain_map.metadata import Gain, read_iso
from luxscaler.io.isobmff import top_boxes
from luxscaler.io.jxl.header import read_jxl_header
from luxscaler.io.unpacking import UnpackError, from_brotli

_CONTAINER = b"\0\0\0\x0cJXL "
_HEAD_BYTES = 1 << 18
"""Of the box: all but the map's pixels."""
_BOX = b"jhgm"
_MOST_BYTES = 64 * 2**20
"""Of a map whose box is compressed: it is in memory as a whole."""


def find_or_notice(stream: BinaryIO, decode: Decode) -> tuple[GainMap | None, tuple[str, ...]]:
    """The gain map if there is one, or why the one that is there cannot be used."""
    stream.seek(0)
    if stream.read(len(_CONTAINER)) != _CONTAINER:
        return None, ()
    try:
        for name, start, size in top_boxes(stream):
            if name == _BOX:
                stream.seek(start)
                gain, size_of_map, at = _parsed(stream.read(min(size, _HEAD_BYTES)))
                return GainMap(gain, *size_of_map, partial(_decoded, start + at, size - at, decode)), ()
            stream.seek(start)
            if name == b"brob" and stream.read(len(_BOX)) == _BOX:
                gain, size_of_map, at = _parsed(_unpacked(stream, start, size))
                return GainMap(gain, *size_of_map, partial(_decoded_packed, start, size, at, decode)), ()
    except (PictureError, UnpackError) as error:
        return None, (unusable_notice(error),)
    except struct.error:
        return None, (unusable_notice("its box is cut off"),)
    return None, ()


def _parsed(head: bytes) -> tuple[Gain, tuple[int, int], int]:
    """What the box means, width and height of the map, and where its codestream begins.

    head: of the box's body. Raises PictureError and struct.error.
    """
    version, metadata_bytes = struct.unpack_from(">BH", head)
    if version != 0:
        raise PictureError(f"its box has version {version}, 0 is known")
    at = 3 + metadata_bytes
    gain = read_iso(head[3:at])
    (color_bytes,) = struct.unpack_from("B", head, at)
    (icc_bytes,) = struct.unpack_from(">I", head, at + 1 + color_bytes)
    if not gain.in_base_colors and (color_bytes or icc_bytes):
        raise PictureError("it is meant in the colours of the alternate picture, which are not read")
    at += 1 + color_bytes + 4 + icc_bytes
    header = read_jxl_header(head[at : at + _HEAD_BYTES])
    return gain, (header.width, header.height), at


def _unpacked(stream: BinaryIO, place: int, size: int) -> bytes:
    """The body of a box that is in a "brob" box, of that place and size. Raises UnpackError."""
    if size > _MOST_BYTES:
        raise UnpackError(f"its box has {size:,} bytes, the limit for compressed ones is {_MOST_BYTES:,}")
    stream.seek(place + len(_BOX))
    try:
        return from_brotli(stream.read(size - len(_BOX)), _MOST_BYTES)
    except UnpackError as error:
        raise UnpackError(f"its compressed box is {error}") from error


def _decoded_packed(place: int, size: int, at: int, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    return decode(io.BytesIO(_unpacked(stream, place, size)[at:]))


def _decoded(start: int, size: int, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    stream.seek(start)
    return decode(io.BytesIO(stream.read(size)))
