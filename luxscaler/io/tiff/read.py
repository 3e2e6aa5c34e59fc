"""TIFF through tifffile, which keeps every bit depth and float.

One page is read, the first that is a full picture (pages.py).
Colours other than grey, RGB, palette and CMYK, and some compressions, are left to special_kinds.py. Baseline:
TIFF 6.0; associated alpha: section 18.
"""

import logging
import zlib
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import tifffile

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import CMYK_ASSUMED, CMYK_NOTICE, ColorCoding
from luxscaler.io.decoder import Alpha, FileInfo, Samples, colors_and_alpha, with_channels
from luxscaler.io.exif.read import Metadata, from_tiff, with_more
from luxscaler.io.icc import profile_or_assumed
from luxscaler.io.tiff import special_kinds
from luxscaler.io.tiff.alpha import alpha_of, declared_alpha
from luxscaler.io.tiff.pages import main_page
from luxscaler.words import counted, printable

# tifffile logs what it repairs; without a handler, that would appear on standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_PHOTOMETRIC = tifffile.PHOTOMETRIC
_COLOR_CHANNELS: dict[int, int] = {
    _PHOTOMETRIC.MINISWHITE: 1,
    _PHOTOMETRIC.MINISBLACK: 1,
    _PHOTOMETRIC.RGB: 3,
    _PHOTOMETRIC.PALETTE: 3,
    _PHOTOMETRIC.SEPARATED: 4,
    _PHOTOMETRIC.YCBCR: 3,
    **dict.fromkeys(special_kinds.COLORS, 3),
    _PHOTOMETRIC.LOGL: 1,
}
_DEFLATE = {8, 32946}
_BLOCK = 1 << 18
_ORIENTATION, _ICC_PROFILE, _XMP, _IPTC = 274, 34675, 700, 33723
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
# More channels than any picture has; a damaged header asks for up to 65535, each of which takes memory.
_MAX_CHANNELS = 16
_USUAL_CHANNELS = 5
_INTEGER_BITS = range(1, 33)
_WIDE_BITS = 64
"""The upper half of such integers is read."""
_INK_SET, _INK_NAMES, _OTHER_INKS = 332, 333, 2
_GEO_TAGS = (33550, 33922, 34264, 34735)
"""GeoTIFF: the size of a pixel, tie points, a matrix, keys."""
_GDAL_NO_DATA = 42113
_MOST_SAID = 40
_SIGNED_NOTICE = "signed integers: 0 is black, the largest is white; negative values become black"


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the directory of the page. Raises PictureError for a layout that is not supported."""
    with main_page(stream) as (page, place):
        _check_layout(page)
        color = _COLOR_CHANNELS[page.photometric]
        alpha, notices = alpha_of(page, color)
        special = special_kinds.kind_of(page)
        bits, is_float, more = _depth(page) if special is None else (special.bits, special.is_float, ())
        source_bits = None if special is None else special.source_bits
        if place.above is not None and special is not None and special.by_libtiff:
            raise PictureError("has its picture below page 1, in a coding that is not supported there")
        if special is not None and special.coding is not None:
            coding = special.coding
        else:
            coding, said = _coding(page, color, is_float=is_float)
            more += said
        if special is not None and alpha is Alpha.ASSOCIATED:  # of Lab, which becomes straight
            alpha = Alpha.STRAIGHT
        if page.photometric == _PHOTOMETRIC.SEPARATED and coding.icc is None:
            coding, more = CMYK_ASSUMED, (*more, CMYK_NOTICE)
        notices += place.notices
        tag = page.tags.get(_ORIENTATION) or (place.above or page).tags.get(_ORIENTATION)
        orientation = tag.value if tag is not None and isinstance(tag.value, int) else 1
        return FileInfo(
            format="tiff",
            width=page.imagewidth,
            height=page.imagelength,
            bits=bits,
            channels=color + (alpha is not Alpha.NONE),
            coding=coding,
            is_float=is_float,
            source_bits=source_bits,
            alpha=alpha,
            orientation=orientation if 1 <= orientation <= 8 else 1,
            inverted=page.photometric == _PHOTOMETRIC.MINISWHITE,
            decoded_pixels=_decoded_pixels(page),
            subimage=place.index,
            is_plain=place.above is None
            and (alpha is Alpha.NONE or bool(page.extrasamples and page.extrasamples[0])),
            notices=notices + more,
            metadata=_metadata(stream, place.above or page),
        )


def _metadata(stream: BinaryIO, page: tifffile.TiffPage) -> Metadata:
    """Tags, EXIF, XMP and IPTC; the shape of pixels, where the resolution has no unit."""
    x, y = (_ratio(page.tags.valueof(tag)) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    aspect = y / x if page.tags.valueof(_RESOLUTION_UNIT) == 1 and x > 0 and y > 0 else 1.0
    xmp, iptc = (page.tags.valueof(tag) for tag in (_XMP, _IPTC))
    if isinstance(iptc, tuple):  # as 32-bit numbers, which some programs write
        iptc = np.asarray(iptc, "<u4").tobytes().rstrip(b"\0")
    found = from_tiff(stream, page.offset)
    return with_more(
        replace(found, notices=found.notices + _map_notices(page)),
        xmp=xmp if isinstance(xmp, bytes) else None,
        iptc=iptc if isinstance(iptc, bytes) else None,
        pixel_aspect=aspect,
    )


def _map_notices(page: tifffile.TiffPage) -> tuple[str, ...]:
    """What is to be said of a map: where it lies is not handed on, and places without data are no light."""
    said: tuple[str, ...] = ()
    if any(tag in page.tags for tag in _GEO_TAGS):
        said += ("GeoTIFF tags are left out: the result does not say where on earth it lies",)
    missing = page.tags.valueof(_GDAL_NO_DATA)
    if isinstance(missing, str) and missing.strip("\0 "):
        said += (f"the value for missing data, {printable(missing.strip())[:_MOST_SAID]}, is read as light",)
    return said


def _ratio(value: object) -> float:
    if not isinstance(value, tuple) or len(value) != 2 or not value[1]:
        return 0.0
    return float(value[0]) / float(value[1])


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """Decode the page. Raises PictureError where a strip or tile is missing or cut off.

    The check is made here because JPEG strips that are cut off decode to grey without an error.
    """
    with main_page(stream) as (page, place):
        end = stream.seek(0, 2)
        for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
            if size == 0 or offset + size > end:
                raise PictureError("is truncated: a strip or tile of the TIFF lies beyond its end")
        special = special_kinds.kind_of(page)
        array = page.asarray(maxworkers=1) if special is None else special.samples(stream, page, place.index)
        if page.photometric == _PHOTOMETRIC.PALETTE:
            return _expanded(page, array)
        if special is None and array.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            array = np.moveaxis(array, 0, -1)
        color = _COLOR_CHANNELS[page.photometric]
        samples = colors_and_alpha(with_channels(array), info, declared_alpha(page, color)[1])
    if info.is_float:
        return np.asarray(samples, np.float32)
    if samples.dtype == np.bool_:
        return samples.view(np.uint8)
    if samples.dtype.kind == "i":
        samples = np.maximum(samples, 0).view(samples.dtype.str.replace("i", "u"))
    if samples.dtype.itemsize == 8:
        samples = (samples >> np.uint64(32)).astype(np.uint32)
    return samples.astype(samples.dtype.newbyteorder("="), copy=False)


def check_deflate(stream: BinaryIO) -> None:
    """Raise PictureError where a zlib checksum of the page is wrong; libtiff does not check them."""
    with main_page(stream) as (page, _):
        if page.compression not in _DEFLATE:
            return
        for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
            stream.seek(offset)
            _inflate(stream, size)


def _inflate(stream: BinaryIO, size: int) -> None:
    inflate = zlib.decompressobj()
    try:
        while size > 0 and not inflate.eof:
            data = stream.read(min(size, _BLOCK))
            size -= len(data) or size
            more = True
            while more and not inflate.eof:
                more = len(inflate.decompress(data, _BLOCK)) == _BLOCK
                data = inflate.unconsumed_tail
    except zlib.error as error:
        raise PictureError(f"is damaged: {error}") from error
    if not inflate.eof:
        raise PictureError("is damaged: compressed data is missing")


def _check_layout(page: tifffile.TiffPage) -> None:
    if page.photometric not in _COLOR_CHANNELS:
        name = getattr(page.photometric, "name", page.photometric)
        raise PictureError(f"has the TIFF colour type {name}, which is not supported")
    if page.compression not in special_kinds.LIBTIFF:
        _check_compression(page)
    if (page.bitspersample, page.predictor) == (24, tifffile.PREDICTOR.FLOATINGPOINT):
        raise PictureError("has floats of 24 bits with the TIFF predictor 3, which is not supported")
    if page.imagewidth < 1 or page.imagelength < 1 or page.imagedepth != 1:
        size = f"{page.imagewidth} × {page.imagelength} × {page.imagedepth}"
        raise PictureError(f"has the TIFF size {size}, which is not a picture")
    if page.photometric == _PHOTOMETRIC.SEPARATED and page.tags.valueof(_INK_SET) == _OTHER_INKS:
        _check_inks(page)
    needed = 1 if page.photometric == _PHOTOMETRIC.PALETTE else _COLOR_CHANNELS[page.photometric]
    if not needed <= page.samplesperpixel <= _MAX_CHANNELS:
        raise PictureError(
            f"has {counted(page.samplesperpixel, 'channel')}, {needed} to {_MAX_CHANNELS} are supported"
        )


def _check_inks(page: tifffile.TiffPage) -> None:
    """Raise PictureError where the first inks are not cyan, magenta, yellow and black."""
    value = page.tags.valueof(_INK_NAMES)
    names = [name.strip() for name in value.split("\0")] if isinstance(value, str) else []
    initials = "".join(name[:1].upper() for name in names[:4])
    if initials not in ("CMYK", "CMYB"):
        found = f": {printable(', '.join(names))[:_MOST_SAID]}" if names else ""
        raise PictureError(
            f"has inks other than cyan, magenta, yellow and black{found}, which is not supported"
        )


def _check_compression(page: tifffile.TiffPage) -> None:
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except (KeyError, ImportError, AttributeError) as error:
        name = getattr(page.compression, "name", page.compression)
        raise PictureError(f"has the TIFF compression {name}, which is not supported") from error


def _depth(page: tifffile.TiffPage) -> tuple[int, bool, tuple[str, ...]]:
    """Bits per sample as they are handed on, whether they are float, and notices."""
    kind = page.dtype.kind if page.dtype is not None else "?"
    stored = page.bitspersample
    if page.photometric == _PHOTOMETRIC.PALETTE:
        return _palette(page).itemsize * 8, False, ()
    if kind == "f":
        return int(stored), True, ()
    if kind in "ub" and stored in _INTEGER_BITS:
        return int(stored), False, ()
    if kind in "ui" and stored == _WIDE_BITS:
        return 32 if kind == "u" else 31, False, (_SIGNED_NOTICE,) if kind == "i" else ()
    if kind == "i" and stored in (8, 16, 32):
        return int(stored) - 1, False, (_SIGNED_NOTICE,)
    raise PictureError(
        f"has TIFF samples of {stored} bits of type {page.dtype or 'unknown'}, which is not supported"
    )


def _decoded_pixels(page: tifffile.TiffPage) -> int:
    """What tifffile allocates: all channels, and a tile that may be larger than the picture."""
    pixels = max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength)
    return pixels * -(-page.samplesperpixel // _USUAL_CHANNELS)


def _coding(page: tifffile.TiffPage, channels: int, *, is_float: bool) -> tuple[ColorCoding, tuple[str, ...]]:
    tag = page.tags.get(_ICC_PROFILE)
    return profile_or_assumed(None if tag is None else bytes(tag.value), channels, is_float=is_float)


def _palette(page: tifffile.TiffPage) -> Samples:
    """The (entries, 3) palette; uint8 where its 16-bit values are bytes, shifted or repeated."""
    palette = np.asarray(page.colormap, np.uint16).T
    high, low = palette >> 8, palette & 0xFF
    return high.astype(np.uint8) if not low.any() or (low == high).all() else np.ascontiguousarray(palette)


def _expanded(page: tifffile.TiffPage, indices: Samples) -> Samples:
    """Palette indices to RGB."""
    palette = _palette(page)
    if indices.dtype == np.bool_:
        indices = indices.view(np.uint8)
    if int(indices.max()) >= len(palette):
        raise PictureError("has palette indices beyond its palette")
    return palette[indices if indices.ndim == 2 else indices[..., 0]]
