"""The alpha of rows that are blended out of tiles."""

import numpy as np

from luxscaler.picture import FloatArray


class Coverage:
    """Alpha of rows that are being blended.

    Weights add up to one but for the last bit, so what all tiles of a pixel agree on is kept: clear stays
    exactly clear, and opaque opaque.
    """

    def __init__(self, height: int, width: int) -> None:
        self._sum = np.zeros((height, width), np.float32)
        self._least = np.ones_like(self._sum)
        self._most = np.zeros_like(self._sum)

    def add(self, place: tuple[slice, slice], alpha: FloatArray, weight: FloatArray) -> None:
        """A tile's alpha, (n, w) in [0, 1], times its weights; where those are 0 it does not count."""
        self._sum[place] += alpha * weight
        counts = weight > 0.0
        np.minimum(self._least[place], alpha, out=self._least[place], where=counts)
        np.maximum(self._most[place], alpha, out=self._most[place], where=counts)

    def blended(self) -> FloatArray:
        """(height, width) in [0, 1]."""
        return np.clip(self._sum, self._least, self._most)
