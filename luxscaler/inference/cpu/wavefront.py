"""The order in which the convolutions of a dense block run over bands of rows: a wavefront.

A 3 × 3 convolution reads one row of the bands above and below, so level k of a band can be computed once
level k − 1 exists on the band and its two neighbours. The levels therefore move down the picture one band
apart from each other. Nothing is computed twice, and only `LIVE_BANDS` bands are in use at any time, so
memory does not grow with the picture's height.
"""

from collections.abc import Callable
from dataclasses import dataclass

LEVELS = 5
"""Convolutions of a dense block."""
SPREAD_BANDS = 3
"""Bands of one level that `spread` uses: a band and its two neighbours."""
LIVE_BANDS = LEVELS + 2
"""From a band's level 0 until its neighbour below has spread level 4, when its slot becomes free."""


@dataclass(frozen=True)
class Bands:
    """Rows cut into bands of equal height; the last one may reach beyond the end."""

    rows: int
    height: int

    @property
    def count(self) -> int:
        """The number of bands."""
        return -(-self.rows // self.height)

    @property
    def slots(self) -> int:
        """The number of bands that must be held in memory at once."""
        return min(self.count, LIVE_BANDS)

    @staticmethod
    def cut(rows: int, target: int) -> "Bands":
        """The fewest bands of at most `target` rows, all of the same height."""
        count = -(-rows // max(target, 1))
        return Bands(rows, -(-rows // count))


def run_wavefront(bands: int, make: Callable[[int, int], None], spread: Callable[[int, int], None]) -> None:
    """Call `make(level, band)` for levels 0 to LEVELS, and `spread(level, band)` for levels below LEVELS.

    make(level, band) comes after spread(level − 1, band); spread(level, band) after make(level, ·) of the
    band and of those of its two neighbours that exist.
    """
    for step in range(bands + LEVELS):
        for level in range(LEVELS + 1):
            band = step - level
            if 0 <= band < bands:
                make(level, band)
            if level < LEVELS and 0 <= band - 1 < bands:
                spread(level, band - 1)
