"""Gaussian blur of small NumPy arrays along chosen axes: what two of the baselines need, without SciPy."""

import numpy as np
from numpy.typing import NDArray

CUT_OFF = 4.0
"""Where the kernel ends, in σ."""


def blurred(values: NDArray[np.float64], sigmas: tuple[float, ...]) -> NDArray[np.float64]:
    """Blur along every axis by its σ in samples; outside the array counts as 0, so sums can only fall."""
    for axis, sigma in enumerate(sigmas):
        if sigma > 0:
            radius = max(1, round(CUT_OFF * sigma))
            kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
            values = _convolved(values, kernel / kernel.sum(), axis)
    return values


def _convolved(values: NDArray[np.float64], kernel: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    radius, length = len(kernel) // 2, values.shape[axis]
    moved = np.moveaxis(values, axis, 0).reshape(length, -1)
    rows = np.arange(length)
    # Row i, column j of the matrix: what sample j gives to result i.
    distance = rows[:, None] - rows[None, :] + radius
    inside = (distance >= 0) & (distance < len(kernel))
    matrix = np.where(inside, kernel[np.clip(distance, 0, len(kernel) - 1)], 0.0)
    others = np.delete(values.shape, axis)
    return np.moveaxis((matrix @ moved).reshape(length, *others), 0, axis)
