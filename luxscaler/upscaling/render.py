"""One tile's pixels: network, detail, low band; shared by the pipeline and the backends.

    Picture → upscaler → detail → its own colours → those of the reference → upscaled light

No dynamic range is expanded here: that is done once for the whole picture (tiling/assembly.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from luxscaler.color import LUMINANCE
from luxscaler.errors import InputError
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.picture import Picture
from luxscaler.upscaling.alpha_fill import fill_transparent
from luxscaler.upscaling.detail import shape_detail
from luxscaler.upscaling.low_band import FOUND_CELL_REFERENCE_PIXELS, match_low_band
from luxscaler.upscaling.registration import locate
from luxscaler.upscaling.source_match import match_source
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import PixelProgress, Upscaler


@dataclass(frozen=True)
class Rendered:
    """An upscaled tile, linear light, on the upscaler's device."""

    rgb: Tensor
    """(H, W, 3) float32."""
    alpha: Tensor | None
    """(H, W) float32 in [0, 1]."""
    box: TileBox | None
    """Where it sits in the reference (WHOLE if there is none); None: not known."""
    notices: tuple[str, ...] = ()


def visible(picture: Picture) -> Picture:
    """The picture with the colour of transparent pixels filled in from their visible neighbours.

    Colour under full transparency is arbitrary, and must change neither the statistics, nor the low band, nor
    what the network draws beside it. A picture with light that alpha does not cover is visible everywhere,
    and is returned as `Picture.as_light` gives it.
    """
    if picture.alpha is None or picture.source.has_light_apart:
        return picture.as_light()
    rgb, alpha = torch.from_numpy(picture.rgb), torch.from_numpy(picture.alpha)
    filled = fill_transparent(rgb, alpha)
    if filled is not rgb and is_grey(rgb[alpha > 0.0]):
        filled = filled[..., 1:2].expand(-1, -1, 3).contiguous()
    return replace(picture, rgb=filled.numpy())


def is_grey(rgb: Tensor) -> bool:
    """Whether the channels of (…, 3) colour are equal, to the bit."""
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())


@dataclass(frozen=True)
class Place:
    """Where a tile sits in its reference."""

    box: TileBox | None
    """None: not known."""
    is_found: bool = False
    """Whether registration found it, so that it may be off by a pixel, or wrong altogether."""
    is_own: bool = False
    """Whether the reference was made of the very picture that the tile was cut from."""
    notices: tuple[str, ...] = ()


def place_of(tile: Picture, reference: Picture, box: TileBox | None) -> Place:
    """Where a tile sits in its reference: at `box`, or, without one, where registration finds it.

    Both pictures under the pixel contract. Runs on the CPU, so that it can go on before the device is free.
    """
    if box is not None or not _is_seen(tile):
        return Place(box)  # said, or there is nothing to see, so nothing to compare
    found = locate(torch.from_numpy(tile.rgb), torch.from_numpy(reference.rgb))
    if found is None:
        notice = (
            "the tile's place in global_reference is ambiguous: only its tone statistics were used; "
            "give tile_box for its colours"
        )
        return Place(None, notices=(notice,))
    return Place(found, is_found=True, notices=(f"found the tile in global_reference at tile_box {found}",))


def _is_seen(tile: Picture) -> bool:
    """Whether any pixel of the tile is visible."""
    return tile.alpha is None or tile.source.is_associated or bool(tile.alpha.any())


def render(
    tile: Picture,
    upscaler: Upscaler,
    *,
    scale: float,
    fractality: float,
    is_hdr: bool,
    reference: Tensor | None = None,
    place: Place = Place(WHOLE),
    clock: Stopwatch | None = None,
    progress: PixelProgress | None = None,
    matching: Callable[[], None] = lambda: None,
) -> Rendered:
    """Upscale a tile, and give it back its own colours and the low band of the reference.

    tile: as `visible` gives it. scale, fractality: as in UpscaleRequest. is_hdr: whether the picture that the
    tile was cut from holds light above SDR white. reference: (h, w, 3) float32, linear light, the whole
    picture at any size, on the upscaler's device. With it, a grey tile stays exactly grey; without, colours
    stay as the network makes them. place: where the tile sits in the reference. clock: collects the seconds
    of each stage. matching: called between the network and the stages of detail and colours. Raises
    InputError, and UpscaleError when the network fails or memory does not suffice.
    """
    clock = clock or Stopwatch(upscaler.device)
    with clock.stage("network"):
        # A float or HDR file holds measured or rendered light; an SDR one also noise and compression to lose.
        faithful = tile.source.is_float or is_hdr
        light = torch.from_numpy(tile.rgb).to(upscaler.device)  # once, for all that look at it there
        runs = 1 if tile.alpha is None else 2
        origin, told = _origin(tile, place), _of_run(progress, 0, runs)
        rgb = upscaler.upscale(light, scale, faithful=faithful, origin=origin, progress=told)
        stays_grey = reference is not None and is_grey(light)
        if stays_grey:
            rgb = _luminance(rgb)
        alpha = None
        if tile.alpha is not None:
            coverage, told = torch.from_numpy(tile.alpha), _of_run(progress, 1, runs)
            alpha = upscaler.upscale_alpha(coverage, scale, origin=origin, progress=told)
    matching()
    with clock.stage("detail"):
        rgb = shape_detail(rgb, (tile.height, tile.width), fractality, in_place=True)
    with clock.stage("reference"):
        if reference is not None and _is_seen(tile):
            if not faithful:
                rgb = match_source(rgb, light)
            rgb, place = _follow(rgb, light, _luminance(reference) if stays_grey else reference, place)
        if stays_grey:  # vectorised curves round equal channels differently in the last bit
            with torch.inference_mode():
                rgb[..., ::2] = rgb[..., 1:2]
    notices = upscaler.notices(scale, is_part=place.box not in (None, WHOLE))
    return Rendered(rgb, alpha, place.box, (*place.notices, *notices))


def _origin(tile: Picture, place: Place) -> tuple[int, int]:
    """Row and column at which the tile begins in its picture; (0, 0) where that is not known."""
    box = place.box
    if box is None or place.is_found:
        return 0, 0
    return round(box.y / box.height * tile.height), round(box.x / box.width * tile.width)


def _luminance(rgb: Tensor) -> Tensor:
    """(H, W, 3) linear light without its colour, the same luminance in all channels."""
    weights = rgb.new_tensor(LUMINANCE)
    return (rgb * weights).sum(-1, keepdim=True).expand(-1, -1, 3).contiguous()


def _of_run(progress: PixelProgress | None, number: int, runs: int) -> PixelProgress | None:
    """The progress of run `number` of `runs` equal ones, as progress of all of them."""
    if progress is None or runs == 1:
        return progress
    return lambda done, total: progress(number * total + done, runs * total)


def _follow(rgb: Tensor, source: Tensor, reference: Tensor, place: Place) -> tuple[Tensor, Place]:
    """The tile with the low band of the reference, and its place; a place that was found and turns out to be
    wrong is given up.
    """
    if place.box is None:
        return rgb, place
    if not place.is_found:
        return match_low_band(rgb, source, reference, place.box, is_own=place.is_own), place
    try:
        cells = FOUND_CELL_REFERENCE_PIXELS
        return match_low_band(rgb, source, reference, place.box, cell_pixels=cells), place
    except InputError as error:  # the user gave no box, so registration may be wrong
        return rgb, Place(None, notices=(f"only the tone statistics of global_reference were used: {error}",))
