"""Tiles that are sooner made again than written: kept in memory until their rows are done, up to a limit.

A card makes a tile of 200 MB in a tenth of a second, less than a disk takes to keep it. Such a tile goes from
memory into the rows; a killed run makes it again. What a processor, a paid container or a node has worked for
longer is written to the job folder, and so is whatever finds no room here.
"""

import threading
from collections.abc import Callable

from luxscaler.backends.base import TileOutput
from luxscaler.isolation.memory import default_total
from luxscaler.picture import Picture
from luxscaler.tiling.assembly import TileInMemory

DISK_BYTES_PER_SECOND = 500e6
"""What a usual disk writes, and so what a tile must have cost to be worth writing."""
MOST_BYTES = 2 * 2**30
_SHARE = 1 / 6
"""Of what decoding may take, which leaves an eighth of the machine's memory."""


def usual_budget() -> int:
    """Bytes of tiles that may be held on this machine."""
    return min(MOST_BYTES, int(default_total() * _SHARE))


class HeldTiles:
    """Called from the threads that make tiles and the one that writes rows."""

    def __init__(self, budget: int) -> None:
        """budget: bytes of tiles at most; 0 holds none."""
        self._budget = budget
        self._lock = threading.Lock()
        self._tiles: dict[int, tuple[TileInMemory, int]] = {}

    def take(self, number: int, output: TileOutput) -> bool:
        """Hold the tile, if it is cheap and there is room; else it must be kept elsewhere."""
        size = output.rgb.nbytes + (0 if output.alpha is None else output.alpha.nbytes)
        if not is_cheap(output, size):
            return False
        with self._lock:
            if sum(held for _, held in self._tiles.values()) + size > self._budget:
                return False
            self._tiles[number] = (TileInMemory(Picture(output.rgb, output.alpha)), size)
        return True

    def get(self, number: int) -> TileInMemory | None:
        """The tile, if it is held."""
        with self._lock:
            tile, _ = self._tiles.get(number, (None, 0))
        return tile

    def release(self, is_over: Callable[[int], bool]) -> None:
        """Let go of tiles whose rows are done."""
        with self._lock:
            for number in [number for number in self._tiles if is_over(number)]:
                del self._tiles[number]


def is_cheap(output: TileOutput, size: int) -> bool:
    """Whether this program made the tile, unpaid, in less time than a disk takes for its bytes."""
    return output.trusted and output.dollars == 0.0 and 0.0 < output.seconds < size / DISK_BYTES_PER_SECOND
