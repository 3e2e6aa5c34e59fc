"""What every method of the evaluation is: a function from an SDR picture and a boost to an HDR picture."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from luxscaler.picture import FloatArray

Expansion = Callable[[FloatArray, float], FloatArray]
"""(H, W, 3) float32 linear Rec.709 in [0, 1], and the peak that SDR white may reach (1.0 = 203 cd/m²) → the
same shape, unbounded."""
TINY = 1e-9


def gained(sdr: FloatArray, gain: NDArray[np.floating]) -> FloatArray:
    """The three channels times one gain, (H, W): the hue stays."""
    return np.asarray(sdr * gain[..., None], np.float32)


def relit(sdr: FloatArray, light: FloatArray, target: NDArray[np.floating]) -> FloatArray:
    """The picture with the luminance `target` in place of `light`; black stays black."""
    return gained(sdr, target / np.maximum(light, TINY))
