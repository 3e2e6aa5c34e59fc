"""Tiles upscaled in this process, on its GPU or CPU.

The network takes one tile at a time; the second worker has its tile cut and its result checked and stored
meanwhile. How a tile is upscaled is render.py's business.
"""

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.geometry import WHOLE
from luxscaler.picture import Picture
from luxscaler.pipeline.request import TileSettings
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.render import Place, render, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import Progress, Upscaler

_WORKERS = 2


class TileRenderer:
    """Upscales the tiles of one master with one network; what all tiles share is computed once."""

    def __init__(
        self, upscaler: Upscaler, settings: TileSettings, reference: Picture | None, *, is_hdr: bool
    ) -> None:
        """reference, is_hdr: as in MasterContext."""
        self._upscaler = upscaler
        self._settings = settings
        self._is_hdr = is_hdr
        self._reference: Tensor | None = None
        if reference is not None:
            self._reference = torch.from_numpy(visible(reference).rgb).to(upscaler.device)

    def __call__(self, tile: Tile, progress: Progress | None = None) -> TileOutput:
        """The tile upscaled. Raises InputError and UpscaleError."""
        clock = Stopwatch(self._upscaler.device)
        result = render(
            visible(tile.picture),
            self._upscaler,
            scale=self._settings.scale,
            fractality=self._settings.fractality,
            is_hdr=self._is_hdr,
            reference=self._reference,
            place=Place(tile.box or WHOLE, is_own=True),
            clock=clock,
            progress=progress,
        )
        alpha = None if result.alpha is None else to_host(result.alpha)
        seconds = sum(clock.timings.values())
        return TileOutput(to_host(result.rgb), alpha, seconds, notices=result.notices, trusted=True)


class LocalBackend:
    """This process. `upscaler_for` gives the upscaler of a model's name."""

    name = "local"
    workers = _WORKERS

    def __init__(
        self,
        upscaler_for: Callable[[str], Upscaler],
        progress: Callable[[int, float], None] | None = None,
    ) -> None:
        """progress: told a tile's number and what share of it is done, 0 to 1."""
        self.upscaler_for = upscaler_for
        self._progress = progress
        self._network = threading.Lock()
        self._renderer: TileRenderer | None = None
        self._context: MasterContext | None = None

    def start(self, context: MasterContext) -> None:
        """Load the network. Raises InputError or WeightsError."""
        upscaler = self.upscaler_for(context.settings.model)
        self._renderer = TileRenderer(upscaler, context.settings, context.reference, is_hdr=context.is_hdr)
        self._context = context

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile. Raises InputError, UpscaleError and StoppedError."""
        assert self._renderer is not None  # noqa: S101 - start comes first
        assert self._context is not None  # noqa: S101
        stopped = self._context.raise_if_stopped

        def advance(done: int, total: int) -> None:
            stopped()
            self.tell(tile.index, done / max(total, 1))

        with self._network:
            stopped()
            return self._renderer(tile, advance)

    def tell(self, number: int, share: float) -> None:
        """Pass on what share of a tile is done, 0 to 1."""
        if self._progress is not None:
            self._progress(number, share)

    def close(self) -> None:
        """Forget the network."""
        self._renderer = None
