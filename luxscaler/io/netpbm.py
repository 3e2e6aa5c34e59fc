"""PBM, PGM, PPM, PAM and PFM: a line or two of text, then samples, so they are read by hand.

Pillow takes PPM of 16 bits for 8, OpenImageIO has no PAM. Integers are taken for sRGB, as every viewer does,
PFM for linear light. Sources: the Netpbm manual pages pbm(5), pgm(5), ppm(5), pam(5), pfm(5).
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import LINEAR_ASSUMED, SRGB_ASSUMED
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.words import counted

_MAX_HEADER = 1 << 14
_WORD = re.compile(rb"(?:\s|#[^\n\r]*[\n\r])*([^\s#]+)")
_PLAIN, _BITMAPS, _FLOATS = (b"P1", b"P2", b"P3"), (b"P1", b"P4"), (b"PF", b"Pf")
_CHANNELS = {b"P1": 1, b"P4": 1, b"P2": 1, b"P5": 1, b"P3": 3, b"P6": 3, b"PF": 3, b"Pf": 1}
_MAX_VALUE = 65535
_MAX_SIDE = 2**24


@dataclass(frozen=True)
class _Head:
    magic: bytes
    width: int
    height: int
    channels: int
    top: int
    """The sample value of white; 1 for bitmaps."""
    order: str
    """Of float samples, "<" or ">"."""
    start: int
    """Where the samples begin."""


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header."""
    head = _head(stream)
    is_float = head.magic in _FLOATS
    return FileInfo(
        format="pnm",
        width=head.width,
        height=head.height,
        bits=32 if is_float else _bits(head.top),
        channels=head.channels,
        coding=LINEAR_ASSUMED if is_float else SRGB_ASSUMED,
        is_float=is_float,
        alpha=Alpha.STRAIGHT if head.channels in (2, 4) else Alpha.NONE,
        inverted=head.magic in _BITMAPS,
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Read the samples; values over another maximum than 2^n - 1 are stretched to 16 bits."""
    head = _head(stream)
    shape = (head.height, head.width, head.channels)
    count = head.height * head.width * head.channels
    stream.seek(head.start)
    if head.magic in _FLOATS:
        _skip_line_feed(stream, head, count)
        return np.asarray(_binary(stream, head.order + "f4", count).reshape(shape)[::-1], np.float32)
    if head.magic == b"P4":
        rows = _binary(stream, "u1", head.height * -(-head.width // 8)).reshape(head.height, -1)
        return np.unpackbits(rows, axis=1, count=head.width)[..., None]
    if head.magic in _PLAIN:
        samples = _text(stream, count, one_digit=head.magic == b"P1").reshape(shape)
    else:
        samples = _binary(stream, "u1" if head.top < 256 else ">u2", count).reshape(shape)
    if int(samples.max()) > head.top:
        raise PictureError(f"is damaged: it has values over its maximum, {head.top}")
    if head.top != 2**info.bits - 1:
        return np.rint(samples * (_MAX_VALUE / head.top)).astype(np.uint16)
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def _bits(top: int) -> int:
    bits = top.bit_length()
    return bits if top == 2**bits - 1 else 16


def _head(stream: BinaryIO) -> _Head:
    stream.seek(0)
    data = stream.read(_MAX_HEADER)
    magic = data[:2]
    if magic == b"P7":
        return _pam_head(data)
    words, at = [], 2
    for _ in range(2 if magic in _BITMAPS else 3):
        found = _WORD.match(data, at)
        if found is None:
            raise PictureError("has a damaged Netpbm header, or is truncated within it")
        words.append(found[1])
        at = found.end()
    scale = words[2] if len(words) > 2 else b"1"
    try:
        width, height = int(words[0]), int(words[1])
        top, order = (1, "<" if float(scale) < 0 else ">") if magic in _FLOATS else (int(scale), "")
    except ValueError as error:
        raise PictureError("has a damaged Netpbm header: a number is expected") from error
    return _checked(_Head(magic, width, height, _CHANNELS[magic], top, order, at + 1))


def _pam_head(data: bytes) -> _Head:
    lines, end, _ = data.partition(b"ENDHDR\n")
    if not end:
        raise PictureError("has a damaged PAM header: it has no ENDHDR")
    pairs = (line.split() for line in lines.splitlines()[1:])
    fields = {pair[0]: pair[1] for pair in pairs if len(pair) >= 2 and not pair[0].startswith(b"#")}
    try:
        width, height, depth, top = (int(fields[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"))
    except (KeyError, ValueError) as error:
        raise PictureError("has a damaged PAM header: WIDTH, HEIGHT, DEPTH and MAXVAL are needed") from error
    if depth not in (1, 2, 3, 4):
        raise PictureError(f"is a PAM of {counted(depth, 'channel')}, 1 to 4 are supported")
    return _checked(_Head(b"P7", width, height, depth, top, "", len(lines) + len(end)))


def _checked(head: _Head) -> _Head:
    if not (0 < head.width < _MAX_SIDE and 0 < head.height < _MAX_SIDE and 0 < head.top <= _MAX_VALUE):
        raise PictureError(
            f"has a damaged Netpbm header: {head.width} × {head.height}, values up to {head.top}"
        )
    return head


def _binary(stream: BinaryIO, dtype: str, count: int) -> Samples:
    size = count * np.dtype(dtype).itemsize
    data = stream.read(size)
    if len(data) < size:
        raise PictureError(f"is truncated: it has {len(data):,} of {size:,} bytes of samples")
    return np.frombuffer(data, dtype)


def _skip_line_feed(stream: BinaryIO, head: _Head, count: int) -> None:
    """Move behind the second byte of a header's last line break, where lines end in two: the file then has a
    byte more than its samples take.
    """
    end = stream.seek(0, 2)
    stream.seek(head.start - 1)
    if stream.read(2) != b"\r\n" or end - head.start != 4 * count + 1:
        stream.seek(head.start)


def _text(stream: BinaryIO, count: int, *, one_digit: bool) -> Samples:
    text = re.sub(rb"#[^\n\r]*", b" ", stream.read())
    if one_digit:  # bits need no space between them
        text = b" ".join(bytes([digit]) for digit in b"".join(text.split()))
    try:
        numbers = np.array(text.split()[:count], np.uint32)
    except (ValueError, OverflowError) as error:
        raise PictureError("is damaged: a sample is no number") from error
    if len(numbers) < count:
        raise PictureError(f"is truncated: it has {len(numbers):,} of {count:,} samples")
    return numbers.astype(np.uint16 if numbers.max() <= _MAX_VALUE else np.uint32)
