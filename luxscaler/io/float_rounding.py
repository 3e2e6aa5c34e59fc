"""Float values with fewer bits: a rounded mantissa, and half floats that stay finite."""

import numpy as np
from numpy.typing import NDArray

from luxscaler.io.options import FULL_MANTISSA_BITS
from luxscaler.picture import HALF_MAX, FloatArray


def round_mantissa(values: FloatArray, bits: int) -> FloatArray:
    """Round to `bits` explicit bits of mantissa, to nearest, ties to even; the rest of the bits is 0.

    The relative error is at most 2^-(bits + 1) (denormals below 1e-38 aside), at every brightness alike. What
    would round up to infinity is rounded down. Returns the array itself where all bits stay, else a new one.

    Zeros compress: the last bits of a computed picture are noise, and noise is what fills a lossless file.
    """
    if bits >= FULL_MANTISSA_BITS:
        return values
    drop = np.uint32(FULL_MANTISSA_BITS - bits)
    pattern = values.view(np.uint32)
    # Ties go to even: half of the step is added, less one where the last bit that stays is 0.
    rounded = (pattern >> drop) & np.uint32(1)
    rounded += pattern
    rounded += (np.uint32(1) << (drop - np.uint32(1))) - np.uint32(1)
    rounded &= np.uint32(0xFFFFFFFF) << drop
    result: FloatArray = rounded.view(np.float32)
    too_large = np.isinf(result)
    if too_large.any():
        kept = np.uint32(0xFFFFFFFF) << drop
        result[too_large] = (pattern[too_large] & kept).view(np.float32)
    return result


def to_half(values: FloatArray) -> NDArray[np.float16]:
    """Round to half floats, to nearest, clipped at ±65504 so that none becomes infinite."""
    return np.clip(values, -HALF_MAX, HALF_MAX).astype(np.float16)
