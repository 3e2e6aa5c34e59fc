"""Expansions that standards define or players ship, from their formulas. Each is an Expansion."""

import numpy as np
from numpy.typing import NDArray

from evaluation.expansion import TINY, relit
from luxscaler.color import REC709, REC2020, apply_matrix, decode_pq, encode_pq, luminance, rgb_to_rgb
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

BT2446_SDR_CD_M2 = 100.0
BT2446_C_K1, BT2446_C_K2, BT2446_C_K3, BT2446_C_K4 = 0.83802, 15.09968, 0.74204, 78.99439
BT2446_C_KNEE = 58.5
"""Method C, section 6: constants for an HDR peak of 1000 cd/m²; the knee is in cd/m² of SDR."""

KNEE_DEFAULT, KNEE_MAXIMUM, KNEE_ADAPTATION = 0.4, 0.8, 0.4
SPLINE_CONTRAST, SLOPE_TUNING, SLOPE_OFFSET = 0.5, 1.5, 0.2
"""libplacebo 7: the defaults of pl_tone_map_constants."""


def bt2446_a(sdr: FloatArray, peak: float) -> FloatArray:
    """Report ITU-R BT.2446-1, method A, SDR to HDR (table 4): SDR white to 1000 cd/m², here to `peak`.

    Works on the gamma-2.4 luma of BT.2020: Y' in [0, 255] becomes Y'^E, E a quadratic in Y'; the colour
    differences are scaled by 1.075 times the gain.
    """
    wide = np.maximum(apply_matrix(sdr, rgb_to_rgb(REC709, REC2020)), 0) ** (1 / 2.4)
    luma = (wide @ np.array([0.2627, 0.6780, 0.0593])).astype(np.float64)
    expanded = method_a(luma)
    gain = np.where(luma > 0, 1.075 * expanded / np.maximum(luma, TINY), 1.0)
    # R' − Y' is 1.4746 C'r, B' − Y' is 1.8814 C'b; G' then follows from the luma equation.
    difference = (wide - luma[..., None]) * gain[..., None]
    coded = np.clip(expanded[..., None] + difference, 0, 1000) / 1000
    return apply_matrix((peak * coded**2.4).astype(np.float32), rgb_to_rgb(REC2020, REC709))


def method_a(luma: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tone curve of method A: gamma-2.4 luma in [0, 1] to the same of 1000 cd/m², in [0, 1000]."""
    code = 255 * luma
    exponent = np.where(
        code <= 70,
        (1.8712e-5 * code - 2.7334e-3) * code + 1.3141,
        (2.8305e-6 * code - 7.4622e-4) * code + 1.2528,
    )
    return np.asarray(code**exponent)


def libplacebo_bt2446a(sdr: FloatArray, peak: float) -> FloatArray:
    """What mpv's `--inverse-tone-mapping --tone-mapping=bt.2446a` does: libplacebo, src/tone_mapping.c.

    Method A's curve alone, of intensity: the hue stays. Here luminance stands for the intensity of IPT, and
    black for black.
    """
    light = luminance(sdr)
    coded = np.clip(light, 0, 1).astype(np.float64) ** (1 / 2.4)
    return relit(sdr, light, peak * np.minimum(method_a(coded) / 1000, 1) ** 2.4)


def libplacebo_spline(sdr: FloatArray, peak: float) -> FloatArray:
    """What mpv's `--inverse-tone-mapping` does by default: libplacebo's "spline", src/tone_mapping.c.

    Two hyperbolas meet at a pivot, with one slope, in PQ; they take black to black and white to `peak`. The
    pivot is the default knee, for a picture without metadata. Luminance stands for the intensity of IPT.
    """
    light = luminance(sdr)
    top, peak_top = encode_pq(np.array([1.0, peak])).tolist()
    if peak_top <= top:
        return sdr
    pivot = KNEE_DEFAULT * top
    raised = pivot + KNEE_ADAPTATION * (KNEE_DEFAULT * peak_top - pivot)
    raised = min(raised, KNEE_MAXIMUM * peak_top)
    ratio = min(max(SLOPE_TUNING * (top / peak_top - 1), SLOPE_OFFSET), 1 + SLOPE_OFFSET)
    slope: float = (raised / pivot) ** ((1 - SPLINE_CONTRAST) * ratio)

    def bend(end: float, goal: float) -> float:
        return (slope * end - goal) / (goal * end)

    x = encode_pq(np.clip(light, 0, 1).astype(np.float64)) - pivot
    curve = np.where(x > 0, bend(top - pivot, peak_top - raised), bend(-pivot, -raised))
    spline = raised + slope * x / (1 + curve * x)
    return relit(sdr, light, decode_pq(np.clip(spline, 0, peak_top)))


def blend(sdr: FloatArray, peak: float, share: float) -> FloatArray:
    """SDR and BT.2446-1 A mixed in linear light: `share` of the latter."""
    return np.asarray(sdr + np.float32(share) * (bt2446_a(sdr, peak) - sdr), np.float32)


def bt2446_c(sdr: FloatArray, peak: float) -> FloatArray:
    """Report ITU-R BT.2446-1, method C, SDR to HDR: luminance only, without the optional crosstalk (α = 0).

    The constants are the report's; SDR white, 100 cd/m², becomes 332 cd/m² whatever the peak.
    """
    del peak
    light = luminance(sdr)
    return relit(sdr, light, method_c(BT2446_SDR_CD_M2 * light) / REFERENCE_WHITE_CD_M2)


def method_c(sdr_cd_m2: FloatArray) -> FloatArray:
    """The tone curve of method C, cd/m² to cd/m²."""
    knee = BT2446_C_KNEE / BT2446_C_K1
    above = knee * (np.exp((sdr_cd_m2 - BT2446_C_K4) / BT2446_C_K2) + BT2446_C_K3)
    return np.where(sdr_cd_m2 < BT2446_C_KNEE, sdr_cd_m2 / BT2446_C_K1, above).astype(np.float32)
