"""PNG: colour chunks by hand, pixels by libpng (imagecodecs), which keeps 16 bits and expands tRNS.

Precedence of the colour chunks: cICP, iCCP, sRGB, gAMA with cHRM (PNG specification, third edition, section
4.3). A chunk that says nothing usable leaves the next one in force: a cICP whose code points are unspecified
or unknown, a damaged profile, a gAMA of no picture. CRCs are checked, here and by libpng; a chunk that says
nothing of pixels may be wrong, with a notice.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

import imagecodecs

from luxscaler.color import REC709, Floats, Primaries, decode_gamma, decode_srgb
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import (
    ADOBE_RGB_EXIF,
    SRGB_ASSUMED,
    ColorCoding,
    from_chromaticities,
    from_cicp,
    keep_linear,
    knows_cicp,
)
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.exif.read import Marks, Metadata, Resolution, from_exif, read_marks, resolution, with_more
from luxscaler.io.icc import MAX_PROFILE_BYTES, profile_coding
from luxscaler.io.png.texts import ReadTexts, read_texts
from luxscaler.io.unpacking import UnpackError, inflated
from luxscaler.words import counted

_SIGNATURE_BYTES = 8
_END = b"\0\0\0\0IEND\xaeB`\x82"
# imagecodecs takes some of libpng's messages from memory that is used again by then: those are left out.
_LIBPNG_MESSAGE = re.compile(r"[A-Za-z]{4}: [ -~]{1,100}")
_KEPT_CHUNKS = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"tRNS", b"acTL", b"pHYs"}
# Chunks that are kept are small; a larger one is damaged, or an attack.
_MAX_CHUNK = MAX_PROFILE_BYTES
_COLOR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_ALPHA_TYPES = {4, 6}
_PALETTE = 3
# What encoders write for sRGB pictures (section 11.3.2.2): the sRGB curve is meant, not a power of 2.2.
_SRGB_GAMA = 45455
_LINEAR_GAMA = 100000
_GAMA_LIMITS = (10_000, 1_000_000)
"""Exponents from 10 to 1/10 of displays: beyond them nearly all of a picture is black, or white."""
_OTHER_COLORS = (b"iCCP", b"sRGB", b"gAMA", b"cHRM")


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the chunks up to the last, skipping the pixels."""
    stream.seek(_SIGNATURE_BYTES)
    head = stream.read(8 + 13)
    if head[4:8] == b"CgBI":
        raise PictureError("is a PNG of Apple's own kind (CgBI), which is not supported")
    if len(head) < 21 or head[4:8] != b"IHDR":
        raise PictureError("is truncated: there is no PNG header")
    width, height, bits, kind = struct.unpack_from(">IIBB", head, 8)
    if width < 1 or height < 1 or kind not in _COLOR_CHANNELS or bits not in (1, 2, 4, 8, 16):
        raise PictureError(f"has a damaged PNG header: {width} × {height}, {bits} bits, colour type {kind}")
    chunks, notices = _kept_chunks(stream)
    alpha = kind in _ALPHA_TYPES or b"tRNS" in chunks
    texts = read_texts(_chunks(stream), stream)
    exif = chunks.get(b"eXIf") or texts.exif
    marks = read_marks(exif)
    # libpng expands palettes and small samples to 8 bits.
    bits = 16 if bits == 16 else 8
    coding, more = _coding(chunks, marks, bits, _COLOR_CHANNELS[kind])
    notices += more
    if b"acTL" in chunks:
        notices = (*notices, "an animation: the first picture is read")
    return FileInfo(
        format="png",
        width=width,
        height=height,
        bits=bits,
        channels=_COLOR_CHANNELS[kind] + alpha,
        coding=coding,
        alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
        orientation=marks.orientation,
        notices=notices + texts.notices,
        metadata=_metadata(chunks.get(b"pHYs", b""), exif, texts),
    )


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode with libpng. Raises PictureError for damage, and where rows are missing."""
    chunks = _pixel_chunks(stream)
    try:
        samples = with_channels(imagecodecs.png_decode(chunks))
    except (imagecodecs.PngError, UnicodeDecodeError) as error:
        said = str(error)
        reason = said if _LIBPNG_MESSAGE.fullmatch(said) else "libpng cannot decode it"
        raise PictureError(f"is damaged: {reason}") from error
    if info.alpha is not Alpha.NONE and samples.shape[2] == info.channels - 1:
        raise PictureError("has a tRNS chunk that libpng does not accept")
    return samples


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the name and size of every whole chunk; the stream stands at its data."""
    end = stream.seek(0, 2)
    position = _SIGNATURE_BYTES
    while position + 12 <= end:
        stream.seek(position)
        size, name = struct.unpack(">I4s", stream.read(8))
        position += 12 + size
        if position > end:
            return
        yield name, size
        if name == b"IEND":
            return


def _pixel_chunks(stream: BinaryIO) -> bytes:
    """The file without the chunks that say nothing about pixels: libpng prints what it dislikes in those."""
    stream.seek(0)
    parts = [stream.read(_SIGNATURE_BYTES)]
    name = b""
    for name, size in _chunks(stream):
        is_critical = not name[0] & 0x20
        if is_critical or name == b"tRNS":
            stream.seek(-8, os.SEEK_CUR)
            parts.append(stream.read(12 + size))
    if name != b"IEND":
        parts.append(_END)  # if all rows are there, nothing is lost
    return b"".join(parts)


def _kept_chunks(stream: BinaryIO) -> tuple[dict[bytes, bytes], tuple[str, ...]]:
    """The first of each kind of chunk that says something about the whole picture, and notices.

    One with a wrong checksum is left out, as libpng does; of transparency, that is an error.
    """
    kept: dict[bytes, bytes] = {}
    notices: tuple[str, ...] = ()
    name = b""
    for name, size in _chunks(stream):
        if name in _KEPT_CHUNKS and name not in kept and size <= _MAX_CHUNK:
            data, checksum = stream.read(size), stream.read(4)
            if zlib.crc32(name + data) == int.from_bytes(checksum, "big"):
                kept[name] = data
            elif name == b"tRNS":
                raise PictureError("is damaged: CRC error in its tRNS chunk")
            else:
                notices += (f"the {name.decode()} chunk has a wrong checksum; it is ignored",)
    if name != b"IEND":
        notices += ("the file ends without its end marker",)
    return kept, notices


def _coding(
    chunks: dict[bytes, bytes], marks: Marks, bits: int, channels: int
) -> tuple[ColorCoding, tuple[str, ...]]:
    coding, notices = _cicp_coding(chunks, bits)
    if coding is not None:
        return coding, notices
    if b"iCCP" in chunks:
        coding, more = profile_coding(_unpacked_profile(chunks[b"iCCP"]), channels)
        notices += more
        if coding is not None:
            return coding, notices
    if b"sRGB" in chunks:
        return ColorCoding("sRGB"), notices
    if b"gAMA" in chunks or b"cHRM" in chunks:
        coding, more = _gamma_coding(chunks)
        notices += more
        if coding is not None:
            return coding, notices
    return (ADOBE_RGB_EXIF if marks.adobe_rgb else SRGB_ASSUMED), notices


def _cicp_coding(chunks: dict[bytes, bytes], bits: int) -> tuple[ColorCoding | None, tuple[str, ...]]:
    """The coding of the cICP chunk; None where the other colour chunks are to be asked."""
    cicp = chunks.get(b"cICP")
    if cicp is None:
        return None, ()
    if len(cicp) != 4:
        return None, (f"the cICP chunk has {counted(len(cicp), 'byte')} instead of 4; it is ignored",)
    primaries, transfer, matrix, full_range = cicp
    if matrix != 0:
        return None, (f"the cICP chunk asks for matrix {matrix}, which PNG does not allow; it is ignored",)
    others = [name.decode() for name in _OTHER_COLORS if name in chunks]
    if others and not knows_cicp(primaries, transfer):
        return None, (
            f"the cICP chunk has code points that are unspecified or unknown ({primaries}/{transfer}); "
            f"the colours are those of {others[0]}",
        )
    return from_cicp(primaries, transfer, narrow=not full_range, bits=bits)


def _metadata(shape: bytes, exif: bytes | None, read: ReadTexts) -> Metadata:
    """EXIF and resolution, and the shape of pixels where there is none; texts, XMP and IPTC.

    shape: the pHYs chunk.
    """
    aspect = 1.0
    if len(shape) == 9 and shape[8] == 0:
        x, y = struct.unpack(">II", shape[:8])
        aspect = y / x if x and y else 1.0
    known = from_exif(exif, _resolution(shape))
    return with_more(known, xmp=read.xmp, iptc=read.iptc, texts=read.texts, pixel_aspect=aspect)


def _resolution(chunk: bytes) -> Resolution | None:
    if len(chunk) != 9 or chunk[8] != 1:  # 1: per metre; otherwise only the shape of pixels is given
        return None
    x, y = struct.unpack(">II", chunk[:8])
    return resolution(x, y, 0.0254)


def _unpacked_profile(chunk: bytes) -> bytes:
    """The ICC profile of an iCCP chunk, or nothing where it is damaged or unreasonably large."""
    _, _, rest = chunk.partition(b"\0")
    try:
        return inflated(rest[1:], MAX_PROFILE_BYTES)
    except UnpackError:
        return b""


def _gamma_coding(chunks: dict[bytes, bytes]) -> tuple[ColorCoding | None, tuple[str, ...]]:
    """The coding of gAMA and cHRM, of which one may be missing; None where neither says anything usable."""
    curve, name, notices = _gamma_curve(chunks.get(b"gAMA"))
    chrm = chunks.get(b"cHRM", b"")
    if len(chrm) != 32:
        return (None if curve is None else ColorCoding(f"PNG {name}, Rec.709", curve)), notices
    curve = curve or decode_srgb
    values = [value / 100000 for value in struct.unpack(">8I", chrm)]
    white, red, green, blue = zip(values[0::2], values[1::2], strict=True)
    primaries = Primaries(red, green, blue, white)
    if primaries == REC709:
        return ColorCoding(f"PNG {name}, Rec.709", curve), notices
    coding, more = from_chromaticities(f"PNG {name}, cHRM", curve, primaries)
    return coding, notices + more


def _gamma_curve(chunk: bytes | None) -> tuple[Callable[[Floats], Floats] | None, str, tuple[str, ...]]:
    """The curve of gAMA, what to call it, and notices; None where there is no usable one."""
    if chunk is None:
        return None, "sRGB curve", ()
    exponent = int.from_bytes(chunk, "big") if len(chunk) == 4 else 0
    low, high = _GAMA_LIMITS
    if not low <= exponent <= high:
        said = f"the gAMA chunk says {exponent / 100000:g}, which no picture has; it is ignored"
        return None, "sRGB curve", (said,)
    if exponent == _LINEAR_GAMA:
        return keep_linear, "linear", ()
    if exponent == _SRGB_GAMA:
        return decode_srgb, "sRGB curve", ()
    return partial(decode_gamma, gamma=100000 / exponent), f"gamma {100000 / exponent:.4g}", ()
