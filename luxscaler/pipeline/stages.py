"""The whole way of a picture in one process: decoded, upscaled, expanded, written.

    bytes → io/read → upscaling/render → hdr/expand → io/write → file
    └─ read_sources ┘└──── render_sources ────────┘└ write_finished ┘

The container works like this, and so does the command for a picture of one tile. `process` runs all of it.
The three parts are separate because only the middle one needs the device: a server may write one picture
while the next is computed. A picture larger than a tile is cut and put together as a master is (tiling/), in
memory.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from luxscaler.errors import PictureTooLargeError
from luxscaler.geometry import WHOLE
from luxscaler.hdr.expand import ToneStatistics, white_of
from luxscaler.io.formats import check_picture
from luxscaler.picture import Picture, PictureSource
from luxscaler.pipeline.carried import carried
from luxscaler.pipeline.light import Light, Sources, light_of
from luxscaler.pipeline.output import check_path, clipped_light, output_file, result_size
from luxscaler.pipeline.pictures import read_mask, read_named
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Progress, Result, StageListener, unheard
from luxscaler.pipeline.sinks import write_coded, write_whole
from luxscaler.tiling.overview import is_transparent, reference_of, sample
from luxscaler.tiling.plan import Plan, plan_or_uncut, uncut
from luxscaler.tiling.wrap import bordered
from luxscaler.upscaling.render import Place, place_of, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import PixelProgress, Upscaler


@dataclass(frozen=True)
class Finished:
    """A picture that is upscaled and expanded, and has yet to be written."""

    request: UpscaleRequest
    cuts: Plan
    light: Light
    white: float
    """The linear value that is the picture's white."""
    source: PictureSource
    timings: dict[str, float]
    notices: tuple[str, ...]


def process(
    request: UpscaleRequest,
    upscaler_for: Callable[[str], Upscaler],
    path: str | os.PathLike[str],
    progress: PixelProgress | None = None,
    stage: StageListener = unheard,
) -> Result:
    """Upscale the picture of a request and write the file at `path`.

    upscaler_for: gives the upscaler of a model's name. progress: called with (source pixels done, in all).
    stage: called with the name of each stage as it begins (result.py).
    Raises InputError and its subclasses for a bad request or picture, WeightsError, UpscaleError or
    ExportError; in each case no file appears.
    """
    check_path(Path(path), *request.files)
    stage("loading")
    upscaler = upscaler_for(request.model)
    stage("reading")
    sources = read_sources(request)
    stage("upscaling")
    finished = render_sources(sources, upscaler, progress, stage)
    stage("writing")
    return write_finished(finished, path)


def read_sources(request: UpscaleRequest, names: tuple[str, str] = ("", "reference")) -> Sources:
    """Decode the pictures of a request, and compute reference, place and statistics; on the CPU alone.

    names: what messages call the picture and its reference. Raises InputError and its subclasses, and
    ExportError for a result that the format cannot hold.
    """
    clock = Stopwatch(torch.device("cpu"))
    with clock.stage("decode"):
        picture = read_named(request.source, request, names[0], choice=request.choice).as_light()
        given = (
            None if request.reference is None else read_named(request.reference, request, names[1]).as_light()
        )
        mask = read_mask(request)
    request = request.for_picture(picture.width, picture.height)
    cuts = cuts_of(request, picture.width, picture.height)
    _check_size(request, cuts, picture)
    return replace(look_at(request, picture, given, cuts, clock), mask=mask)


def look_at(
    request: UpscaleRequest, picture: Picture, given: Picture | None, cuts: Plan, clock: Stopwatch
) -> Sources:
    """The picture with its reference, place and statistics. given: the whole that it is a tile of, if any."""
    whole = picture if given is None else given
    with clock.stage("expand"):
        sampled = sample(whole)
        seen = visible(sampled)
        statistics = request.tones or statistics_of(request, torch.from_numpy(seen.rgb))
    with clock.stage("reference"):
        reference = None
        if given is not None or request.self_reference:
            small = reference_of(bordered(whole, cuts))
            reference = seen if small is sampled else visible(small)  # both are `whole` where it is small
        if given is None or request.box is not None:
            place = Place(request.box or WHOLE, is_own=given is None)
        else:
            place = place_of(visible(picture), visible(given), None)
    return Sources(request, picture, cuts, reference, place, statistics, clock.timings)


def statistics_of(request: UpscaleRequest, tones: Tensor) -> ToneStatistics:
    """The tone statistics of a whole picture.

    tones: (h, w, 3) float32 linear light, a sample of it (tiling.overview.tones_of). Without an expansion
    only the white is needed, and only that is measured.
    """
    return ToneStatistics.of(tones, request.wrap) if request.expands else ToneStatistics(white_of(tones))


def render_sources(
    sources: Sources,
    upscaler: Upscaler,
    progress: PixelProgress | None = None,
    stage: StageListener = unheard,
) -> Finished:
    """Do everything that computes on the device, and leave nothing there.

    progress, stage: as in `process`. Raises InputError and UpscaleError, and what `progress` raises.
    """
    clock = Stopwatch(upscaler.device, dict(sources.timings))
    light = light_of(sources, upscaler, clock, progress, stage)
    source, dropped = carried(sources.picture.source, sources.request.output_format)
    return Finished(
        request=sources.request,
        cuts=sources.cuts,
        light=light,
        white=sources.statistics.peak,
        source=source,
        timings=clock.timings,
        notices=(
            *sources.request.notices,
            *sources.picture.source.notices,
            *sources.request.size_notices,
            *light.notices,
            *dropped,
        ),
    )


def write_finished(finished: Finished, path: str | os.PathLike[str]) -> Result:
    """Write the file at `path`, on the CPU alone. Raises ExportError, and then no file appears."""
    clock, light = Stopwatch(torch.device("cpu"), dict(finished.timings)), finished.light
    with clock.stage("export"):
        output = output_file(
            path,
            finished.request,
            finished.cuts,
            has_alpha=light.alpha is not None,
            source=finished.source,
            peak=finished.white,
        )
        if light.coded is not None:
            write_coded(output, light.coded)
        else:
            write_whole(output, light.rgb, light.alpha, light.sdr)
    tiles, seconds = len(finished.cuts), sum(clock.timings.values())
    return Result(
        path=output.path,
        width=output.width,
        height=output.height,
        peak=light.peak,
        notices=finished.notices + clipped_light(output.file_format, output.options, light.peak),
        timings=clock.timings,
        progress=Progress(tiles, tiles, seconds=seconds),
        extra=finished.cuts.extra,
    )


def cuts_of(request: UpscaleRequest, width: int, height: int) -> Plan:
    """The plan for a source of width × height pixels; a tile of a reference stays one tile."""
    if request.reference is not None:
        return uncut(width, height, scale=request.scale)
    return plan_or_uncut(
        width,
        height,
        scale=request.scale,
        tile=request.tile,
        overlap=request.overlap,
        most_pixels=request.max_output_pixels,
        wrap=request.wrap,
    )


def _check_size(request: UpscaleRequest, cuts: Plan, picture: Picture) -> None:
    """Raise PictureTooLargeError, or ExportError for what the format cannot hold, before the work."""
    width, height = cuts.output_width, cuts.output_height
    if width * height > request.max_output_pixels:
        raise PictureTooLargeError(
            f"the result would have {width * height:,} pixels ({width} × {height}), "
            f"the limit is {request.max_output_pixels:,}"
        )
    check_picture(request.output_format, *result_size(request, cuts), transparent=is_transparent(picture))
