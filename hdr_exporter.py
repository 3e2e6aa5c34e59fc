"""Writes a finished picture into a file: float32 linear light → EXR, TIFF, PNG or WebP.

Two kinds of file come out. EXR and TIFF are masters: the linear values bit for bit, range and out-of-gamut
negatives included. PNG (16-bit) and WebP (8-bit) are sRGB pictures of the same scene: what is brighter than
SDR white is rolled off by `tone_map`, what lies outside Rec.709 is clipped at 0.

A file appears whole or not at all: it is written under a temporary name beside its target and renamed.
This module is a leaf. It does not know networks, tiles, inputs or LuxScaler's own types, and it computes
nothing about the range of the picture: it only says in the file what the caller says about it. How each
format is written is hdr_writers.py's business.
"""

import math
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from hdr_writers import (
    ESTIMATED_RANGE_COMMENT,
    KNEE,
    WHITE_CD_M2,
    FloatArray,
    Job,
    Metadata,
    tone_map,
    write_exr,
    write_png,
    write_tiff,
    write_webp,
)

__all__ = [
    "ESTIMATED_RANGE_COMMENT",
    "FORMATS",
    "KNEE",
    "SUFFIXES",
    "WEBP_MAX_SIDE",
    "WHITE_CD_M2",
    "ExportError",
    "ExportOptions",
    "export",
    "tone_map",
]

SUFFIXES = {".webp": "webp", ".png": "png", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr"}
"""Formats by the suffix of a path, in lower case."""
WEBP_MAX_SIDE = 16383
"""Pixels a side: 14-bit fields of the VP8 frame header (RFC 6386, 9.1)."""
_WRITERS: dict[str, Callable[[Path, Job], None]] = {
    "webp": write_webp,
    "png": write_png,
    "tiff": write_tiff,
    "exr": write_exr,
}
FORMATS = tuple(_WRITERS)


class ExportError(Exception):
    """The picture cannot be written as asked; the text is one line: what, which value, which limit."""


@dataclass(frozen=True)
class ExportOptions:
    """How to write, and what the file says about its making. Raises ExportError on a bad value."""

    webp_quality: int = 90
    """0 (smallest) to 100."""
    sdr_peak: float | None = None
    """Linear value that PNG and WebP show as SDR white; None: the picture's own maximum. Tiles of one
    picture need a common peak, or their highlights differ from tile to tile. Below 1 counts as 1."""
    estimated_range: bool = False
    """Whether the dynamic range was expanded; the file then carries ESTIMATED_RANGE_COMMENT."""
    software: str = "LuxScaler"
    """Name and version of the writing program, printable ASCII."""

    def __post_init__(self) -> None:
        if not 0 <= self.webp_quality <= 100:
            raise ExportError(f"webp_quality must be 0 to 100, got {self.webp_quality}")
        if self.sdr_peak is not None and not 0 < self.sdr_peak < math.inf:
            raise ExportError(f"sdr_peak must be above 0 and finite, got {self.sdr_peak}")
        if not re.fullmatch(r"[ -~]+", self.software):
            raise ExportError(f"software must be printable ASCII, got {self.software!r}")


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
) -> None:
    """Write a picture to `path`; a file that was there is replaced once the new one is complete.

    rgb: (height, width, 3) float32, linear Rec.709, D65, 1.0 = SDR white = 203 cd/m², unbounded, finite.
    alpha: (height, width) float32 in [0, 1], or None. The colour is straight; only EXR stores it
        premultiplied, as that format's convention asks. Neither array is changed.
    file_format: one of FORMATS; None takes it from the suffix of `path`.
    metadata: text and numbers about the making, e.g. {"hdr_boost": 1.5}.

    Raises ExportError: a wrong argument, a picture the format cannot hold, a file that cannot be written.
    """
    name = _format_name(Path(path), file_format)
    _check_shape(name, rgb, alpha)
    _check_metadata(metadata)
    if alpha is not None:
        _check_values("alpha", alpha, 0.0, 1.0)
    peak = _check_values("rgb", rgb)
    job = Job(
        rgb,
        alpha,
        sdr_peak=peak if options.sdr_peak is None else options.sdr_peak,
        webp_quality=options.webp_quality,
        estimated_range=options.estimated_range,
        software=options.software,
        metadata=metadata,
    )
    with _replacing(Path(path)) as temporary:
        _WRITERS[name](temporary, job)


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
    height, width = rgb.shape[:2]
    if name == "webp" and max(height, width) > WEBP_MAX_SIDE:
        raise ExportError(f"WebP holds at most {WEBP_MAX_SIDE} pixels a side, got {width} × {height}")


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
