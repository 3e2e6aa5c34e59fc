"""BMP through Pillow; what Pillow does not read, by hand.

By hand are bit fields with unusual masks (Windows' BITMAPV4HEADER) and the ICC profile of a BITMAPV5HEADER.
"""

import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import SRGB_ASSUMED
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.icc import MAX_PROFILE_BYTES, profile_coding
from luxscaler.io.pillow_format import PillowFormat

_BIT_FIELDS = (3, 6)
_FILE_HEADER, _SHORT_HEADER, _LONG_HEADER = 14, 40, 124
_EMBEDDED = b"DEBM"
"""PROFILE_EMBEDDED, little-endian."""
_PILLOW = PillowFormat("bmp", BmpImagePlugin.BmpImageFile)


@dataclass(frozen=True)
class _Fields:
    width: int
    height: int
    """Negative where the first row is the upper one."""
    bits: int
    masks: tuple[int, ...]
    start: int


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header. Raises PictureError, or what Pillow raises."""
    fields = _fields(stream)
    if not _has_small_alpha(fields):
        try:
            return _with_profile(stream, _PILLOW.read_info(stream))
        except OSError:
            if fields is None:
                raise
    assert fields is not None  # noqa: S101
    alpha = len(fields.masks) == 4
    info = FileInfo(
        format="bmp",
        width=fields.width,
        height=abs(fields.height),
        bits=8,
        channels=3 + alpha,
        coding=SRGB_ASSUMED,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
    )
    return _with_profile(stream, info)


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels) uint8; fields of other depths are stretched to 0 … 255."""
    fields = _fields(stream)
    if not _has_small_alpha(fields):
        try:
            return _PILLOW.read_samples(stream, info)
        except OSError:
            if fields is None:
                raise
    assert fields is not None  # noqa: S101
    row_bytes = -(-info.width * fields.bits // 32) * 4
    stream.seek(fields.start)
    data = stream.read(row_bytes * info.height)
    if len(data) < row_bytes * info.height:
        raise PictureError(
            f"is truncated: it has {len(data):,} of {row_bytes * info.height:,} bytes of pixels"
        )
    words = np.frombuffer(data, f"<u{fields.bits // 8}").reshape(info.height, -1)[:, : info.width]
    samples = np.empty((info.height, info.width, info.channels), np.uint8)
    for channel, mask in enumerate(fields.masks):
        lowest = mask & -mask
        samples[..., channel] = np.rint((words & mask) // lowest * (255 / (mask // lowest)))
    return samples if fields.height < 0 else samples[::-1]


def _has_small_alpha(fields: _Fields | None) -> bool:
    """Whether there is an alpha of few bits, which Pillow leaves out."""
    return fields is not None and fields.bits == 16 and len(fields.masks) == 4


def _with_profile(stream: BinaryIO, info: FileInfo) -> FileInfo:
    """The info with the colours of the ICC profile that a BITMAPV5HEADER may name."""
    stream.seek(_FILE_HEADER)
    head = stream.read(_LONG_HEADER)
    if len(head) < _LONG_HEADER or head[:4] != _LONG_HEADER.to_bytes(4, "little") or head[56:60] != _EMBEDDED:
        return info
    place, size = struct.unpack_from("<II", head, 112)
    stream.seek(_FILE_HEADER + place)
    profile = stream.read(min(size, MAX_PROFILE_BYTES + 1))
    coding, notices = profile_coding(profile, info.channels - (info.alpha is not Alpha.NONE))
    return replace(info, coding=coding or info.coding, notices=info.notices + notices)


def _fields(stream: BinaryIO) -> _Fields | None:
    """What the header says, if the pixels are bit fields of 16 or 32 bits with a mask for every colour."""
    stream.seek(0)
    head = stream.read(_FILE_HEADER + _SHORT_HEADER + 16)
    if len(head) < _FILE_HEADER + _SHORT_HEADER + 16:
        return None
    start, size, width, height, _, bits, kind = struct.unpack_from("<IIiiHHI", head, 10)
    masks = struct.unpack_from("<4I", head, _FILE_HEADER + _SHORT_HEADER)
    if size <= _SHORT_HEADER + 12 and kind == _BIT_FIELDS[0]:
        masks = masks[:3]
    masks = masks if masks[-1] else masks[:3]
    usable = kind in _BIT_FIELDS and bits in (16, 32) and all(0 < mask < 1 << bits for mask in masks)
    return _Fields(width, height, bits, masks, start) if usable and width > 0 and height else None
