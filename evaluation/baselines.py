"""Published expansions of SDR to HDR, each written from the formulas of its source.

Each takes an SDR picture, (H, W, 3) float32 linear Rec.709 in [0, 1], and the peak that SDR white may reach
(1.0 = 203 cd/m²), and returns the same shape, unbounded. Where a source leaves a parameter open, the value
chosen is named beside it. "Gain" methods multiply the three channels alike, which keeps the hue.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaluation.blur import blurred
from luxscaler.color import REC709, REC2020, apply_matrix, encode_srgb, luminance, rgb_to_rgb
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

Expansion = Callable[[FloatArray, float], FloatArray]
TINY = 1e-9

LANDIS_THRESHOLD, LANDIS_EXPONENT = 0.5, 2.0
QUARTIC_KNEE = 0.5

LIGHTS_LOG2 = 8
"""Banterle: 2⁸ light sources by median cut."""
LIGHT_SIGMA, WIDE_LIGHT_SIGMA = 0.006, 0.03
"""Banterle: σ of the density estimate as a share of the picture's width, in two variants: the source leaves
the radius open, and it decides. See docs/experiments.md."""

SATURATED = 254 / 255
"""Kovaleski–Oliveira: a channel at or above it counts as saturated (still pictures)."""
SIGMA_SPACE, SIGMA_RANGE = 150 / 1920, 25 / 255
"""Kovaleski–Oliveira: 150 px at a width of 1920, and 25 codes of luma."""

BT2446_SDR_CD_M2 = 100.0
BT2446_C_K1, BT2446_C_K2, BT2446_C_K3, BT2446_C_K4 = 0.83802, 15.09968, 0.74204, 78.99439
BT2446_C_KNEE = 58.5
"""Method C, section 6: constants for an HDR peak of 1000 cd/m²; the knee is in cd/m² of SDR."""


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
    return _gained(sdr, 1 + (peak - 1) * weight)


def akyuz(sdr: FloatArray, peak: float) -> FloatArray:
    """Akyüz et al., "Do HDR displays support LDR content?", SIGGRAPH 2007: a linear stretch (γ = 1)."""
    light = luminance(sdr)
    low, high = float(light.min()), float(light.max())
    if high <= low:
        return sdr
    return _relit(sdr, light, peak * (light - low) / (high - low))


def banterle(sdr: FloatArray, peak: float, sigma: float = LIGHT_SIGMA) -> FloatArray:
    """Banterle et al., "Inverse tone mapping", GRAPHITE 2006.

    The inverse of Reinhard's equation 4, with its white at `peak` so that the curve starts with slope 1,
    blended with the SDR luminance by an expand map: the density of light sources found by median cut.
    """
    light = luminance(sdr)
    inverse = inverse_reinhard(light, peak)
    share = expand_map(light, sigma)
    return _relit(sdr, light, light + share * (inverse - light))


def inverse_reinhard(light: FloatArray, peak: float) -> FloatArray:
    """The L for which L(1 + L/peak²)/(1 + L) is `light`: 0 → 0, 1 → peak."""
    below = light - 1
    return np.asarray(0.5 * peak**2 * (below + np.sqrt(below**2 + 4 * light / peak**2)), np.float32)


def banterle_wide(sdr: FloatArray, peak: float) -> FloatArray:
    """The same with a wide density estimate: nearly every bright area is expanded."""
    return banterle(sdr, peak, WIDE_LIGHT_SIGMA)


def expand_map(light: FloatArray, sigma: float) -> FloatArray:
    """Banterle's map, (H, W) in [0, 1]: a density estimate of the light sources, 1 at its maximum.

    sigma: of the estimate, as a share of the width.
    """
    sources = np.zeros(light.shape)
    for row, column, power in median_cut(light.astype(np.float64), LIGHTS_LOG2):
        sources[row, column] += power
    density = blurred(sources, (sigma * light.shape[1],) * 2)
    return np.asarray(density / max(float(density.max()), TINY), np.float32)


def median_cut(light: NDArray[np.float64], depth: int) -> list[tuple[int, int, float]]:
    """Debevec, "A median cut algorithm for light probe sampling", SIGGRAPH 2006 posters: 2^depth lights.

    light: (H, W). Returns row, column (the region's centroid) and power (its sum) of each region.
    """
    regions = [(0, light.shape[0], 0, light.shape[1])]
    for _ in range(depth):
        regions = [half for region in regions for half in _halves(light, region)]
    found = []
    for top, bottom, left, right in regions:
        part = light[top:bottom, left:right]
        power = float(part.sum())
        if power > 0:
            row = float(part.sum(1) @ np.arange(top, bottom)) / power
            column = float(part.sum(0) @ np.arange(left, right)) / power
            found.append((round(row), round(column), power))
    return found


def kovaleski_oliveira(sdr: FloatArray, peak: float) -> FloatArray:
    """Kovaleski, Oliveira, "High-quality reverse tone mapping for a wide range of exposures", SIBGRAPI 2014.

    A cross-bilateral filter of the mask of saturated pixels, guided by luma, gives e in [0, 1]; the picture
    is stretched to the peak and multiplied by (3e + 1)/4.
    """
    coded = encode_srgb(sdr)
    mask = (coded.max(axis=2) >= SATURATED).astype(np.float64)
    e = cross_bilateral(mask, luminance(coded), SIGMA_SPACE * sdr.shape[1], SIGMA_RANGE)
    return _gained(sdr, peak * (3 * e + 1) / 4)


def cross_bilateral(
    values: NDArray[np.float64], guide: FloatArray, sigma_space: float, sigma_range: float
) -> FloatArray:
    """Filter (H, W) `values` with weights by distance and by difference of `guide`, by a bilateral grid.

    Chen, Paris and Durand, SIGGRAPH 2007: one cell per σ in each direction, nearest when writing, trilinear
    when reading.
    """
    rows, columns = np.indices(guide.shape)
    low = float(guide.min())
    at = np.stack([rows / sigma_space, columns / sigma_space, (guide - low) / sigma_range])
    cells = np.round(at).astype(int)
    shape = tuple(int(n) + 2 for n in cells.max(axis=(1, 2)))
    total, weight = np.zeros(shape), np.zeros(shape)
    np.add.at(total, tuple(cells), values)
    np.add.at(weight, tuple(cells), 1.0)
    ones = (1.0, 1.0, 1.0)
    result = _trilinear(blurred(total, ones), at) / np.maximum(_trilinear(blurred(weight, ones), at), TINY)
    return np.asarray(result, np.float32)


def bt2446_a(sdr: FloatArray, peak: float) -> FloatArray:
    """Report ITU-R BT.2446-1, method A, SDR to HDR (table 4): SDR white to 1000 cd/m², here to `peak`.

    Works on the gamma-2.4 luma of BT.2020: Y' in [0, 255] becomes Y'^E, E a quadratic in Y'; the colour
    differences are scaled by 1.075 times the gain.
    """
    wide = np.maximum(apply_matrix(sdr, rgb_to_rgb(REC709, REC2020)), 0) ** (1 / 2.4)
    luma = (wide @ np.array([0.2627, 0.6780, 0.0593])).astype(np.float64)
    code = 255 * luma
    exponent = np.where(
        code <= 70,
        (1.8712e-5 * code - 2.7334e-3) * code + 1.3141,
        (2.8305e-6 * code - 7.4622e-4) * code + 1.2528,
    )
    expanded = code**exponent
    gain = np.where(luma > 0, 1.075 * expanded / np.maximum(luma, TINY), 1.0)
    # R' − Y' is 1.4746 C'r, B' − Y' is 1.8814 C'b; G' then follows from the luma equation.
    difference = (wide - luma[..., None]) * gain[..., None]
    coded = np.clip(expanded[..., None] + difference, 0, 1000) / 1000
    return apply_matrix((peak * coded**2.4).astype(np.float32), rgb_to_rgb(REC2020, REC709))


def bt2446_c(sdr: FloatArray, peak: float) -> FloatArray:
    """Report ITU-R BT.2446-1, method C, SDR to HDR: luminance only, without the optional crosstalk (α = 0).

    The constants are the report's; SDR white, 100 cd/m², becomes 332 cd/m² whatever the peak.
    """
    del peak
    light = luminance(sdr)
    return _relit(sdr, light, method_c(BT2446_SDR_CD_M2 * light) / REFERENCE_WHITE_CD_M2)


def method_c(sdr_cd_m2: FloatArray) -> FloatArray:
    """The tone curve of method C, cd/m² to cd/m²."""
    knee = BT2446_C_KNEE / BT2446_C_K1
    above = knee * (np.exp((sdr_cd_m2 - BT2446_C_K4) / BT2446_C_K2) + BT2446_C_K3)
    return np.where(sdr_cd_m2 < BT2446_C_KNEE, sdr_cd_m2 / BT2446_C_K1, above).astype(np.float32)


def quartic(sdr: FloatArray, peak: float) -> FloatArray:
    """Midtones pinned: the gain 1 + (peak − 1)·((m − 0.5)/0.5)⁴ of the largest channel m, sRGB-coded."""
    brightest = encode_srgb(sdr.max(axis=2))
    return _gained(sdr, 1 + (peak - 1) * np.clip((brightest - QUARTIC_KNEE) / (1 - QUARTIC_KNEE), 0, 1) ** 4)


BASELINES: dict[str, Expansion] = {
    "SDR untouched": untouched,
    "Landis 2002": landis,
    "Akyüz 2007": akyuz,
    "Banterle 2006": banterle,
    "Banterle 2006, wide map": banterle_wide,
    "Kovaleski–Oliveira 2014": kovaleski_oliveira,
    "BT.2446-1 A": bt2446_a,
    "BT.2446-1 C": bt2446_c,
    "pinned quartic": quartic,
}
"""By the name in the tables."""


def _gained(sdr: FloatArray, gain: NDArray[np.floating]) -> FloatArray:
    return np.asarray(sdr * gain[..., None], np.float32)


def _relit(sdr: FloatArray, light: FloatArray, target: NDArray[np.floating]) -> FloatArray:
    """The picture with the luminance `target` in place of `light`; black stays black."""
    return _gained(sdr, target / np.maximum(light, TINY))


def _halves(light: NDArray[np.float64], region: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """Cut a region across its longer side where both parts hold as nearly the same power as can be."""
    top, bottom, left, right = region
    tall = bottom - top >= right - left
    if max(bottom - top, right - left) < 2:
        return [region]
    sums = np.cumsum(light[top:bottom, left:right].sum(axis=1 if tall else 0))
    cut = 1 + int(np.argmin(np.abs(sums[:-1] - sums[-1] / 2)))
    if tall:
        return [(top, top + cut, left, right), (top + cut, bottom, left, right)]
    return [(top, bottom, left, left + cut), (top, bottom, left + cut, right)]


def _trilinear(grid: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of a 3-D grid at (3, H, W) fractional cells."""
    floor = np.floor(at).astype(int)
    part = at - floor
    result = np.zeros(at.shape[1:])
    for corner in np.ndindex(2, 2, 2):
        offset = np.array(corner)[:, None, None]
        cell = np.minimum(floor + offset, np.array(grid.shape)[:, None, None] - 1)
        result += grid[tuple(cell)] * np.prod(np.where(offset == 1, part, 1 - part), axis=0)
    return result
