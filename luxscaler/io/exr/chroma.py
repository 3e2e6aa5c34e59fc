"""Luminance and chroma of OpenEXR back to R, G, B.

Luminance Y is a weighted sum of R, G and B whose weights follow from the chromaticities; chroma is
RY = (R − Y) / Y and BY = (B − Y) / Y, stored for every second pixel of every second row ("Technical
Introduction to OpenEXR", luminance/chroma images). Between its places chroma is interpolated linearly:
OpenEXR's own 27-tap filter is sharper and rings at edges.
"""

import numpy as np

from luxscaler.color import Primaries, rgb_to_xyz
from luxscaler.picture import FloatArray

CHROMA_STEP = 2
"""Pixels and rows from one chroma sample to the next; the first is at the picture's first pixel."""


def to_rgb(y: FloatArray, ry: FloatArray, by: FloatArray, primaries: Primaries) -> FloatArray:
    """Return linear (height, width, 3) float32 in `primaries`, unbounded.

    y: (height, width) float32. ry, by: float32, half as high and wide, rounded up.
    """
    weights = rgb_to_xyz(primaries)[1].astype(np.float32)
    rgb = np.empty((*y.shape, 3), np.float32)
    np.multiply(_enlarged(ry, y.shape) + 1, y, out=rgb[..., 0])
    np.multiply(_enlarged(by, y.shape) + 1, y, out=rgb[..., 2])
    rgb[..., 1] = (y - weights[0] * rgb[..., 0] - weights[2] * rgb[..., 2]) / weights[1]
    return rgb


def _enlarged(chroma: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Every sample at its place, the mean of two between them; beyond the last one, the last one."""
    height, width = shape
    rows = np.empty((height, chroma.shape[1]), np.float32)
    _fill(rows, chroma)
    result = np.empty((height, width), np.float32)
    _fill(result.T, rows.T)
    return result


def _fill(target: FloatArray, samples: FloatArray) -> None:
    """Along the first axis."""
    target[::CHROMA_STEP] = samples
    between = target[1::CHROMA_STEP]
    following = np.concatenate([samples[1:], samples[-1:]])[: len(between)]
    np.multiply(samples[: len(between)] + following, np.float32(0.5), out=between)
