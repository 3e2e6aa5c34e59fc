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
_HEAD_BYTES = 1 << 16
"""Of the map's codestream, for its size."""


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
                return _gain_map(stream, start + size, decode), ()
    except PictureError as error:
        return None, (unusable_notice(error),)
    except struct.error:
        return None, (unusable_notice("its box is cut off"),)
    return None, ()


def _gain_map(stream: BinaryIO, end: int, decode: Decode) -> GainMap:
    """stream: at the body of the box, which ends at `end`. Raises PictureError and struct.error."""
    version, size = struct.unpack(">BH", stream.read(3))
    if version != 0:
        raise PictureError(f"its box has version {version}, 0 is known")
    gain = read_iso(stream.read(size))
    (color_bytes,) = struct.unpack("B", stream.read(1))
    stream.seek(color_bytes, io.SEEK_CUR)
    (icc_bytes,) = struct.unpack(">I", stream.read(4))
    if not gain.in_base_colors and (color_bytes or icc_bytes):
        raise PictureError("it is meant in the colours of the alternate picture, which are not read")
    start = stream.seek(icc_bytes, io.SEEK_CUR)
    header = read_jxl_header(stream.read(_HEAD_BYTES))
    return GainMap(gain, header.width, header.height, partial(_decoded, start, end - start, decode))


def _decoded(start: int, size: int, decode: Decode, stream: BinaryIO) -> tuple[Codes, int]:
    stream.seek(start)
    return decode(io.BytesIO(stream.read(size)))
