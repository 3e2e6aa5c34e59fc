"""From a picture to its upscaled, expanded light: as one tile, or cut and put together in memory."""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from luxscaler.hdr.expand import SDR_PEAK, ToneStatistics
from luxscaler.io.frame import Coded
from luxscaler.picture import NOTHING_INHERITED, FloatArray, Picture, PictureSource
from luxscaler.pipeline.device_coding import coded, is_coded
from luxscaler.pipeline.output import reduction_of, result_size
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import StageListener, unheard
from luxscaler.tiling.assembly import Assembler
from luxscaler.tiling.expansion import Expansion, expand_whole
from luxscaler.tiling.overview import part_of
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.strips import DeviceTile, HostTile, Strip, UpscaledTile, WholeRows
from luxscaler.tiling.wrap import bordered
from luxscaler.upscaling.device_memory import has_room
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.render import Place, Rendered, render, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import PixelProgress, Upscaler

REDUCED_ROWS = 256
"""Rows that are reduced at once, so that temporaries stay small beside the picture."""


@dataclass(frozen=True)
class Sources:
    """What a request names, decoded, with what was computed from the whole of it."""

    request: UpscaleRequest
    picture: Picture
    cuts: Plan
    reference: Picture | None
    """The picture that gives the low band, in the form of `visible`; None: none does."""
    place: Place
    """Where the picture sits in the reference."""
    statistics: ToneStatistics
    """Of the reference, or else the picture; only the peak, where the range is not expanded."""
    timings: dict[str, float] = field(default_factory=dict)
    mask: torch.Tensor | None = None
    """(h, w) float32 in [0, 1] over the whole of it: shares of the log gain of hdr_boost."""


@dataclass(frozen=True)
class Light:
    """An upscaled and expanded picture in the host's memory."""

    rgb: FloatArray
    """(H, W, 3) float32, linear light, 1.0 = SDR white."""
    alpha: FloatArray | None
    """(H, W) float32 in [0, 1]."""
    sdr: FloatArray | None
    """Like rgb, before its range was expanded; only for formats that show both."""
    peak: float
    """Largest value of rgb."""
    notices: tuple[str, ...]
    coded: Coded | None = None
    """The picture as its file stores it, if the device coded it; rgb has no rows then."""


_NO_ROWS = np.empty((0, 1, 3), np.float32)


def codes_on(device: torch.device) -> bool:
    """Whether coding on the device saves copying floats: on all but the CPU."""
    return device.type != "cpu"


def light_of(
    sources: Sources,
    upscaler: Upscaler,
    clock: Stopwatch,
    progress: PixelProgress | None,
    stage: StageListener = unheard,
) -> Light:
    """The picture upscaled and expanded, in the host's memory. Raises InputError and UpscaleError."""
    if len(sources.cuts) == 1 and not sources.cuts.wrap:
        return _in_one(sources, upscaler, clock, progress, stage)
    return _in_tiles(sources, upscaler, clock, progress)


def _in_one(
    sources: Sources,
    upscaler: Upscaler,
    clock: Stopwatch,
    progress: PixelProgress | None,
    stage: StageListener,
) -> Light:
    """The picture as one tile, expanded on the device."""
    request = sources.request
    reference = _on_device(sources.reference, upscaler)
    rendered = render(
        visible(sources.picture),
        upscaler,
        scale=request.scale,
        fractality=request.fractality,
        is_hdr=sources.statistics.peak >= SDR_PEAK,
        reference=reference,
        place=sources.place,
        clock=clock,
        progress=progress,
        matching=lambda: stage("matching"),
    )
    del reference  # a picture that is held longer than needed is 192 MiB for 4096²
    stage("expanding")
    return _expanded(sources, rendered, clock)


def _expanded(sources: Sources, rendered: Rendered, clock: Stopwatch) -> Light:
    """Expand the rendered picture on its device; copy it to the host as floats or as the file's codes."""
    request, rgb, alpha = sources.request, rendered.rgb, rendered.alpha
    with clock.stage("expand"):
        sdr = rgb if request.shows_both else None
        expansion = Expansion(request.boost, sources.statistics, rendered.box, sources.mask)
        rgb = expand_whole(rgb, expansion, in_place=not request.shows_both)
        # On the device, where it is a small part of what it is on the host; both in one copy.
        least, peak = torch.stack(rgb.aminmax()).tolist()
        samples = None
        if math.isfinite(least + peak) and _may_be_coded(sources, rgb):
            samples = coded(request, rgb, alpha, max(sources.statistics.peak, 1.0))
    with clock.stage("transfer"):
        if samples is not None:
            return Light(_NO_ROWS, None, None, peak, rendered.notices, to_host(samples))
        pixels, coverage = to_host(rgb), None if alpha is None else to_host(alpha)
        shown = None if sdr is None else pixels if sdr is rgb else to_host(sdr)
    light = Light(pixels, coverage, shown, peak, rendered.notices)
    with clock.stage("expand"):
        return _reduced(light, request, sources.cuts)


def _may_be_coded(sources: Sources, rgb: torch.Tensor) -> bool:
    """Whether the device may code the result: a CPU does not, nor what a writer still reduces or marks."""
    height, width = rgb.shape[:2]
    return (
        codes_on(rgb.device)
        and result_size(sources.request, sources.cuts) == (width, height)
        and _is_plain(sources.picture.source)
        and is_coded(sources.request, width * height)
    )


def _is_plain(source: PictureSource) -> bool:
    """Whether a result's file holds nothing but colours, alpha and the usual metadata."""
    apart = source.is_grey or source.has_light_apart or source.is_associated
    return not (apart or source.exr_attributes or source.inherited != NOTHING_INHERITED)


def _reduced(light: Light, request: UpscaleRequest, cuts: Plan) -> Light:
    """The light reduced to the size that the request asks for."""
    size = result_size(request, cuts)
    rows = _rows(size, request, has_alpha=light.alpha is not None)
    reduction = reduction_of(request, cuts, rows.take)
    if reduction is None:
        return light
    for top in range(0, len(light.rgb), REDUCED_ROWS):
        seen = slice(top, top + REDUCED_ROWS)
        rgb, sdr, alpha = (
            None if each is None else each[seen] for each in (light.rgb, light.sdr, light.alpha)
        )
        assert rgb is not None  # noqa: S101
        reduction.see(Strip(top, rgb, rgb if sdr is None else sdr, alpha))
    return replace(light, rgb=rows.rgb, alpha=rows.alpha, sdr=rows.sdr, peak=reduction.peak)


def _rows(size: tuple[int, int], request: UpscaleRequest, *, has_alpha: bool) -> WholeRows:
    """Arrays for a result of that width and height."""
    return WholeRows(size[1], size[0], has_alpha=has_alpha, shows_both=request.shows_both)


def _in_tiles(
    sources: Sources, upscaler: Upscaler, clock: Stopwatch, progress: PixelProgress | None
) -> Light:
    """The picture in tiles, in memory; each tile is dropped as soon as its rows are done."""
    request, cuts = sources.request, sources.cuts
    reference = _on_device(sources.reference, upscaler)
    rows = _rows(result_size(request, cuts), request, has_alpha=sources.picture.has_alpha)
    reduction = reduction_of(request, cuts, rows.take)
    tiles: dict[int, UpscaledTile] = {}
    notices: dict[str, None] = {}
    assembler = Assembler(
        cuts,
        tiles.__getitem__,
        Expansion(request.boost, sources.statistics, mask=sources.mask),
        rows.take if reduction is None else reduction.see,
        has_alpha=sources.picture.has_alpha,
        border=0 if reduction is None else reduction.border,
        shows_both=request.shows_both,
        device=upscaler.device,
    )
    picture = bordered(sources.picture, cuts)
    finished: set[int] = set()
    for number in cuts.order:
        cut = cuts.cut(number)
        rendered = render(
            visible(part_of(picture, cut)),
            upscaler,
            scale=request.scale,
            fractality=request.fractality,
            is_hdr=sources.statistics.peak >= SDR_PEAK,
            reference=reference,
            place=Place(cut.box, is_own=True),
            clock=clock,
            progress=_share_of(progress, len(finished), len(cuts)),
        )
        with clock.stage("transfer"):
            tiles[number] = _kept(rendered, len(tiles))
        finished.add(number)
        notices |= dict.fromkeys(rendered.notices)
        with clock.stage("expand"):
            assembler.advance(finished.__contains__)
            for done in [n for n in tiles if not assembler.needs(n)]:
                del tiles[done]
    peak = assembler.peak if reduction is None else reduction.peak
    return Light(rows.rgb, rows.alpha, rows.sdr, peak, tuple(notices))


def _kept(rendered: Rendered, others: int) -> UpscaledTile:
    """The tile on its device, if it and `others` tiles of its size may stay there; else in host memory."""
    size = rendered.rgb.nbytes
    if has_room(rendered.rgb.device, others * size, size):
        return DeviceTile(rendered.rgb, rendered.alpha)
    alpha = None if rendered.alpha is None else to_host(rendered.alpha)
    return HostTile(Picture(to_host(rendered.rgb), alpha))


def _share_of(progress: PixelProgress | None, before: int, count: int) -> PixelProgress | None:
    """The progress of one tile as that of the whole, after `before` others."""
    if progress is None:
        return None
    return lambda done, total: progress(before * total + done, count * total)


def _on_device(reference: Picture | None, upscaler: Upscaler) -> torch.Tensor | None:
    return None if reference is None else torch.from_numpy(reference.rgb).to(upscaler.device)
