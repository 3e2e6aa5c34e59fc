"""Tiles held until their rows are done, up to a limit: on the card that made them, or in memory.

A card makes a tile of 200 MB in a tenth of a second, less than a disk takes to store it. Such a tile is held,
and a run that goes on after a kill makes it again. Tiles that took longer (a processor, a node) or were paid
for are written to the job folder, and so are those for which no room is left, unless rows are being written
that will free some.
"""

import threading
from collections.abc import Callable

from luxscaler.backends.base import DeviceOutput, Output
from luxscaler.isolation.memory import default_total
from luxscaler.picture import Picture
from luxscaler.tiling.strips import DeviceTile, HostTile, UpscaledTile
from luxscaler.upscaling.device_memory import has_room

DISK_BYTES_PER_SECOND = 500e6
"""What a usual disk writes: a tile that took less time than that is made again rather than written."""
MOST_BYTES = 2 * 2**30
_SHARE = 1 / 6
"""Of what decoding may take together: an eighth of the machine's memory."""


def usual_budget() -> int:
    """Bytes of tiles that may be held on this machine."""
    return min(MOST_BYTES, int(default_total() * _SHARE))


class HeldTiles:
    """Upscaled tiles by number; used by the threads that make tiles and the one that writes rows."""

    def __init__(self, budget: int) -> None:
        """budget: most bytes of tiles in the host's memory; 0: no tile is held, not on a card either."""
        self._budget = budget
        self._lock = threading.Lock()
        self._released = threading.Condition(self._lock)
        self._tiles: dict[int, tuple[UpscaledTile, int, bool]] = {}
        """The tile, its bytes, and whether they are a device's."""

    def take(self, number: int, output: Output) -> bool:
        """Hold the tile if there is room and it is cheap or on a card; False: it must be stored instead."""
        on_device = isinstance(output, DeviceOutput)
        if not (self._budget and (on_device or is_cheap(output))):
            return False
        with self._lock:
            held = sum(size for _, size, where in self._tiles.values() if where == on_device)
            if isinstance(output, DeviceOutput):
                if not has_room(output.rgb.device, held, output.size):
                    return False
                tile: UpscaledTile = DeviceTile(output.rgb, output.alpha)
            elif held + output.size > self._budget:
                return False
            else:
                tile = HostTile(Picture(output.rgb, output.alpha))
            self._tiles[number] = (tile, output.size, on_device)
        return True

    def get(self, number: int) -> UpscaledTile | None:
        """The tile, if it is held."""
        with self._lock:
            return self._tiles[number][0] if number in self._tiles else None

    def release(self, is_over: Callable[[int], bool]) -> None:
        """Drop the tiles for which `is_over` is true: their rows are done."""
        with self._lock:
            over = [number for number in self._tiles if is_over(number)]
            for number in over:
                del self._tiles[number]
            if over:
                self._released.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait until tiles are dropped, for so long at most."""
        with self._released:
            self._released.wait(seconds)


def is_cheap(output: Output) -> bool:
    """Whether this process made the tile, without pay, in less time than a disk takes to write it."""
    is_own = isinstance(output, DeviceOutput) or (output.trusted and output.dollars == 0.0)
    return is_own and 0.0 < output.seconds < output.size / DISK_BYTES_PER_SECOND
