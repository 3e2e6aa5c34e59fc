"""Checks of a picture and of what is said about it, made before any file is opened."""

import math
import re

import numpy as np

from luxscaler.errors import ExportError
from luxscaler.io.frame import Frame, Metadata
from luxscaler.io.options import FULL_MANTISSA_BITS, ExportOptions
from luxscaler.picture import FloatArray
from luxscaler.words import counted

_MIN_DPI, _MAX_DPI = 1, 100_000


def check_resolution(resolution_dpi: tuple[float, float] | None) -> None:
    """Raise ExportError unless it is None or two numbers from 1 to 100,000 dots per inch."""
    if resolution_dpi is not None and not all(_MIN_DPI <= value <= _MAX_DPI for value in resolution_dpi):
        raise ExportError(f"resolution_dpi must be {_MIN_DPI} to {_MAX_DPI}, got {resolution_dpi}")


def check_metadata(metadata: Metadata) -> None:
    """Raise ExportError for a name that not every format can hold, or a number that EXR cannot."""
    for key, value in metadata.items():
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", key):
            raise ExportError(f"metadata name must be 1 to 64 of A–Z a–z 0–9 _ . -, got {key!r}")
        # EXR stores numbers as float32: 1e39 would silently become infinity.
        if not isinstance(value, str) and not abs(value) <= float(np.finfo(np.float32).max):
            raise ExportError(f"metadata {key} must be text or a finite float32, got {value!r}")


def with_mantissa_bits(name: str, options: ExportOptions, metadata: Metadata) -> Metadata:
    """The metadata of a file of the format `name`, with a note "mantissa_bits" if mantissas are rounded."""
    is_float32 = name == "tiff" or (name == "exr" and options.exr_type == "float")
    if options.mantissa_bits < FULL_MANTISSA_BITS and is_float32:
        return {**metadata, "mantissa_bits": options.mantissa_bits}
    return metadata


def check_values(what: str, values: FloatArray, low: float = -math.inf, high: float = math.inf) -> float:
    """Return the maximum. Raises ExportError for NaN, infinity, and values outside [low, high].

    what: the name of the array in messages. Minimum and maximum are NaN or infinite if any value is, and
    finding them needs no temporary of the array's size.
    """
    smallest, largest = float(values.min()), float(values.max())
    if not (math.isfinite(smallest) and math.isfinite(largest)):
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        raise ExportError(
            f"{what} must be finite, got {bad} NaN or infinite of {counted(values.size, 'value')}"
        )
    if smallest < low or largest > high:
        raise ExportError(f"{what} must be {low:g} to {high:g}, got {smallest:g} to {largest:g}")
    return largest


def check_rows(head: Frame, rgb: FloatArray, alpha: FloatArray | None) -> None:
    """Raise ExportError unless these can be rows of the picture of `head`, which has none itself."""
    width = head.rgb.shape[1]
    if rgb.dtype != np.float32 or rgb.ndim != 3 or rgb.shape[1:] != (width, 3) or not len(rgb):
        raise ExportError(f"rgb must be n × {width} × 3 float32, got {rgb.shape} {rgb.dtype}")
    if (alpha is None) != (head.alpha is None):
        raise ExportError(f"alpha is {'missing' if alpha is None else 'given'}, unlike has_alpha says")
    if alpha is not None:
        if alpha.dtype != np.float32 or alpha.shape != rgb.shape[:2]:
            raise ExportError(f"alpha must be {rgb.shape[:2]} float32, got {alpha.shape} {alpha.dtype}")
        check_values("alpha", alpha, 0.0, 1.0)
    check_values("rgb", rgb)
