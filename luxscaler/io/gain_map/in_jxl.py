"""Finds the gain map of a JPEG XL file: a box of its container with a codestream in it.

The box "jhgm" holds a version, ISO 21496-1's metadata, the alternate picture's colours and the map (ISO/IEC
18181-2). Those colours are coded as in a codestream and are not read; few gains are meant in them.
"""

import io
import struct
from functools import partial
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.gain_map.gain_map import Codes, Decode, GainMap, unusable_notice
from luxscaler.io.gain_map.metadata import read_iso
from luxscaler.io.isobmff import top_boxes
from luxscaler.io.jxl.header import read_jxl_header

_CONTAINER = b"\0\0\0\x0cJXL "
_HEAD_BYTES = 1 << 18
"""Of the box: all but the map's pixels."""


def find_or_notice(stream: BinaryIO, decode: Decode) -> tuple[GainMap | None, tuple[str, ...]]:
    """The gain map if there is one, or why the one that is there cannot be used."""
    stream.seek(0)
    if stream.read(len(_CONTAINER)) != _CONTAINER:
        return None, ()
    try:
        for name, start, size in top_boxes(stream):
            stream.seek(start)
            if name == b"brob" and stream.read(4) == b"jhgm":
                raise PictureError("its box is compressed, which is not supported")
            if name == b"jhgm":
                stream.seek(start)
                return _gain_map(stream.read(min(size, _HEAD_BYTES)), start, size, decode), ()
    except PictureError as error:
        return None, (unusable_notice(error),)
    except struct.error:
        return None, (unusable_notice("its box is cut off"),)
    return None, ()


def _gain_map(head: bytes, place: int, size: int, decode: Decode) -> GainMap:
    """head: of the box's body, which lies at `place`. Raises PictureError and struct.error."""
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
    header = read_jxl_header(head[at:])
    return GainMap(gain, header.width, header.height, partial(_decoded, place + at, size - at, decode))


def _decoded(start: int, size: int, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    stream.seek(start)
    return decode(io.BytesIO(stream.read(size)))
