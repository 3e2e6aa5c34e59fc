"""The way of a pixel: one tile in, one file out.

    bytes → image → upscaler → detail → reference → dynamic_range → hdr_exporter → file
    └─ read_sources ┘└──────────────── render_sources ───────────┘└── write_finished ──┘

`predict.py`, the command line and the tests walk this way and no other; `process_tile` walks all of it. Its
three parts stand alone because only the middle one needs the device: a server may write one tile while the
next is on it. It decides the order of the stages and what each needs to know of the others; how a stage works
is the stage's own business. It knows nothing of Cog, terminals or masters.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from luxscaler import __version__
from luxscaler.errors import ExportError, InputError, PictureTooLargeError
from luxscaler.geometry import WHOLE, output_size
from luxscaler.hdr.expand import SDR_PEAK, ToneStatistics, expand, white_of
from luxscaler.io.read import read_picture
from luxscaler.io.write import check_exif, check_picture, export
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.pipeline.request import PictureFile, TileRequest, TileResult, check_path
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.render import Place, place_of, render, visible
from luxscaler.upscaling.stopwatch import Stopwatch
from luxscaler.upscaling.upscaler import Progress, Upscaler


@dataclass(frozen=True)
class Sources:
    """What a request names, read and looked at."""

    request: TileRequest
    tile: Picture
    """As `visible` gives it."""
    reference: Picture | None
    place: Place
    """Where the tile sits in the reference; in itself, if there is none."""
    statistics: ToneStatistics
    """Of the reference, or else of the tile; only the peak, where the range is not expanded."""
    timings: dict[str, float]


@dataclass(frozen=True)
class Finished:
    """A picture that only has to be written; all of it lies in the host's memory."""

    request: TileRequest
    rgb: FloatArray
    """(H, W, 3) float32, linear light, 1.0 = SDR white."""
    alpha: FloatArray | None
    """(H, W) float32 in [0, 1]."""
    sdr: FloatArray | None
    """Like rgb, before its range was expanded; only for formats that show both."""
    sdr_peak: float
    """The linear value that SDR files show as white."""
    peak: float
    """Largest value of rgb."""
    source: PictureSource
    timings: dict[str, float]
    notices: tuple[str, ...]


def process_tile(
    request: TileRequest,
    upscaler_for: Callable[[str], Upscaler],
    path: str | os.PathLike[str],
    progress: Progress | None = None,
) -> TileResult:
    """Walk the whole way and write the file at `path`.

    `upscaler_for` gives the upscaler of a model's name. Raises InputError (and its kin) for what the request
    asks, WeightsError, UpscaleError or ExportError; in each case no file appears.
    """
    check_path(Path(path))
    upscaler = upscaler_for(request.model)
    return write_finished(render_sources(read_sources(request), upscaler, progress), path)


def read_sources(request: TileRequest) -> Sources:
    """Decode what the request names, and look at it, on the CPU alone.

    Raises InputError, and ExportError for what the request's format cannot hold.
    """
    clock = Stopwatch(torch.device("cpu"))
    with clock.stage("decode"):
        tile = _read(request.tile_input, request, "tile_input")
        reference = _read(request.global_reference, request, "global_reference")
    assert tile is not None  # noqa: S101 - only the reference may be absent
    _check_output_size(tile, request)
    with clock.stage("expand"):
        whole = torch.from_numpy((reference or tile).rgb)
        # Without an expansion nobody asks for more than the white.
        statistics = ToneStatistics.of(whole) if request.expands else ToneStatistics(white_of(whole))
    with clock.stage("reference"):
        place = Place(WHOLE) if reference is None else place_of(tile, reference, request.tile_box)
    return Sources(request, tile, reference, place, statistics, clock.timings)


def render_sources(sources: Sources, upscaler: Upscaler, progress: Progress | None = None) -> Finished:
    """Everything that computes on the device; nothing of it is left there afterwards.

    Raises InputError and UpscaleError, and what `progress` raises.
    """
    request, tile = sources.request, sources.tile
    clock = Stopwatch(upscaler.device, dict(sources.timings))
    seen = None if sources.reference is None else torch.from_numpy(sources.reference.rgb).to(upscaler.device)
    statistics = sources.statistics
    rendered = render(
        tile,
        upscaler,
        scale=request.scale,
        fractality=request.fractality,
        is_hdr=statistics.peak >= SDR_PEAK,
        reference=seen,
        place=sources.place,
        clock=clock,
        progress=progress,
    )
    rgb, alpha, box = rendered.rgb, rendered.alpha, rendered.box
    notices = [*tile.source.notices, *rendered.notices]
    del seen, rendered  # a picture that is held longer than needed is 192 MiB for 4096²
    source = _with_usable_exif(tile.source, notices)
    with clock.stage("expand"):
        # SDR files show the picture as it was before the expansion: that is its SDR rendering.
        shows_both = request.output_format == "jpg"
        boost = request.hdr_boost if request.expands else 1.0
        sdr = rgb if shows_both else None
        rgb = expand(rgb, boost, statistics, box, in_place=not shows_both)
        peak = float(rgb.max())
    with clock.stage("transfer"):
        pixels, coverage = to_host(rgb), None if alpha is None else to_host(alpha)
        shown = None if sdr is None else pixels if sdr is rgb else to_host(sdr)
    sdr_peak = max(statistics.peak, 1.0)
    return Finished(request, pixels, coverage, shown, sdr_peak, peak, source, clock.timings, tuple(notices))


def write_finished(finished: Finished, path: str | os.PathLike[str]) -> TileResult:
    """Write the file at `path`, on the CPU alone. Raises ExportError, and then no file appears."""
    height, width = finished.rgb.shape[:2]
    clock = Stopwatch(torch.device("cpu"), dict(finished.timings))
    with clock.stage("export"):
        _export(path, finished)
    return TileResult(Path(path), width, height, finished.peak, clock.timings, finished.notices)


def _read(file: PictureFile | None, request: TileRequest, name: str) -> Picture | None:
    if file is None:
        return None
    try:
        if request.decode_limits is None:
            picture = read_picture(file, max_pixels=request.max_pixels)
        else:
            picture = read_picture_isolated(file, max_pixels=request.max_pixels, limits=request.decode_limits)
    except InputError as error:
        raise type(error)(f"{name}: {error}") from error
    return visible(picture)


def _with_usable_exif(source: PictureSource, notices: list[str]) -> PictureSource:
    """A picture must not be lost for words that stood beside it."""
    if source.exif is None:
        return source
    try:
        check_exif(source.exif)
    except ExportError as error:
        notices.append(f"EXIF is left out: {error}")
        return replace(source, exif=None)
    return source


def _check_output_size(tile: Picture, request: TileRequest) -> None:
    """Before the work: a result that memory or its format cannot hold is refused at once."""
    width, height = output_size(tile.width, tile.height, request.scale)
    if width * height > request.max_output_pixels:
        raise PictureTooLargeError(
            f"the result would have {width * height:,} pixels ({width} × {height}), "
            f"the limit is {request.max_output_pixels:,}"
        )
    transparent = tile.alpha is not None and bool((tile.alpha < 1).any())
    check_picture(request.output_format, width, height, transparent=transparent)


def _export(path: str | os.PathLike[str], finished: Finished) -> None:
    request, source = finished.request, finished.source
    metadata: dict[str, str | float | int] = {
        "model": Path(request.model).name,
        "scale": float(request.scale),
        "hdr_boost": float(request.hdr_boost),
        "fractality": float(request.fractality),
    }
    if request.tile_box is not None:
        metadata["tile_box"] = str(request.tile_box)
    export(
        path,
        finished.rgb,
        finished.alpha,
        file_format=request.output_format,
        options=replace(
            request.export,
            sdr_peak=finished.sdr_peak,
            estimated_range=request.expands,
            software=f"LuxScaler {__version__}",
        ),
        metadata=metadata,
        resolution_dpi=source.resolution_dpi,
        exif=source.exif,
        sdr=finished.sdr,
    )
