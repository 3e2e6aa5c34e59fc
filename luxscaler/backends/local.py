"""Tiles upscaled in this process, on its GPU or CPU.

The network takes one tile at a time; the second worker has its tile cut and its result checked and stored
meanwhile. upscaling/render.py upscales a tile.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from luxscaler.backends.base import CPU, DeviceOutput, MasterContext, Output, Tile
from luxscaler.geometry import WHOLE
from luxscaler.picture import Picture
from luxscaler.pipeline.request import TileSettings
from luxscaler.upscaling.render import Place, render, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import PixelProgress, Upscaler

_WORKERS = 2
NETWORK_SHARE = 0.9
"""The network's share of a tile's progress; the rest, detail and colours, is reported with the tile."""


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

    def __call__(self, tile: Tile, progress: PixelProgress | None = None) -> DeviceOutput:
        """The upscaled tile, complete on the device. Raises InputError and UpscaleError."""
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
        return DeviceOutput(result.rgb, result.alpha, sum(clock.timings.values()), result.notices)


class LocalSession:
    """The network of one master, loaded."""

    workers = _WORKERS

    def __init__(
        self, renderer: TileRenderer, context: MasterContext, progress: Callable[[int, float], None] | None
    ) -> None:
        self._renderer = renderer
        self._context = context
        self._progress = progress
        self._network = threading.Lock()

    def run(self, tile: Tile) -> Output:
        """Upscale one tile. Raises InputError, UpscaleError and StoppedError."""
        stopped = self._context.raise_if_stopped

        def advance(done: int, total: int) -> None:
            stopped()
            if self._progress is not None:
                self._progress(tile.index, NETWORK_SHARE * done / max(total, 1))

        with self._network:
            stopped()
            output = self._renderer(tile, advance)
        return output if stays_on(output.rgb.device) else output.on_host()


def stays_on(device: torch.device) -> bool:
    """Whether tiles stay on the device until rows are made of them."""
    return device.type == "cuda"


class LocalBackend:
    """This process. upscaler_for: gives the upscaler of a model's name."""

    name = "local"

    def __init__(
        self,
        upscaler_for: Callable[[str], Upscaler],
        progress: Callable[[int, float], None] | None = None,
        device: str = CPU,
    ) -> None:
        """progress: called with a tile's number and its share done, 0 to 1. device: of the upscalers."""
        self.upscaler_for = upscaler_for
        self.device = device if stays_on(torch.device(device)) else CPU
        self._progress = progress

    @contextmanager
    def open(self, context: MasterContext) -> Iterator[LocalSession]:
        """Load the network. Raises InputError or WeightsError."""
        upscaler = self.upscaler_for(context.settings.model)
        renderer = TileRenderer(upscaler, context.settings, context.reference, is_hdr=context.is_hdr)
        yield LocalSession(renderer, context, self._progress)

    def tell(self, number: int, share: float) -> None:
        """Pass on what share of a tile is done, 0 to 1."""
        if self._progress is not None:
            self._progress(number, share)
