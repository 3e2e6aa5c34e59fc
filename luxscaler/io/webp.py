"""WebP: read, the RIFF chunks by hand and pixels by libwebp (Pillow); written as the SDR picture for the web.

The header is not left to Pillow because its decoder allocates the canvas when it opens a file, before a
limit could be checked. Source: RFC 9649.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, WebPImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ADOBE_RGB_EXIF, SRGB_ASSUMED, ColorCoding
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.describe import describe
from luxscaler.io.exif.read import Marks, from_exif, read_marks, with_more
from luxscaler.io.frame import Frame
from luxscaler.io.icc import MAX_PROFILE_BYTES, coded_profile, profile_coding
from luxscaler.io.sdr import encode_sdr

_LOSSLESS_EFFORT = 30
"""Of 100; what libwebp calls quality in lossless files."""
_RIFF_BYTES = 12
_KEPT_CHUNKS = {b"VP8X", b"VP8L", b"VP8 ", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF"}
_HEAD_BYTES = 32
_FRAME_BYTES = 16
"""Of the chunk ANMF, before its picture."""
_ALPHA_FLAG = 0x10


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the chunks, skipping the pixels."""
    chunks = _kept_chunks(stream)
    width, height, alpha = _canvas(chunks)
    marks = read_marks(chunks.get(b"EXIF"))
    coding, notices = _coding(chunks, marks)
    if b"ANIM" in chunks:
        notices += ("an animation: the first picture is read",)
        left, top, right, bottom = _covered(chunks, width, height)
        if (right - left, bottom - top) != (width, height):
            size = f"{right - left} × {bottom - top} of the {width} × {height} pixels"
            notices += (f"the first picture has {size}; around it all is clear",)
            alpha = True
    return FileInfo(
        format="webp",
        width=width,
        height=height,
        bits=8,
        channels=3 + alpha,
        coding=coding,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
        orientation=marks.orientation,
        notices=notices,
        metadata=with_more(from_exif(chunks.get(b"EXIF")), xmp=chunks.get(b"XMP ")),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, 3 or 4) uint8. Raises PictureError where the file is shorter than it says."""
    end = stream.seek(0, 2)
    stream.seek(4)
    (size,) = struct.unpack("<I", stream.read(4))
    if size + 8 > end:
        raise PictureError(f"is truncated: the WebP has {end} of {size + 8} bytes")
    stream.seek(0)
    image = WebPImagePlugin.WebPImageFile(stream)
    image.load()
    if info.alpha is Alpha.NONE:
        return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if image.mode == "RGBA":
        return np.asarray(image)
    # Pillow makes the bare canvas of an animation black where the file announces no alpha; browsers do not.
    left, top, right, bottom = _covered(_kept_chunks(stream), info.width, info.height)
    canvas = np.zeros((info.height, info.width, 4), np.uint8)
    canvas[top:bottom, left:right, :3] = np.asarray(image)[top:bottom, left:right]
    canvas[top:bottom, left:right, 3] = 255
    return canvas


def write_webp(path: Path, frame: Frame) -> None:
    """Write lossy 8-bit codes of an ICC profile, sRGB unless another is asked for; alpha lossless.

    Grey is written lossless: decoders of lossy files round green differently from red and blue, which tints
    some greys. Raises OSError and ValueError, as Pillow does.
    """
    image = Image.fromarray(encode_sdr(frame, np.dtype(np.uint8)))
    how = {"lossless": True, "quality": _LOSSLESS_EFFORT} if frame.is_grey else {}
    how = {"quality": frame.options.webp_quality, **how}
    profile = coded_profile(frame.profile)
    image.save(path, "WEBP", exif=describe(frame), xmp=frame.inherited.xmp or b"", icc_profile=profile, **how)


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the name and size of every chunk; the stream stands at its data, which may be cut off."""
    end = stream.seek(0, 2)
    position = _RIFF_BYTES
    while position + 8 <= end:
        stream.seek(position)
        name, size = struct.unpack("<4sI", stream.read(8))
        yield name, size
        position += 8 + size + size % 2


def _kept_chunks(stream: BinaryIO) -> dict[bytes, bytes]:
    kept: dict[bytes, bytes] = {}
    for name, size in _chunks(stream):
        if name in _KEPT_CHUNKS and name not in kept:
            limit = MAX_PROFILE_BYTES + 1 if name in (b"ICCP", b"EXIF", b"XMP ") else _HEAD_BYTES
            kept[name] = stream.read(min(size, limit))
    return kept


def _canvas(chunks: dict[bytes, bytes]) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, from the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    try:
        if b"VP8X" in chunks:
            flags, width, height = chunks[b"VP8X"][0], chunks[b"VP8X"][4:7], chunks[b"VP8X"][7:10]
            if len(height) < 3:
                raise PictureError("is truncated: there is no WebP header")
            size = (int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1)
            return *size, bool(flags & _ALPHA_FLAG)
        if b"VP8L" in chunks:
            (packed,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
            return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1, bool(packed >> 28 & 1)
        width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
    except (KeyError, IndexError, struct.error) as error:
        raise PictureError("is truncated: there is no WebP header") from error
    return width & 0x3FFF, height & 0x3FFF, False


def _covered(chunks: dict[bytes, bytes], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the first picture of an animation (RFC 9649, 2.7.1.1); else the canvas.

    Raises PictureError where it lies beyond the canvas.
    """
    head = chunks.get(b"ANMF", b"")
    if len(head) < _FRAME_BYTES:
        return 0, 0, width, height
    x, y, across, down = (int.from_bytes(head[at : at + 3], "little") for at in range(0, 12, 3))
    left, top = 2 * x, 2 * y
    right, bottom = left + across + 1, top + down + 1
    if right > width or bottom > height:
        size = f"{left} to {right} × {top} to {bottom}, of {width} × {height}"
        raise PictureError(f"is damaged: the first picture of the WebP lies beyond its canvas ({size})")
    return left, top, right, bottom


def _coding(chunks: dict[bytes, bytes], marks: Marks) -> tuple[ColorCoding, tuple[str, ...]]:
    notices: tuple[str, ...] = ()
    if b"ICCP" in chunks:
        coding, notices = profile_coding(chunks[b"ICCP"], 3)
        if coding is not None:
            return coding, notices
    return (ADOBE_RGB_EXIF if marks.adobe_rgb else SRGB_ASSUMED), notices
