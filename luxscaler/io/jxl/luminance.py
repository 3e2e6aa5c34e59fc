"""Writes into a JPEG XL header what imagecodecs has no arguments for: how bright 1.0 is, and primaries.

The codestream begins with a header of single bits, followed by whole bytes; a few bits are inserted and the
rest moves by whole bytes. This works for the headers that libjxl writes for float pictures without a profile,
and is refused for others. Source: ISO/IEC 18181-1:2024, annex D; 18181-2 for the box.
"""

import io
import struct

from luxscaler.color import D65, Point, Primaries
from luxscaler.errors import PictureError
from luxscaler.io.isobmff import box_header, top_boxes
from luxscaler.io.jxl.bits import u32_bits
from luxscaler.io.jxl.header import (
    COORDINATE,
    CUSTOM,
    ENUM,
    MILLIONTHS,
    PRIMARIES,
    JxlHeader,
    Places,
    read_jxl_header,
)

_BOX = b"jxlc"
_HEAD_BYTES = 256
_LINEAR = 8
_RELATIVE = 1
"""Rendering intent."""
_EXTRA_FIELDS = "1" + "000" + "000"  # upright; no intrinsic size, preview, animation
_END = "00" + "1"  # no extensions; the usual transform


def with_luminance(container: bytes, cd_m2: float, primaries: Primaries | None = None) -> tuple[bytes, int]:
    """Return the new beginning of a file, and from which byte on the old one follows it.

    cd_m2: luminance of the value 1.0; half floats hold it. primaries: those of its light, if they are not the
    encoder's, Rec.709; samples that were stored without loss do not depend on them.
    Raises ValueError for a file that libjxl would not have written for float samples.
    """
    start = _codestream(container)
    head = container[start : start + _HEAD_BYTES]
    places = _places(head)
    fields, color_end = places.extra_fields, places.color_end
    bits = "".join(f"{byte:08b}"[::-1] for byte in head)
    end = color_end + len(_END)
    rest = -(-end // 8)
    if bits[color_end:end] != _END or "1" in bits[end : 8 * rest]:
        raise ValueError("unexpected JPEG XL header")
    color = bits[places.color : color_end] if primaries is None else _linear_light(primaries)
    new = (
        bits[:fields] + _EXTRA_FIELDS + bits[fields + 1 : places.color] + color + _tone_mapping(cd_m2) + _END
    )
    new += "0" * (-len(new) % 8)
    codestream = bytes(int(new[at : at + 8][::-1], 2) for at in range(0, len(new), 8))
    wide = container[start - len(_BOX) : start] != _BOX
    size = len(container) - start + len(codestream) - rest
    header = box_header(_BOX, size, wide=wide)
    return container[: start - len(header)] + header + codestream, start + rest


def _tone_mapping(cd_m2: float) -> str:
    """ToneMapping: not all default, intensity_target, min_nits, relative_to_max_display, linear_below."""
    number, zero = (_half(value) for value in (cd_m2, 0.0))
    return "0" + number + zero + "0" + zero


def _linear_light(primaries: Primaries) -> str:
    """A ColorEncoding: not all default, no ICC profile, RGB, white, primaries, no gamma, linear, relative."""
    known = {(each.red, each.green, each.blue): number for number, each in PRIMARIES.items()}
    corners = (primaries.red, primaries.green, primaries.blue)
    white, base = 1 if primaries.white == D65 else CUSTOM, known.get(corners, CUSTOM)
    said = "0" + "0" + u32_bits(0, ENUM) + u32_bits(white, ENUM)
    said += _points(primaries.white) if white == CUSTOM else ""
    said += u32_bits(base, ENUM) + (_points(*corners) if base == CUSTOM else "")
    return said + "0" + u32_bits(_LINEAR, ENUM) + u32_bits(_RELATIVE, ENUM)


def _points(*points: Point) -> str:
    numbers = [round(value * MILLIONTHS) for point in points for value in point]
    return "".join(u32_bits(2 * number if number >= 0 else -2 * number - 1, COORDINATE) for number in numbers)


def _half(value: float) -> str:
    (code,) = struct.unpack("<H", struct.pack("<e", value))
    return f"{code:016b}"[::-1]


def _codestream(container: bytes) -> int:
    """Where the body of the last box, which is the codestream, begins."""
    for name, start, size in top_boxes(io.BytesIO(container)):
        if name == _BOX and start + size == len(container):
            return start
    raise ValueError("unexpected JPEG XL boxes")


def _places(head: bytes) -> Places:
    try:
        header = read_jxl_header(head)
    except PictureError as error:
        raise ValueError("unexpected JPEG XL header") from error
    places = header.places
    if places is None or places.has_extra_fields or not _is_linear_float(header):
        raise ValueError("unexpected JPEG XL header")
    return places


def _is_linear_float(header: JxlHeader) -> bool:
    return header.is_float and not header.color.has_icc and header.color.transfer == _LINEAR
