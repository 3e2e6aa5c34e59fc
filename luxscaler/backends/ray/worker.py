"""What runs on the nodes of a Ray cluster: a network, loaded once, and tiles. It imports no Ray.

LuxScaler and the weights must be installed on every node.
"""

from collections.abc import Callable

import torch

from luxscaler.backends.base import Output, Tile, TileOutput
from luxscaler.backends.local import TileRenderer
from luxscaler.errors import TileError
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Picture
from luxscaler.pipeline.request import TileSettings
from luxscaler.upscaling.model_cache import Models


class Worker:
    """A network on one GPU, or on some cores of a CPU."""

    def __init__(self, threads: int | None) -> None:
        """threads: how many PyTorch uses on the CPU; None: as many as it takes by itself."""
        if threads is not None:
            torch.set_num_threads(threads)
        self._upscale: Callable[[Tile], Output] = _not_loaded

    def load(
        self, upscaler: UpscalerOptions, settings: TileSettings, reference: Picture | None, is_hdr: bool
    ) -> None:
        """Load the network. Not done in `__init__`, where Ray would bury the reason of a failure in text."""
        models = Models(upscaler, own_checkpoints=True)
        self._upscale = TileRenderer(models(settings.model), settings, reference, is_hdr=is_hdr)

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile."""
        return self._upscale(tile).on_host()


def _not_loaded(_tile: Tile) -> Output:
    raise TileError("the worker has no network yet")
