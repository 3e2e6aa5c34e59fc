"""A job that leaves nothing behind: for a master of one tile that is upscaled on this machine for nothing.

The same face as JobFolder, for as long as the process lives. Its ledger holds no calls, since nothing is
paid.
"""

from collections.abc import Sequence
from pathlib import Path

from luxscaler.backends.base import Intent, TileOutput
from luxscaler.picture import Picture


class MemoryTile:
    """An upscaled tile in memory, read like a LinearFile."""

    def __init__(self, output: TileOutput) -> None:
        self.width = int(output.rgb.shape[1])
        self._output = output

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right), as a copy."""
        alpha = self._output.alpha
        part = None if alpha is None else alpha[top:bottom, left:right].copy()
        return Picture(self._output.rgb[top:bottom, left:right].copy(), part)


class MemoryJob:
    """Tiles in memory; the picture itself lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.spool_path = folder / "source.spool"
        self._tiles: dict[int, MemoryTile] = {}

    def records(self) -> Sequence[int]:
        """Numbers of the tiles that are done."""
        return list(self._tiles)

    def intact(self) -> set[int]:
        """The same: memory does not rot."""
        return set(self._tiles)

    def store(self, number: int, output: TileOutput, attempts: int) -> None:  # noqa: ARG002
        """Keep an upscaled tile."""
        self._tiles[number] = MemoryTile(output)

    def tile(self, number: int) -> MemoryTile:
        """A tile that is done."""
        return self._tiles[number]

    def announce(self, tile: int, marker: str) -> int:
        """Nothing is paid without a job folder."""
        raise NotImplementedError("a paid call needs a job folder")

    def created(self, number: int, prediction: str) -> None:
        """As `announce`."""
        raise NotImplementedError("a paid call needs a job folder")

    def settle(self, number: int, outcome: str, seconds: float = 0.0, dollars: float = 0.0) -> None:
        """As `announce`."""
        raise NotImplementedError("a paid call needs a job folder")

    def open_intents(self, tile: int | None = None) -> Sequence[Intent]:  # noqa: ARG002
        """There are none."""
        return ()

    def spent(self) -> float:
        """Nothing."""
        return 0.0

    def remember(self, key: str, value: str) -> None:
        """There is no later run to remember for."""

    def recall(self, key: str) -> str | None:  # noqa: ARG002
        """As `remember`."""
        return None
