"""Global curves of the literature, written from the formulas of their sources.

Where a source leaves a parameter open, the value chosen is named here. Each is an Expansion.
"""

import numpy as np

from evaluation.expansion import TINY, gained, relit
from luxscaler.color import encode_srgb, luminance
from luxscaler.picture import FloatArray

LANDIS_THRESHOLD, LANDIS_EXPONENT = 0.5, 2.0
QUARTIC_KNEE = 0.5


def untouched(sdr: FloatArray, peak: float) -> FloatArray:
    """The SDR picture as it is."""
    del peak
    return sdr


def landis(sdr: FloatArray, peak: float) -> FloatArray:
    """Landis, "Production-ready global illumination", SIGGRAPH 2002 course 16.

    Above luminance 0.5 a blend of L and peak·L with the weight ((L − 0.5)/(max − 0.5))².
    """
    light = luminance(sdr)
    span = max(float(light.max()) - LANDIS_THRESHOLD, TINY)
    weight = np.clip((light - LANDIS_THRESHOLD) / span, 0, 1) ** LANDIS_EXPONENT
    return gained(sdr, 1 + (peak - 1) * weight)


def akyuz(sdr: FloatArray, peak: float) -> FloatArray:
    """Akyüz et al., "Do HDR displays support LDR content?", SIGGRAPH 2007: a linear stretch (γ = 1)."""
    light = luminance(sdr)
    low, high = float(light.min()), float(light.max())
    if high <= low:
        return sdr
    return relit(sdr, light, peak * (light - low) / (high - low))


def inverse_reinhard(light: FloatArray, peak: float) -> FloatArray:
    """The L for which L(1 + L/peak²)/(1 + L) is `light`: 0 → 0, 1 → peak."""
    below = light - 1
    return np.asarray(0.5 * peak**2 * (below + np.sqrt(below**2 + 4 * light / peak**2)), np.float32)


def quartic(sdr: FloatArray, peak: float) -> FloatArray:
    """Midtones pinned: the gain 1 + (peak − 1)·((m − 0.5)/0.5)⁴ of the largest channel m, sRGB-coded."""
    brightest = encode_srgb(sdr.max(axis=2))
    return gained(sdr, 1 + (peak - 1) * np.clip((brightest - QUARTIC_KNEE) / (1 - QUARTIC_KNEE), 0, 1) ** 4)
