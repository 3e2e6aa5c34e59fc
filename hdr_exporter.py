"""Writes a finished picture into a file: float32 linear light → EXR, TIFF, PNG, WebP, AVIF, JPEG XL, JPEG.

Three kinds of file come out. EXR, TIFF and JPEG XL are masters: linear float, range and out-of-gamut
negatives included. "png-pq", AVIF and JPEG (a gain map) are HDR pictures for the web: absolute luminance,
clipped above 10,000 cd/m² and outside their gamut. PNG (16-bit) and WebP (8-bit) are sRGB pictures of the
same scene: what is brighter than SDR white is rolled off by `tone_map`, what lies outside Rec.709 clipped.

A file appears whole or not at all: it is written under a temporary name beside its target and renamed.
This module is a leaf. It does not know networks, tiles, inputs or LuxScaler's own types, and it computes
nothing about the range of the picture: it only says in the file what the caller says about it. How each
format is written is the business of hdr_files/.
"""

import math
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hdr_files import avif_file, jpeg_file, webp_file
from hdr_files.avif_file import write_avif
from hdr_files.exif import check_exif
from hdr_files.exr_file import write_exr
from hdr_files.job import ESTIMATED_RANGE_COMMENT, WHITE_CD_M2, FloatArray, Job, Metadata
from hdr_files.jpeg_file import write_jpeg
from hdr_files.jxl_file import write_jxl
from hdr_files.options import (
    EXR_COMPRESSIONS,
    EXR_TYPES,
    FULL_MANTISSA_BITS,
    ExportError,
    ExportOptions,
)
from hdr_files.png_file import write_png, write_png_pq
from hdr_files.sdr import KNEE, tone_map
from hdr_files.tiff_file import write_tiff
from hdr_files.webp_file import write_webp

__all__ = [
    "ESTIMATED_RANGE_COMMENT",
    "EXR_COMPRESSIONS",
    "EXR_TYPES",
    "FLOAT_FORMATS",
    "FORMATS",
    "FULL_MANTISSA_BITS",
    "HDR_FORMATS",
    "KNEE",
    "SUFFIXES",
    "WHITE_CD_M2",
    "ExportError",
    "ExportOptions",
    "check_exif",
    "check_picture",
    "export",
    "suffix_of",
    "tone_map",
]

_WRITERS: dict[str, Callable[[Path, Job], None]] = {
    "webp": write_webp,
    "png": write_png,
    "tiff": write_tiff,
    "exr": write_exr,
    "png-pq": write_png_pq,
    "avif": write_avif,
    "jxl": write_jxl,
    "jpg": write_jpeg,
}
FORMATS = tuple(_WRITERS)
FLOAT_FORMATS = ("tiff", "exr", "jxl")
"""Masters: linear float."""
HDR_FORMATS = (*FLOAT_FORMATS, "png-pq", "avif", "jpg")
"""Formats that hold light above SDR white; the others show an SDR rendering of the same scene."""
SUFFIXES = {
    ".webp": "webp",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".exr": "exr",
    ".avif": "avif",
    ".jxl": "jxl",
    ".jpg": "jpg",
    ".jpeg": "jpg",
}
"""Formats by the suffix of a path, in lower case. png-pq has none of its own: it is asked for by name."""
_SIDES = {
    "webp": ("WebP", webp_file.MAX_SIDE),
    "avif": ("AVIF", avif_file.MAX_SIDE),
    "jpg": ("JPEG", jpeg_file.MAX_SIDE),
}


DEFAULT_OPTIONS = ExportOptions()
_MIN_DPI, _MAX_DPI = 1, 100_000
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
) -> None:
    """Write a picture to `path`; a file that was there is replaced once the new one is complete.

    rgb: (height, width, 3) float32, linear Rec.709, D65, 1.0 = SDR white = 203 cd/m², unbounded, finite.
    alpha: (height, width) float32 in [0, 1], or None. The colour is straight; only EXR stores it
        premultiplied, as that format's convention asks. JPEG holds none: alpha below 1 is an error there.
        Neither array is changed.
    file_format: one of FORMATS; None takes it from the suffix of `path`.
    metadata: text and numbers about the making, e.g. {"hdr_boost": 1.5}.
    resolution_dpi: horizontal and vertical pixels per inch.
    exif: what the picture inherits from its source, from the TIFF header on. PNG, WebP, AVIF, JPEG XL and
        JPEG (up to 64 KiB) carry all; TIFF make, model, date, artist and copyright; EXR owner and capDate.
    sdr: like rgb, what JPEG shows on an SDR display: the picture before its range was expanded. Without it,
        and for values above 1 in it, `tone_map` decides.

    Raises ExportError: a wrong argument, a picture the format cannot hold, a file that cannot be written.
    """
    name = _format_name(Path(path), file_format)
    _check_shape(name, rgb, alpha)
    _check_metadata(metadata)
    if sdr is not None and (sdr.shape != rgb.shape or sdr.dtype != np.float32):
        raise ExportError(f"sdr must be {rgb.shape} float32 like rgb, got {sdr.shape} {sdr.dtype}")
    if resolution_dpi is not None and not all(_MIN_DPI <= value <= _MAX_DPI for value in resolution_dpi):
        raise ExportError(f"resolution_dpi must be {_MIN_DPI} to {_MAX_DPI}, got {resolution_dpi}")
    if exif is not None:
        check_exif(exif)
    if alpha is not None:
        _check_values("alpha", alpha, 0.0, 1.0)
    peak = _check_values("rgb", rgb)
    if sdr is not None:
        peak = _check_values("sdr", sdr)
    if options.mantissa_bits < FULL_MANTISSA_BITS and _is_float32(name, options):
        metadata = {**metadata, "mantissa_bits": options.mantissa_bits}
    job = Job(
        rgb,
        alpha,
        peak if options.sdr_peak is None else options.sdr_peak,
        options,
        metadata,
        resolution_dpi,
        exif,
        sdr,
    )
    with _replacing(Path(path)) as temporary:
        _WRITERS[name](temporary, job)


def suffix_of(file_format: str) -> str:
    """Return the suffix of a format's files, e.g. ".png" for "png-pq"."""
    return f".{file_format.split('-', maxsplit=1)[0]}"


def check_picture(file_format: str, width: int, height: int, *, transparent: bool) -> None:
    """Raise ExportError if the format cannot hold such a picture: to be known before the work."""
    name, high = _SIDES.get(file_format, ("", 2**31 - 1))
    if max(width, height) > high:
        raise ExportError(
            f"{name} holds at most {high} pixels a side, got {width} × {height}: choose png, tiff or exr"
        )
    if transparent and file_format == "jpg":
        raise ExportError("JPEG holds no transparency: choose avif, png-pq or jxl")


def _is_float32(name: str, options: ExportOptions) -> bool:
    return name == "tiff" or (name == "exr" and options.exr_type == "float")


def _format_name(path: Path, file_format: str | None) -> str:
    name = SUFFIXES.get(path.suffix.lower(), "") if file_format is None else file_format
    if name not in FORMATS:
        asked = f"suffix {path.suffix!r} of {path.name!r}" if file_format is None else repr(file_format)
        raise ExportError(f"unknown output format {asked}; known are {', '.join(FORMATS)}")
    return name


def _check_shape(name: str, rgb: FloatArray, alpha: FloatArray | None) -> None:
    if rgb.dtype != np.float32 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ExportError(f"rgb must be height × width × 3 float32, got {rgb.shape} {rgb.dtype}")
    if alpha is not None and (alpha.dtype != np.float32 or alpha.shape != rgb.shape[:2]):
        raise ExportError(f"alpha must be {rgb.shape[:2]} float32, got {alpha.shape} {alpha.dtype}")
    transparent = alpha is not None and bool((alpha < 1).any())
    check_picture(name, rgb.shape[1], rgb.shape[0], transparent=transparent)


def _check_metadata(metadata: Metadata) -> None:
    for key, value in metadata.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key):
            raise ExportError(f"metadata name must be 1 to 64 of A–Z a–z 0–9 _ . -, got {key!r}")
        # EXR stores numbers as float32: 1e39 would silently become infinity.
        if not isinstance(value, str) and not abs(value) <= float(np.finfo(np.float32).max):
            raise ExportError(f"metadata {key} must be text or a finite float32, got {value!r}")


def _check_values(what: str, values: FloatArray, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the maximum. Minimum and maximum show NaN and infinity without a temporary as large as rgb."""
    smallest, largest = float(values.min()), float(values.max())
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        raise ExportError(f"{what} must be finite, got {bad} NaN or infinite of {values.size} values")
    if smallest < low or largest > high:
        raise ExportError(f"{what} must be {low:g} to {high:g}, got {smallest:g} to {largest:g}")
    return largest


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a new file beside `path` and rename it on success; translate what the encoders raise."""
    name = f".{secrets.token_hex(8)}.partial"
    try:
        target = Path(os.path.realpath(path))  # a link stays a link: what it points to is replaced
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        temporary = target.with_name(name)
        temporary.open("xb").close()  # before any work: a folder that is missing or not writable
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: OpenEXR, imagecodecs
        reason = getattr(error, "strerror", None) or str(error).replace(name, path.name)
        raise ExportError(f"cannot write {str(path)!r}: {' '.join(reason.split())}") from error
