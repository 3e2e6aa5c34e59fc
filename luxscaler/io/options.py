"""What a caller can choose about a file, and the limits of each value."""

import math
import re
from dataclasses import dataclass

from luxscaler.checks import check_fields
from luxscaler.errors import ExportError
from luxscaler.io.exr.overscan import Windows
from luxscaler.io.profiles import PROFILES

EXR_TYPES = ("float", "half")
EXR_COMPRESSIONS = ("auto", "zip", "zips", "piz", "pxr24", "dwaa", "dwab", "rle", "none")
"""Codecs that every reader knows. pxr24 (which keeps 15 bits of a float's mantissa), dwaa and dwab lose bits,
the others none. auto: by the samples, without loss (exr/codec.py)."""
AVIF_BITS = (10, 12)
MIN_MANTISSA_BITS = 8
FULL_MANTISSA_BITS = 23
"""Explicit bits of float32's mantissa (IEEE 754); a 24th is implied."""
_MIN_EXR_TILE, _MAX_EXR_TILE = 16, 4096


@dataclass(frozen=True)
class ExportOptions:
    """How to write, and what the file says about its making. Raises ExportError on a bad value."""

    webp_quality: int = 90
    """0 (smallest) to 100."""
    avif_quality: int = 90
    """0 (smallest) to 100 (every code within one)."""
    avif_bits: int = 10
    """10 or 12."""
    exr_type: str = "float"
    """One of EXR_TYPES. half: the relative error is at most 2^-11 (0.05 %) from 6.1e-5 to 65504, the absolute
    one at most 2^-25 below; beyond ±65504 it clips."""
    exr_compression: str = "auto"
    """One of EXR_COMPRESSIONS."""
    exr_tile: int = 0
    """Side of EXR's tiles in pixels, 16 to 4096; 0 for scan lines."""
    mantissa_bits: int = FULL_MANTISSA_BITS
    """Explicit bits of mantissa that EXR (float) and TIFF keep, 8 to 23; 23 is every bit. Fewer make smaller
    files; the relative error is at most 2^-(bits + 1), and the file says how many there are."""
    profile: str = "srgb"
    """One of PROFILES: the colours of PNG, WebP, JPEG and 16-bit TIFF, with the profile's curve, and of EXR,
    float TIFF and JPEG XL, as linear light; of AVIF and PQ PNG P3 or Rec. 2020."""
    exr_windows: Windows | None = None
    """Where the pixels of an EXR lie beside what it shows; None: both are the same, from 0, 0."""
    sdr_peak: float | None = None
    """Linear value that PNG and WebP show as SDR white; None: the picture's own maximum. Tiles of one
    picture need a common peak, or their highlights differ from tile to tile. Below 1 counts as 1."""
    estimated_range: bool = False
    """Whether the dynamic range was expanded; the file then carries ESTIMATED_RANGE_COMMENT."""
    software: str = "LuxScaler"
    """Name and version of the writing program, printable ASCII."""

    def __post_init__(self) -> None:
        check_fields(self, ExportError)
        _check_range("webp_quality", self.webp_quality, 0, 100)
        _check_range("avif_quality", self.avif_quality, 0, 100)
        _check_choice("avif_bits", self.avif_bits, AVIF_BITS)
        _check_choice("profile", self.profile, PROFILES)
        _check_choice("exr_type", self.exr_type, EXR_TYPES)
        _check_choice("exr_compression", self.exr_compression, EXR_COMPRESSIONS)
        if self.exr_tile != 0:
            _check_range("exr_tile, if not 0,", self.exr_tile, _MIN_EXR_TILE, _MAX_EXR_TILE)
        _check_range("mantissa_bits", self.mantissa_bits, MIN_MANTISSA_BITS, FULL_MANTISSA_BITS)
        if self.sdr_peak is not None and not 0 < self.sdr_peak < math.inf:
            raise ExportError(f"sdr_peak must be above 0 and finite, got {self.sdr_peak}")
        if not re.fullmatch(r"[ -~]+", self.software):
            raise ExportError(f"software must be printable ASCII, got {self.software!r}")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ExportError(f"{name} must be {low} to {high}, got {value}")


def _check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise ExportError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}")
