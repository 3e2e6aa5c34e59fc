"""Expansions that look at the surroundings of a pixel, written from the formulas of their sources.

Where a source leaves a parameter open, the value chosen is named here. Each is an Expansion.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.baselines.curves import inverse_reinhard
from evaluation.blur import blurred
from evaluation.expansion import TINY, gained, relit
from luxscaler.color import encode_srgb, luminance
from luxscaler.picture import FloatArray

LIGHTS_LOG2 = 8
"""Banterle: 2⁸ light sources by median cut."""
LIGHT_SIGMA, WIDE_LIGHT_SIGMA = 0.006, 0.03
"""Banterle: σ of the density estimate as a share of the picture's width, in two variants: the source leaves
the radius open, and it decides. See docs/experiments.md."""

SATURATED = 254 / 255
"""Kovaleski–Oliveira: a channel at or above it counts as saturated (still pictures)."""
SIGMA_SPACE, SIGMA_RANGE = 150 / 1920, 25 / 255
"""Kovaleski–Oliveira: 150 px at a width of 1920, and 25 codes of luma."""

BASE_SIGMA_SPACE = 0.02
"""Durand–Dorsey: 2 % of the larger side."""
BASE_SIGMA_RANGE = 0.4 * math.log2(10)
"""Durand–Dorsey: 0.4 in log10 of light, here in stops."""
MID_GREY = 0.18
DARKEST = 1 / (255 * 12.92)
"""Light of the first 8-bit sRGB code above black: logarithms end here."""


def banterle(sdr: FloatArray, peak: float, sigma: float = LIGHT_SIGMA) -> FloatArray:
    """Banterle et al., "Inverse tone mapping", GRAPHITE 2006.

    The inverse of Reinhard's equation 4, with its white at `peak` so that the curve starts with slope 1,
    blended with the SDR luminance by an expand map: the density of light sources found by median cut.
    """
    light = luminance(sdr)
    inverse = inverse_reinhard(light, peak)
    share = expand_map(light, sigma)
    return relit(sdr, light, light + share * (inverse - light))


def banterle_wide(sdr: FloatArray, peak: float) -> FloatArray:
    """The same with a wide density estimate: nearly every bright area is expanded."""
    return banterle(sdr, peak, WIDE_LIGHT_SIGMA)


def kovaleski_oliveira(sdr: FloatArray, peak: float) -> FloatArray:
    """Kovaleski, Oliveira, "High-quality reverse tone mapping for a wide range of exposures", SIBGRAPI 2014.

    A cross-bilateral filter of the mask of saturated pixels, guided by luma, gives e in [0, 1]; the picture
    is stretched to the peak and multiplied by (3e + 1)/4.
    """
    coded = encode_srgb(sdr)
    mask = (coded.max(axis=2) >= SATURATED).astype(np.float64)
    e = cross_bilateral(mask, luminance(coded), SIGMA_SPACE * sdr.shape[1], SIGMA_RANGE)
    return gained(sdr, peak * (3 * e + 1) / 4)


def durand_dorsey_inverse(sdr: FloatArray, peak: float) -> FloatArray:
    """A local tone map backwards: Durand and Dorsey, "Fast bilateral filtering", SIGGRAPH 2002.

    They compress the base, a bilateral filter of log light, and keep the detail, as phones do: bright areas
    come out darker than they were, whole, and dark ones as they were. So a base above mid-grey is stretched
    here (log2 times a factor that takes white to `peak`), what is below and all detail stays.
    """
    light = luminance(sdr)
    stops = np.log2(np.maximum(light, DARKEST)).astype(np.float32)
    base = cross_bilateral(
        stops.astype(np.float64), stops, BASE_SIGMA_SPACE * max(light.shape), BASE_SIGMA_RANGE
    )
    middle = math.log2(MID_GREY)
    stretch = (math.log2(peak) - middle) / -middle
    return gained(sdr, 2.0 ** ((stretch - 1) * np.clip(base - middle, 0, -middle)))


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
