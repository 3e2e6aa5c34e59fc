"""Writes a finished picture into a file: float32 linear light → EXR, TIFF, PNG, WebP, AVIF, JPEG XL, JPEG.

Three kinds of file come out. EXR, float TIFF and JPEG XL are masters: linear float, range and out-of-gamut
negatives included. "png-pq", AVIF and JPEG (a gain map) are HDR pictures for the web: absolute luminance,
clipped above 10,000 cd/m² and outside their gamut. PNG, "tiff16" (both 16-bit) and WebP (8-bit) are SDR
pictures of the same scene: what is brighter than SDR white is rolled off by `tone_map`, what lies outside the
gamut of their profile, sRGB unless another is asked for, clipped.

A file appears whole or not at all: it is written under a temporary name beside its target and renamed.
`export` takes a whole picture, `open_stream` one that comes row by row because it does not fit into memory.
What a file says about the making of the picture is what the caller says; nothing is deduced from the pixels.
"""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

import numpy as np

from luxscaler.errors import ExportError
from luxscaler.io.atomic import replacing
from luxscaler.io.avif.write import write_avif
from luxscaler.io.checks import check_metadata, check_resolution, check_values, with_mantissa_bits
from luxscaler.io.exif.describe import check_exif
from luxscaler.io.exr.write import write_exr
from luxscaler.io.formats import ASSOCIATED_FORMATS, STREAM_FORMATS, check_picture, format_named
from luxscaler.io.frame import Coded, Frame, Metadata
from luxscaler.io.jpeg.write import write_jpeg
from luxscaler.io.jxl.write import write_jxl
from luxscaler.io.options import ExportOptions
from luxscaler.io.png.write import write_png, write_png_pq
from luxscaler.io.profiles import check_profile, profile_named
from luxscaler.io.sdr import peak_in
from luxscaler.io.tiff.write import write_tiff, write_tiff16
from luxscaler.io.webp import write_webp
from luxscaler.io.write_rows import StreamWriter, streaming
from luxscaler.picture import NOTHING_INHERITED, ExrAttribute, FloatArray, Inherited

_WRITERS: dict[str, Callable[[Path, Frame], None]] = {
    "webp": write_webp,
    "png": write_png,
    "tiff": write_tiff,
    "tiff16": write_tiff16,
    "exr": write_exr,
    "png-pq": write_png_pq,
    "avif": write_avif,
    "jxl": write_jxl,
    "jpg": write_jpeg,
}
CODED_TYPES: dict[str, np.dtype[np.uint8 | np.uint16 | np.float16]] = {
    "webp": np.dtype(np.uint8),
    "png": np.dtype(np.uint16),
    "exr": np.dtype(np.float16),
}
"""Formats that `export_coded` takes, and the type of their samples."""
DEFAULT_OPTIONS = ExportOptions()
_NO_METADATA: Metadata = MappingProxyType({})


def export(
    path: str | os.PathLike[str],
    rgb: FloatArray,
    alpha: FloatArray | None = None,
    *,
    file_format: str | None = None,
    options: ExportOptions = DEFAULT_OPTIONS,
    metadata: Metadata = _NO_METADATA,
    resolution_dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    sdr: FloatArray | None = None,
    inherited: Inherited = NOTHING_INHERITED,
    is_grey: bool = False,
    is_associated: bool = False,
    exr_attributes: tuple[ExrAttribute, ...] = (),
) -> None:
    """Write a picture to `path`; a file that was there is replaced once the new one is complete.

    rgb: (height, width, 3) float32, linear Rec.709, D65, 1.0 = SDR white = 203 cd/m², unbounded, finite.
    alpha: (height, width) float32 in [0, 1], or None. The colour is straight unless is_associated; only EXR
        stores it premultiplied, as that format's convention asks. JPEG holds none: alpha below 1 is an error
        there. Neither array is changed.
    file_format: one of FORMATS; None takes it from the suffix of `path`.
    metadata: text and numbers about the making, e.g. {"hdr_boost": 1.5}.
    resolution_dpi: horizontal and vertical pixels per inch.
    exif: what the picture inherits from its source, from the TIFF header on. PNG, WebP, AVIF, JPEG XL and
        JPEG (up to 64 KiB, more is an error) carry it as a block, TIFF as directories of its own; EXR what
        its standard attributes can say: camera, lens, exposure, place, owner and date.
    sdr: like rgb, what JPEG shows on an SDR display: the picture before its range was expanded. Without it,
        and for values above 1 in it, `tone_map` decides.
    inherited: XMP, IPTC, texts and the shape of pixels; each format takes what it can hold.
    is_grey: that the channels are equal: PNG, TIFF and EXR (as Y) are then written with one.
    is_associated: that rgb is premultiplied and may hold light where alpha is 0. EXR and TIFF keep it; in the
        other formats, which are straight, transparent pixels become black.
    exr_attributes: what an EXR inherits from an EXR, as in PictureSource; ignored by other formats.

    Raises ExportError: a wrong argument, a picture the format cannot hold, a file that cannot be written.
    """
    name = format_named(Path(path), file_format)
    _check_shape(name, rgb, alpha)
    if sdr is not None and (sdr.shape != rgb.shape or sdr.dtype != np.float32):
        raise ExportError(f"sdr must be {rgb.shape} float32 like rgb, got {sdr.shape} {sdr.dtype}")
    _check_texts(metadata, resolution_dpi, exif)
    check_profile(options.profile, name)
    if alpha is not None:
        check_values("alpha", alpha, 0.0, 1.0)
    frame = Frame(
        rgb,
        alpha,
        _checked_peak(rgb, sdr, options),
        options,
        with_mantissa_bits(name, options, metadata),
        resolution_dpi,
        exif,
        inherited=inherited,
        is_grey=is_grey,
        is_associated=is_associated and alpha is not None,
        sdr=sdr,
        exr_attributes=exr_attributes,
    )
    if name not in ASSOCIATED_FORMATS:
        frame = frame.straight()
    with replacing(Path(path)) as temporary:
        _WRITERS[name](temporary, frame)


def export_coded(
    path: str | os.PathLike[str],
    coded: Coded,
    *,
    file_format: str,
    options: ExportOptions = DEFAULT_OPTIONS,
    metadata: Metadata = _NO_METADATA,
    resolution_dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
) -> None:
    """Write samples that are coded already: the file that `export` writes of the picture they were made of.

    coded: (height, width, 3 or 4), contiguous, of CODED_TYPES for the format: sRGB codes with straight alpha,
    or half floats premultiplied. The other arguments are those of `export`. Raises ExportError.
    """
    expected = CODED_TYPES.get(file_format)
    if expected != coded.dtype or coded.ndim != 3 or coded.shape[2] not in (3, 4) or 0 in coded.shape:
        raise ExportError(f"{file_format} has no samples that are {coded.shape} {coded.dtype}")
    check_picture(file_format, coded.shape[1], coded.shape[0], transparent=False)
    _check_texts(metadata, resolution_dpi, exif)
    empty = np.empty((0, coded.shape[1], 3), np.float32)
    named = with_mantissa_bits(file_format, options, metadata)
    frame = Frame(empty, None, 1.0, options, named, resolution_dpi, exif, coded=coded)
    with replacing(Path(path)) as temporary:
        _WRITERS[file_format](temporary, frame)


def open_stream(
    path: str | os.PathLike[str],
    width: int,
    height: int,
    *,
    has_alpha: bool = False,
    file_format: str | None = None,
    options: ExportOptions = DEFAULT_OPTIONS,
    metadata: Metadata = _NO_METADATA,
    resolution_dpi: tuple[float, float] | None = None,
    exif: bytes | None = None,
    inherited: Inherited = NOTHING_INHERITED,
    is_grey: bool = False,
    is_associated: bool = False,
    exr_attributes: tuple[ExrAttribute, ...] = (),
) -> AbstractContextManager[StreamWriter]:
    """Write a picture that need not fit into memory, row by row: what `export` writes of the same array.

        with open_stream("master.exr", 32768, 32768) as writer:
            writer.write(rows)  # see StreamWriter; any number at once, from the top

    The file is there once the block has ended with all rows written; before, and after any error, what was
    there stays. Until then `.NAME.partial` lies beside it. In memory are a few bands: of 256 rows for TIFF,
    one row of tiles for tiled EXR, about 32 MiB for other EXR, less for PNG.

    width, height: in pixels. has_alpha: whether rows come with alpha.
    file_format: one of STREAM_FORMATS; None takes it from the suffix of `path`. png and tiff16 need
        options.sdr_peak, since the picture's maximum is not known when its first row is written.
    The other arguments are those of `export`.

    Raises ExportError: here for a wrong argument, from `write` and at the end of the block for the rest.
    """
    name = format_named(Path(path), file_format)
    if name not in STREAM_FORMATS:
        raise ExportError(f"{name} cannot be written row by row; {', '.join(STREAM_FORMATS)} can")
    if min(width, height) < 1:
        raise ExportError(f"width and height must be at least 1, got {width} × {height}")
    check_picture(name, width, height, transparent=has_alpha)
    _check_texts(metadata, resolution_dpi, exif)
    check_profile(options.profile, name)
    if name in ("png", "tiff16") and options.sdr_peak is None:
        raise ExportError(
            f"{name} row by row needs sdr_peak: "
            "the picture's maximum is unknown when its first row is written"
        )
    head = Frame(
        np.empty((0, width, 3), np.float32),
        np.empty((0, width), np.float32) if has_alpha else None,
        1.0 if options.sdr_peak is None else options.sdr_peak,
        options,
        with_mantissa_bits(name, options, metadata),
        resolution_dpi,
        exif,
        inherited=inherited,
        is_grey=is_grey,
        is_associated=is_associated and has_alpha,
        exr_attributes=exr_attributes,
    )
    return streaming(Path(path), name, head, height)


def _check_shape(name: str, rgb: FloatArray, alpha: FloatArray | None) -> None:
    if rgb.dtype != np.float32 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ExportError(f"rgb must be height × width × 3 float32, got {rgb.shape} {rgb.dtype}")
    if alpha is not None and (alpha.dtype != np.float32 or alpha.shape != rgb.shape[:2]):
        raise ExportError(f"alpha must be {rgb.shape[:2]} float32, got {alpha.shape} {alpha.dtype}")
    transparent = alpha is not None and bool((alpha < 1).any())
    check_picture(name, rgb.shape[1], rgb.shape[0], transparent=transparent)


def _check_texts(metadata: Metadata, resolution_dpi: tuple[float, float] | None, exif: bytes | None) -> None:
    """What the file says besides its pixels. Raises ExportError."""
    check_metadata(metadata)
    check_resolution(resolution_dpi)
    if exif is not None:
        check_exif(exif)


def _checked_peak(rgb: FloatArray, sdr: FloatArray | None, options: ExportOptions) -> float:
    """The linear value that an SDR format shows as white: the option, else the maximum of what is shown, in
    the primaries of the profile. Raises ExportError if rgb or sdr holds NaN or infinity."""
    peak = check_values("rgb", rgb)
    if sdr is not None:
        peak = check_values("sdr", sdr)
    if options.sdr_peak is not None:
        return options.sdr_peak
    profile = profile_named(options.profile)
    return peak if profile.matrix is None else peak_in(profile, rgb if sdr is None else sdr)
