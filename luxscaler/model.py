"""`load_model`: a network on a device, for pictures in memory.

It loads a network once for many pictures; `luxscaler.upscale` (api.py) takes pictures of any size to files.
"""

import os
from dataclasses import dataclass, replace

import torch

from luxscaler.checks import path_text
from luxscaler.geometry import TileBox
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Picture
from luxscaler.pipeline.request import DEFAULT_TILE, UpscaleRequest
from luxscaler.pipeline.stages import read_sources, render_sources
from luxscaler.upscaling.upscaler import PixelProgress, Upscaler
from luxscaler.weights.fetch import fetch_known
from luxscaler.weights.store import load_network


@dataclass(frozen=True)
class Model:
    """A network on a device, made by `load_model`. Several threads may share it."""

    name: str
    """Its name in the catalogue, or the checkpoint's file name."""
    scale: int
    """Output size / input size of the network itself; `upscale` gives any other by resizing."""
    device: torch.device
    dtype: torch.dtype
    """What the network computes in; what goes in and comes out is float32."""
    upscaler: Upscaler

    def upscale(
        self,
        picture: Picture,
        scale: float | None = None,
        *,
        fractality: float = 1.0,
        reference: Picture | None = None,
        tile_box: TileBox | None = None,
        self_reference: bool = True,
        tile: int = DEFAULT_TILE,
        overlap: int | None = None,
        progress: PixelProgress | None = None,
    ) -> Picture:
        """The picture at `scale` times its size (the network's own if not given, 1 to 8), in memory.

        Linear light in and out, range and gamut as they come. The pixels are those that `luxscaler.upscale`
        writes at hdr_boost 1. Arguments as there; progress: told source pixels done, and in all.
        Raises InputError and UpscaleError.
        """
        request = UpscaleRequest(
            picture,
            reference=reference,
            box=tile_box,
            output_format="exr",
            fractality=fractality,
            scale=float(self.scale) if scale is None else scale,
            model=self.name,
            self_reference=self_reference,
            tile=tile,
            overlap=overlap,
        )
        finished = render_sources(read_sources(request), self.upscaler, progress)
        source = replace(finished.source, notices=finished.notices)
        return Picture(finished.light.rgb, finished.light.alpha, source).as_read()


def load_model(
    name: str | os.PathLike[str] = "photo",
    *,
    device: str = "auto",
    precision: str = "auto",
    fetch: bool = False,
) -> Model:
    """A network of the catalogue ("photo", "anime", "fast"), a fetched one or a checkpoint's, on a device.

    Raises InputError for a device or precision that this machine does not have, WeightsError for weights that
    are absent (fetch=True brings those of the catalogue), damaged or of an unknown architecture.
    """
    if fetch:
        fetch_known(path_text("name", name))
    loaded = load_network(path_text("name", name))
    upscaler = Upscaler(loaded.module, UpscalerOptions(device=device, precision=precision))
    return Model(loaded.name, loaded.scale, upscaler.device, upscaler.dtype, upscaler)
