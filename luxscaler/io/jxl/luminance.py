"""Tells a JPEG XL file how bright 1.0 is, which its encoder here cannot be told: intensity_target.

The codestream begins with a header of single bits and whole bytes behind it, so a few bits are put in and the
rest is moved by whole bytes. Only headers that libjxl writes for float pictures without a profile are known
here; reading of others is luxscaler's business. Source: ISO/IEC 18181-1:2024, annex D; 18181-2 for the box.
"""

import struct

_Choices = tuple[tuple[int, int], ...]
"""What the two selector bits of a U32 choose: the number of bits to read, and what is added to them."""

_HEAD_BYTES = 256
_SIZE: _Choices = ((9, 1), (13, 1), (18, 1), (30, 1))
_ENUM: _Choices = ((0, 0), (0, 1), (4, 2), (6, 18))
_FLOAT_BITS: _Choices = ((0, 32), (0, 16), (0, 24), (6, 1))
_ALPHA = 0
_LINEAR = 8
_NO_EXTRA_FIELDS, _EXTRA_FIELDS = "0", "1" + "000" + "000"  # upright; no intrinsic size, preview, animation
_END = "00" + "1"  # no extensions; the usual transform


def with_luminance(container: bytes, cd_m2: float) -> tuple[bytes, int]:
    """Return the new beginning of a file, and from which byte on the old one follows it.

    cd_m2: luminance of the value 1.0; half floats hold it. Raises ValueError for a file that libjxl would not
    have written for float samples.
    """
    start = _codestream(container)
    head = container[start : start + _HEAD_BYTES]
    fields, tone_mapping, end = _places(_Bits(head))
    bits = "".join(f"{byte:08b}"[::-1] for byte in head)
    rest = -(-end // 8)
    if bits[fields] != _NO_EXTRA_FIELDS or bits[tone_mapping:end] != _END or "1" in bits[end : 8 * rest]:
        raise ValueError("unexpected JPEG XL header")
    new = bits[:fields] + _EXTRA_FIELDS + bits[fields + 1 : tone_mapping] + _tone_mapping(cd_m2) + _END
    new += "0" * (-len(new) % 8)
    codestream = bytes(int(new[at : at + 8][::-1], 2) for at in range(0, len(new), 8))
    grown = len(codestream) - rest
    return _resized(container[:start], grown) + codestream, start + rest


def _tone_mapping(cd_m2: float) -> str:
    """ToneMapping: not all default, intensity_target, min_nits, relative_to_max_display, linear_below."""
    number, zero = (_half(value) for value in (cd_m2, 0.0))
    return "0" + number + zero + "0" + zero


def _half(value: float) -> str:
    (code,) = struct.unpack("<H", struct.pack("<e", value))
    return f"{code:016b}"[::-1]


def _codestream(container: bytes) -> int:
    """Where the body of the last box, which is the codestream, begins."""
    at = 0
    while at + 16 <= len(container):
        size, kind = struct.unpack_from(">I4s", container, at)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", container, at + 8), 16
        if kind == b"jxlc" and at + size == len(container):
            return at + header
        at += max(size, header)
    raise ValueError("unexpected JPEG XL boxes")


def _resized(boxes: bytes, grown: int) -> bytes:
    """The boxes up to a body, the last of them by so many bytes larger."""
    if boxes[-4:] == b"jxlc":
        (size,) = struct.unpack_from(">I", boxes, len(boxes) - 8)
        return boxes[:-8] + struct.pack(">I", size + grown) + b"jxlc"
    (size,) = struct.unpack_from(">Q", boxes, len(boxes) - 8)
    return boxes[:-8] + struct.pack(">Q", size + grown)


class _Bits:
    """Bits of a header, least significant first."""

    def __init__(self, head: bytes) -> None:
        self._all = int.from_bytes(head, "little")
        self.at = 16  # behind the signature

    def u(self, count: int) -> int:
        value = self._all >> self.at & ((1 << count) - 1)
        self.at += count
        return value

    def u32(self, choices: _Choices) -> int:
        bits, offset = choices[self.u(2)]
        return self.u(bits) + offset

    def expect(self, *values: int) -> None:
        """Read single bits."""
        if any(self.u(1) != value for value in values):
            raise ValueError("unexpected JPEG XL header")


def _places(bits: _Bits) -> tuple[int, int, int]:
    """Where the flag of the extra fields is, where ToneMapping belongs, where the header ends; in bits."""
    _skip_size(bits)
    bits.expect(0)  # all default
    fields = bits.at
    bits.expect(0)
    _skip_depth(bits)
    bits.u(1)  # whether 16-bit buffers are enough
    for _ in range(bits.u32(((0, 0), (0, 1), (4, 2), (12, 1)))):
        _skip_alpha(bits)
    bits.u(1)  # whether the pixels are XYB
    bits.expect(0, 0)  # the colour is neither all default nor a profile
    bits.u32(_ENUM)  # RGB or grey
    bits.u32(_ENUM)  # white point
    bits.u32(_ENUM)  # primaries
    bits.expect(0)  # no gamma
    if bits.u32(_ENUM) != _LINEAR:
        raise ValueError("unexpected JPEG XL transfer function")
    bits.u32(_ENUM)  # rendering intent
    return fields, bits.at, bits.at + len(_END)


def _skip_size(bits: _Bits) -> None:
    small = bits.u(1)
    for side in range(2):
        if side == 1 and bits.u(3):  # the width is a ratio of the height
            return
        if small:
            bits.u(5)
        else:
            bits.u32(_SIZE)


def _skip_depth(bits: _Bits) -> None:
    bits.expect(1)  # float
    bits.u32(_FLOAT_BITS)
    bits.u(4)


def _skip_alpha(bits: _Bits) -> None:
    if bits.u(1):
        return  # 8 bits, straight
    if bits.u32(_ENUM) != _ALPHA:
        raise ValueError("unexpected JPEG XL channel")
    _skip_depth(bits)
    bits.u32(((0, 0), (0, 3), (0, 4), (3, 1)))
    if bits.u32(((0, 0), (4, 0), (5, 16), (10, 48))):
        raise ValueError("unexpected JPEG XL channel")
    bits.u(1)  # associated
