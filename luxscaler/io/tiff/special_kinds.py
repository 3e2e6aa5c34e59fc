"""TIFF pictures that tifffile does not decode to grey, RGB or CMYK: by libtiff, or by formula.

- CCITT fax, old-style JPEG, YCbCr outside JPEG: libtiff (imagecodecs), as bilevel or 8-bit RGB. The fax
  decoder that tifffile calls goes wrong in the middle of some pictures without an error.
- LogLuv and LogL: libtiff, which gives CIE XYZ or luminance; white is that of equal energy, as it has it.
- CIELab and ICCLab: from their definitions (TIFF 6.0, section 23; Adobe's TIFF Technical Notes, 2002); white
  is D50.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
import tifffile

from luxscaler.color import EQUAL_ENERGY, Point, apply_matrix, xyz_to_rec709
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ColorCoding, keep_linear
from luxscaler.io.decoder import Samples, with_channels
from luxscaler.words import counted

_PHOTOMETRIC, _COMPRESSION = tifffile.PHOTOMETRIC, tifffile.COMPRESSION
COLORS = (_PHOTOMETRIC.CIELAB, _PHOTOMETRIC.ICCLAB, _PHOTOMETRIC.LOGLUV)
"""Colour types of three channels that are read here."""
_FAX = {_COMPRESSION.CCITTRLE, _COMPRESSION.CCITTFAX3, _COMPRESSION.CCITTFAX4, _COMPRESSION.CCIRLEW}
_JPEG = {_COMPRESSION.JPEG, _COMPRESSION.JPEG_LOSSY, _COMPRESSION.ALT_JPEG}
LIBTIFF = {*_FAX, _COMPRESSION.OJPEG, _COMPRESSION.SGILOG, _COMPRESSION.SGILOG24}
"""Compressions that libtiff reads here."""
_ORIENTATION = 274
_MIRRORED = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
"""Steps of rows and columns; libtiff turns nothing by a quarter."""
_D50: Point = (0.3457, 0.3585)
_LAB_EPSILON, _LAB_KAPPA = 216 / 24389, 24389 / 27


@dataclass(frozen=True)
class Kind:
    """How such a page is read."""

    bits: int
    samples: Callable[[BinaryIO, tifffile.TiffPage, int], Samples]
    """Stream, page and its number to (height, width, channels), as FileInfo describes them."""
    is_float: bool = False
    source_bits: int | None = None
    coding: ColorCoding | None = None
    """None: what the page says, as for any other."""
    by_libtiff: bool = True
    """Whether libtiff reads it, which finds a page by its number in the file's chain of pages."""


def kind_of(page: tifffile.TiffPage) -> Kind | None:
    """How to read the page; None for one that tifffile decodes. Raises PictureError for an odd depth."""
    color, packing = _PHOTOMETRIC(page.photometric), page.compression
    if color in (_PHOTOMETRIC.LOGLUV, _PHOTOMETRIC.LOGL):
        return Kind(32, _log_samples, is_float=True, coding=ColorCoding(f"TIFF {color.name}", keep_linear))
    if color in (_PHOTOMETRIC.CIELAB, _PHOTOMETRIC.ICCLAB):
        if page.bitspersample not in (8, 16):
            raise PictureError(
                f"is {color.name} of {counted(page.bitspersample, 'bit')} in a TIFF, which is not supported"
            )
        bits, coding = page.bitspersample, ColorCoding(color.name, keep_linear)
        return Kind(bits, _lab_samples, True, bits, coding, by_libtiff=False)
    if packing in _FAX:
        return Kind(1, _fax_samples)
    if packing == _COMPRESSION.OJPEG or (color == _PHOTOMETRIC.YCBCR and packing not in _JPEG):
        if page.bitspersample != 8:
            raise PictureError(f"is a TIFF in YCbCr of {counted(page.bitspersample, 'bit')}, not 8")
        if color == _PHOTOMETRIC.YCBCR and page.samplesperpixel != 3:
            raise PictureError(f"is a TIFF in YCbCr of {counted(page.samplesperpixel, 'channel')}, not 3")
        return Kind(8, _rgb_samples)
    return None


def _decoded(stream: BinaryIO, page: tifffile.TiffPage, index: int, **options: Any) -> Samples:
    stream.seek(0)
    samples = imagecodecs.tiff_decode(stream.read(), index=index, **options)
    if samples.shape[:2] != (page.imagelength, page.imagewidth):
        raise PictureError("is damaged: libtiff decodes it to another size than its header says")
    return with_channels(samples)


def _fax_samples(stream: BinaryIO, page: tifffile.TiffPage, index: int) -> Samples:
    """Bilevel, 1 is set."""
    samples = _decoded(stream, page, index)
    return samples.astype(np.uint8) & 1


def _rgb_samples(stream: BinaryIO, page: tifffile.TiffPage, index: int) -> Samples:
    """RGB, or grey, as stored: libtiff has mirrored it by its orientation, which is undone."""
    samples = _decoded(stream, page, index, asrgb=True)[..., : 1 if page.photometric in (0, 1) else 3]
    tag = page.tags.get(_ORIENTATION)
    rows, columns = _MIRRORED.get(tag.value if tag is not None else 1, (1, 1))
    return samples[::rows, ::columns]


def _log_samples(stream: BinaryIO, page: tifffile.TiffPage, index: int) -> Samples:
    """Linear Rec.709, or luminance."""
    samples = np.asarray(_decoded(stream, page, index), np.float32)
    if samples.shape[2] != 3:
        return samples
    return apply_matrix(samples, xyz_to_rec709(EQUAL_ENERGY))


def _lab_samples(_: BinaryIO, page: tifffile.TiffPage, _index: int) -> Samples:
    """Linear Rec.709, and straight alpha where the page has a fourth channel."""
    lab = with_channels(page.asarray(maxworkers=1))
    if lab.ndim == 3 and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
        lab = np.moveaxis(lab, 0, -1)
    is_associated = tuple(page.extrasamples[:1]) == (tifffile.EXTRASAMPLE.ASSOCALPHA,)
    out = np.empty((*lab.shape[:2], min(lab.shape[2], 4)), np.float32)
    to_rgb = xyz_to_rec709(_D50)
    for row, codes in enumerate(lab):  # row by row: float64 of a whole picture is large
        values = _lab_values(codes[:, :3], page)
        if out.shape[2] == 4:
            out[row, :, 3] = codes[:, 3].astype(f"u{page.bitspersample // 8}") / (2**page.bitspersample - 1)
        if is_associated:
            alpha = out[row, :, 3:]
            values = values / np.where(alpha > 0, alpha, 1)
        out[row, :, :3] = _lab_to_xyz(values) @ to_rgb.T
    return out


def _lab_values(codes: Samples, page: tifffile.TiffPage) -> Samples:
    """(width, 3) codes to L* from 0 to 100, and a* and b*."""
    unsigned = codes.astype(f"u{page.bitspersample // 8}")
    if page.photometric == _PHOTOMETRIC.CIELAB:
        lightness = unsigned[:, :1] * (100 / (2**page.bitspersample - 1))
        chroma = unsigned[:, 1:].view(f"i{page.bitspersample // 8}") / 2 ** (page.bitspersample - 8)
    else:
        lightness = unsigned[:, :1] * (100 / 255 if page.bitspersample == 8 else 100 / 65280)
        chroma = unsigned[:, 1:] / 2 ** (page.bitspersample - 8) - 128
    return np.concatenate([lightness, chroma], axis=1)


def _lab_to_xyz(lab: Samples) -> Samples:
    """(width, 3) L*, a*, b* to CIE XYZ, white with Y = 1."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    x, y = _D50
    white = np.array([x / y, 1.0, (1 - x - y) / y])
    cubes = f**3
    return np.asarray(np.where(cubes > _LAB_EPSILON, cubes, (116 * f - 16) / _LAB_KAPPA) * white)
