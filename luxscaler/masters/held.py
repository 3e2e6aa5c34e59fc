"""Tiles held until their rows are done, up to a limit: on the card that made them, or in memory.

A card makes a tile of 200 MB in a tenth of a second, less than a disk takes to keep it. Such a tile goes from
where it lies into the rows; a killed run makes it again. What a processor, a paid container or a node has
worked for longer is written to the job folder, and so is what finds no room here while no rows are being
written that would make some.
"""

import threading
from collections.abc import Callable

from luxscaler.backends.base import DeviceOutput, Output
from luxscaler.isolation.memory import default_total
from luxscaler.picture import Picture
from luxscaler.tiling.strips import DeviceTile, HostTile, UpscaledTile
from luxscaler.upscaling.device_memory import has_room

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
        """budget: bytes of tiles in the host's memory at most; 0 holds none, on a card neither."""
        self._budget = budget
        self._lock = threading.Lock()
        self._released = threading.Condition(self._lock)
        self._tiles: dict[int, tuple[UpscaledTile, int, bool]] = {}
        """The tile, its bytes, and whether they are a device's."""

    def take(self, number: int, output: Output) -> bool:
        """Hold the tile, if there is room, and it is cheap or on a card; else it must be kept elsewhere."""
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
        """Let go of tiles whose rows are done."""
        with self._lock:
            over = [number for number in self._tiles if is_over(number)]
            for number in over:
                del self._tiles[number]
            if over:
                self._released.notify_all()

    def wait(self, seconds: float) -> None:
        """Until tiles are let go of, but not longer."""
        with self._released:
            self._released.wait(seconds)


def is_cheap(output: Output) -> bool:
    """Whether this program made the tile, unpaid, in less time than a disk takes for its bytes."""
    is_own = isinstance(output, DeviceOutput) or (output.trusted and output.dollars == 0.0)
    return is_own and 0.0 < output.seconds < output.size / DISK_BYTES_PER_SECOND
