"""The way of a pixel in one process: a picture in, one file out.

    bytes → io/read → upscaling/render → hdr/expand → io/write → file
    └─ read_sources ┘└──── render_sources ────────┘└ write_finished ┘

The container, and the command for whatever fits into one tile, take this way; `process` takes all of it. Its
three parts stand alone because only the middle one needs the device: a server may write one picture while the
next is on it. A picture larger than a tile is cut and put together as a master is (tiling/), in memory.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from luxscaler.errors import InputError, PictureTooLargeError
from luxscaler.geometry import WHOLE
from luxscaler.hdr.expand import SDR_PEAK, ToneStatistics, white_of
from luxscaler.io.read import read_picture
from luxscaler.io.write import check_picture
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.pipeline.output import check_path, output_file, usable_exif, write_whole
from luxscaler.pipeline.request import PictureFile, UpscaleRequest
from luxscaler.pipeline.result import Progress, Result
from luxscaler.tiling.assembly import MARGIN, Assembler, Expansion, Strip, TileInMemory, expand_whole
from luxscaler.tiling.overview import is_transparent, reference_of, sample
from luxscaler.tiling.plan import Plan, plan_or_uncut, uncut
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.render import Place, place_of, render, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import Progress as Advance
from luxscaler.upscaling.upscaler import Upscaler


@dataclass(frozen=True)
class Sources:
    """What a request names, read and looked at."""

    request: UpscaleRequest
    picture: Picture
    cuts: Plan
    reference: Picture | None
    """What gives the low band, as `visible` gives it; None: nothing does."""
    place: Place
    """Where the picture sits in the reference."""
    statistics: ToneStatistics
    """Of the reference; only the peak, where the range is not expanded."""
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finished:
    """A picture that only has to be written; all of it lies in the host's memory."""

    request: UpscaleRequest
    cuts: Plan
    rgb: FloatArray
    """(H, W, 3) float32, linear light, 1.0 = SDR white."""
    alpha: FloatArray | None
    """(H, W) float32 in [0, 1]."""
    sdr: FloatArray | None
    """Like rgb, before its range was expanded; only for formats that show both."""
    white: float
    """The linear value that is the picture's white."""
    peak: float
    """Largest value of rgb."""
    source: PictureSource
    timings: dict[str, float]
    notices: tuple[str, ...]


def process(
    request: UpscaleRequest,
    upscaler_for: Callable[[str], Upscaler],
    path: str | os.PathLike[str],
    progress: Advance | None = None,
) -> Result:
    """Walk the whole way and write the file at `path`.

    `upscaler_for` gives the upscaler of a model's name. progress: told source pixels done, and in all.
    Raises InputError (and its kin) for what the request asks, WeightsError, UpscaleError or ExportError; in
    each case no file appears.
    """
    check_path(Path(path))
    upscaler = upscaler_for(request.model)
    return write_finished(render_sources(read_sources(request), upscaler, progress), path)


def read_sources(request: UpscaleRequest, names: tuple[str, str] = ("", "reference")) -> Sources:
    """Decode what the request names, and look at it, on the CPU alone.

    names: what messages call the picture and its reference. Raises InputError, and ExportError for what the
    request's format cannot hold.
    """
    clock = Stopwatch(torch.device("cpu"))
    with clock.stage("decode"):
        picture = _read(request.source, request, names[0])
        given = None if request.reference is None else _read(request.reference, request, names[1])
    cuts = cuts_of(request, picture.width, picture.height)
    _check_size(request, cuts, picture)
    return look_at(request, picture, given, cuts, clock)


def look_at(
    request: UpscaleRequest, picture: Picture, given: Picture | None, cuts: Plan, clock: Stopwatch
) -> Sources:
    """The reference, place and statistics of a picture. given: the whole that it is a tile of, if any."""
    whole = picture if given is None else given
    with clock.stage("expand"):
        tones = torch.from_numpy(visible(sample(whole)).rgb)
        # Without an expansion only the white is needed.
        statistics = ToneStatistics.of(tones) if request.expands else ToneStatistics(white_of(tones))
    with clock.stage("reference"):
        has_reference = given is not None or request.self_reference
        reference = visible(reference_of(whole)) if has_reference else None
        if given is None or request.box is not None:
            place = Place(request.box or WHOLE, is_own=given is None)
        else:
            place = place_of(visible(picture), visible(given), None)
    return Sources(request, picture, cuts, reference, place, statistics, clock.timings)


def render_sources(sources: Sources, upscaler: Upscaler, progress: Advance | None = None) -> Finished:
    """Everything that computes on the device; nothing of it is left there afterwards.

    Raises InputError and UpscaleError, and what `progress` raises.
    """
    clock = Stopwatch(upscaler.device, dict(sources.timings))
    work = _in_one if len(sources.cuts) == 1 else _in_tiles
    rgb, alpha, sdr, notices = work(sources, upscaler, clock, progress)
    source, dropped = usable_exif(sources.picture.source)
    return Finished(
        request=sources.request,
        cuts=sources.cuts,
        rgb=rgb,
        alpha=alpha,
        sdr=sdr,
        white=sources.statistics.peak,
        peak=float(rgb.max()),
        source=source,
        timings=clock.timings,
        notices=(*sources.picture.source.notices, *notices, *dropped),
    )


def write_finished(finished: Finished, path: str | os.PathLike[str]) -> Result:
    """Write the file at `path`, on the CPU alone. Raises ExportError, and then no file appears."""
    clock = Stopwatch(torch.device("cpu"), dict(finished.timings))
    with clock.stage("export"):
        output = output_file(
            path,
            finished.request,
            finished.cuts,
            has_alpha=finished.alpha is not None,
            source=finished.source,
            peak=finished.white,
        )
        write_whole(output, finished.rgb, finished.alpha, finished.sdr)
    tiles, seconds = len(finished.cuts), sum(clock.timings.values())
    return Result(
        path=output.path,
        width=output.width,
        height=output.height,
        peak=finished.peak,
        notices=finished.notices,
        timings=clock.timings,
        progress=Progress(tiles, tiles, seconds=seconds),
        extra=finished.cuts.extra,
    )


Rendering = tuple[FloatArray, FloatArray | None, FloatArray | None, tuple[str, ...]]
"""Light, alpha, light before the expansion where the format shows both, notices."""


def _in_one(sources: Sources, upscaler: Upscaler, clock: Stopwatch, progress: Advance | None) -> Rendering:
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
    )
    rgb, alpha, box, notices = rendered.rgb, rendered.alpha, rendered.box, rendered.notices
    del reference, rendered  # a picture that is held longer than needed is 192 MiB for 4096²
    with clock.stage("expand"):
        # SDR files show the picture as it was before the expansion: that is its SDR rendering.
        shows_both = request.output_format == "jpg"
        sdr = rgb if shows_both else None
        rgb = expand_whole(rgb, Expansion(request.boost, sources.statistics, box), in_place=not shows_both)
    with clock.stage("transfer"):
        pixels, coverage = to_host(rgb), None if alpha is None else to_host(alpha)
        shown = None if sdr is None else pixels if sdr is rgb else to_host(sdr)
    return pixels, coverage, shown, notices


def _in_tiles(sources: Sources, upscaler: Upscaler, clock: Stopwatch, progress: Advance | None) -> Rendering:
    """The picture cut and put together, in memory; tiles are let go as soon as their rows are done."""
    request, cuts = sources.request, sources.cuts
    reference = _on_device(sources.reference, upscaler)
    rows = _Rows(cuts, has_alpha=sources.picture.has_alpha, shows_both=request.output_format == "jpg")
    tiles: dict[int, TileInMemory] = {}
    notices: dict[str, None] = {}
    assembler = Assembler(
        cuts,
        tiles.__getitem__,
        Expansion(request.boost, sources.statistics),
        rows.take,
        has_alpha=sources.picture.has_alpha,
    )
    finished: set[int] = set()
    for number in range(len(cuts)):
        cut = cuts.cut(number)
        rendered = render(
            visible(
                sources.picture.region(
                    cut.source_rows.start,
                    cut.source_rows.stop,
                    cut.source_columns.start,
                    cut.source_columns.stop,
                )
            ),
            upscaler,
            scale=request.scale,
            fractality=request.fractality,
            is_hdr=sources.statistics.peak >= SDR_PEAK,
            reference=reference,
            place=Place(cut.box, is_own=True),
            clock=clock,
            progress=_share_of(progress, number, len(cuts)),
        )
        with clock.stage("transfer"):
            alpha = None if rendered.alpha is None else to_host(rendered.alpha)
            tiles[number] = TileInMemory(Picture(to_host(rendered.rgb), alpha))
        finished.add(number)
        notices |= dict.fromkeys(rendered.notices)
        with clock.stage("expand"):
            assembler.advance(finished.__contains__)
            for done in [n for n in tiles if cuts.cut(n).rows.stop <= assembler.rows_done - MARGIN]:
                del tiles[done]
    return rows.rgb, rows.alpha, rows.sdr, tuple(notices)


class _Rows:
    """Strips collected into whole arrays."""

    def __init__(self, cuts: Plan, *, has_alpha: bool, shows_both: bool) -> None:
        size = (cuts.output_height, cuts.output_width)
        self.rgb = np.empty((*size, 3), np.float32)
        self.alpha = np.empty(size, np.float32) if has_alpha else None
        self.sdr = np.empty_like(self.rgb) if shows_both else None

    def take(self, strip: Strip) -> None:
        rows = slice(strip.top, strip.top + strip.rgb.shape[0])
        self.rgb[rows] = strip.rgb
        if self.alpha is not None and strip.alpha is not None:
            self.alpha[rows] = strip.alpha
        if self.sdr is not None:
            self.sdr[rows] = strip.sdr


def _share_of(progress: Advance | None, number: int, count: int) -> Advance | None:
    """The progress of one tile as that of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(number * total + done, count * total)


def _on_device(reference: Picture | None, upscaler: Upscaler) -> torch.Tensor | None:
    return None if reference is None else torch.from_numpy(reference.rgb).to(upscaler.device)


def _read(file: PictureFile | Picture, request: UpscaleRequest, name: str) -> Picture:
    if isinstance(file, Picture):
        return file
    try:
        if request.decode_limits is None:
            return read_picture(file, max_pixels=request.max_pixels)
        return read_picture_isolated(file, max_pixels=request.max_pixels, limits=request.decode_limits)
    except InputError as error:
        raise type(error)(f"{name}: {error}" if name else str(error)) from error


def cuts_of(request: UpscaleRequest, width: int, height: int) -> Plan:
    """How a source of width × height pixels is cut: a tile of a master stays one."""
    if request.reference is not None:
        return uncut(width, height, scale=request.scale)
    return plan_or_uncut(
        width,
        height,
        scale=request.scale,
        tile=request.tile,
        overlap=request.overlap,
        most_pixels=request.max_output_pixels,
    )


def _check_size(request: UpscaleRequest, cuts: Plan, picture: Picture) -> None:
    """Before the work: a result that memory or its format cannot hold is refused at once."""
    width, height = cuts.output_width, cuts.output_height
    if width * height > request.max_output_pixels:
        raise PictureTooLargeError(
            f"the result would have {width * height:,} pixels ({width} × {height}), "
            f"the limit is {request.max_output_pixels:,}"
        )
    check_picture(request.output_format, width, height, transparent=is_transparent(picture))
