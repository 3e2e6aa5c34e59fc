"""A backend without a network: it repeats pixels, and on request fails as real ones do."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from luxscaler.backends.base import CPU, MasterContext, Tile, TileOutput

Mishap = Callable[[Tile, TileOutput], TileOutput]
"""Changes what comes back, or raises."""


def nearest(tile: Tile) -> TileOutput:
    """The tile with its pixels repeated to the size asked for; in one pass, where factors are whole."""
    (height, width), rgb = tile.output_size, tile.picture.rgb
    down, across = height // len(rgb), width // rgb.shape[1]
    if tile.picture.alpha is None and (down * len(rgb), across * rgb.shape[1]) == (height, width):
        repeated = np.empty((len(rgb), down, width * 3), np.float32)
        repeated[:] = rgb.repeat(across, axis=1).reshape(len(rgb), 1, width * 3)
        return TileOutput(repeated.reshape(height, width, 3))
    rows, columns = (
        np.arange(size) * length // size
        for size, length in zip(tile.output_size, (tile.picture.height, tile.picture.width), strict=True)
    )
    alpha = tile.picture.alpha
    return TileOutput(
        np.ascontiguousarray(tile.picture.rgb[rows][:, columns]),
        None if alpha is None else np.ascontiguousarray(alpha[rows][:, columns]),
    )


@dataclass
class FakeBackend:
    """Upscales by repetition. `mishaps`: what happens to an attempt at a tile, by (tile, attempt)."""

    workers: int = 2
    seconds: float = 0.0
    """How long a tile takes."""
    trusted: bool = False
    """Whether tiles come as from a network of this program, with the seconds that they took."""
    prepared: bool = False
    """Whether tiles of a size are all the first one of it: a network that costs this processor nothing."""
    at_once: int = 0
    """How many tiles it works on at once, if fewer than it has workers; the others wait their turn."""
    mishaps: Mapping[tuple[int, int], Mishap] = field(default_factory=dict)
    name: str = "fake"
    device: str = CPU
    calls: list[tuple[int, int]] = field(default_factory=list)
    """(tile, attempt) of every call."""
    contexts: list[MasterContext] = field(default_factory=list)
    """Of every time that it was opened."""
    closed: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self._prepared: dict[tuple[int, int], TileOutput] = {}
        self._turn = threading.Semaphore(self.at_once or self.workers)

    @contextmanager
    def open(self, context: MasterContext) -> Iterator["FakeSession"]:
        self.contexts.append(context)
        try:
            yield FakeSession(self, context)
        finally:
            self.closed += 1

    def _output(self, tile: Tile) -> TileOutput:
        if not self.prepared:
            return nearest(tile)
        if tile.output_size not in self._prepared:
            self._prepared[tile.output_size] = nearest(tile)
        return self._prepared[tile.output_size]

    def upscaled(self, tile: Tile, context: MasterContext) -> TileOutput:
        """What comes of one call."""
        with self._lock:
            self.calls.append((tile.index, tile.attempt))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            with self._turn:
                until = time.monotonic() + self.seconds
                output = self._output(tile)
                if self.trusted:
                    output = replace(output, seconds=self.seconds, trusted=True)
                while (left := until - time.monotonic()) > 0:
                    context.raise_if_stopped()
                    time.sleep(min(left, 0.05))
            mishap = self.mishaps.get((tile.index, tile.attempt))
            return output if mishap is None else mishap(tile, output)
        finally:
            with self._lock:
                self._now -= 1


@dataclass
class FakeSession:
    """A FakeBackend that is open."""

    backend: FakeBackend
    context: MasterContext

    @property
    def workers(self) -> int:
        return self.backend.workers

    def run(self, tile: Tile) -> TileOutput:
        return self.backend.upscaled(tile, self.context)
