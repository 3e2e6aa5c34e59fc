"""One tile's pixels: network, detail, low band. What the pipeline and the backends do alike.

    Picture → upscaler → detail → reference → upscaled light

No file is read or written here and no dynamic range expanded; how a stage works is the stage's own business.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from luxscaler.detail import shape_detail
from luxscaler.errors import InputError
from luxscaler.matte import fill_transparent
from luxscaler.picture import Picture
from luxscaler.reference import FOUND_CELL_REFERENCE_PIXELS, WHOLE, TileBox, match_low_band
from luxscaler.registration import locate
from luxscaler.upscaler import Progress, Upscaler


@dataclass
class Clock:
    """Adds up the seconds of the stages of one tile."""

    device: torch.device
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, under that name."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # kernels run on after their call has returned
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Rendered:
    """An upscaled tile, linear light, on the upscaler's device."""

    rgb: Tensor
    """(H, W, 3) float32."""
    alpha: Tensor | None
    """(H, W) float32 in [0, 1]."""
    box: TileBox | None
    """Where it sits in the reference (or in itself, if there is none); None: not known."""
    notices: tuple[str, ...] = ()


def visible(picture: Picture) -> Picture:
    """The picture with the colour of transparent pixels filled in from what can be seen.

    Colour that nobody sees must not count: not for the statistics, the low band, nor the network.
    """
    if picture.alpha is None:
        return picture
    filled = fill_transparent(torch.from_numpy(picture.rgb), torch.from_numpy(picture.alpha))
    return replace(picture, rgb=filled.numpy())


def render(
    tile: Picture,
    upscaler: Upscaler,
    *,
    scale: float,
    fractality: float,
    is_hdr: bool,
    reference: Tensor | None = None,
    box: TileBox | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Rendered:
    """Upscale a tile and give it the low band of the reference.

    tile: as `visible` gives it. is_hdr: whether the picture that it is of holds light above SDR white.
    reference: (h, w, 3) float32, linear light, the whole picture at any size, on the upscaler's device.
    box: where the tile sits in it; searched for when it is not said. Raises InputError and UpscaleError.
    """
    clock = clock or Clock(upscaler.device)
    with clock.stage("network"):
        # A float or HDR file holds measured or rendered light; an SDR one also noise and compression to lose.
        faithful = tile.source.is_float or is_hdr
        rgb = upscaler.upscale(torch.from_numpy(tile.rgb), scale, faithful=faithful, progress=progress)
        alpha = None
        if tile.alpha is not None:
            alpha = upscaler.upscale_alpha(torch.from_numpy(tile.alpha), scale)
    with clock.stage("detail"):
        rgb = shape_detail(rgb, (tile.height, tile.width), fractality, in_place=True)
    place: TileBox | None = WHOLE
    notices: tuple[str, ...] = ()
    with clock.stage("reference"):
        if reference is not None:
            rgb, place, notices = _follow(rgb, tile, reference, box)
    return Rendered(rgb, alpha, place, notices)


def _follow(
    rgb: Tensor, tile: Picture, reference: Tensor, box: TileBox | None
) -> tuple[Tensor, TileBox | None, tuple[str, ...]]:
    """The low band of the reference, and the tile's place in it, where that is known or found."""
    size = (tile.height, tile.width)
    if tile.alpha is not None and not tile.alpha.any():
        return rgb, box, ()  # there is nothing to see, so nothing to compare
    if box is not None:
        return match_low_band(rgb, size, reference, box), box, ()
    found = locate(torch.from_numpy(tile.rgb), reference)
    if found is None:
        notice = (
            "the tile's place in global_reference is ambiguous: only its tone statistics were used; "
            "give tile_box for its colours"
        )
        return rgb, None, (notice,)
    try:
        rgb = match_low_band(rgb, size, reference, found, cell_pixels=FOUND_CELL_REFERENCE_PIXELS)
    except InputError as error:  # nobody has said that the tile is there
        return rgb, None, (f"only the tone statistics of global_reference were used: {error}",)
    return rgb, found, (f"found the tile in global_reference at tile_box {found}",)
