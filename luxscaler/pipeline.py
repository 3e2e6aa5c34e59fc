"""The way of a pixel: one tile in, one file out.

    bytes → image → upscaler → detail → reference → dynamic_range → hdr_exporter → file

`predict.py`, the command line and the tests walk this way and no other. It decides the order of the stages
and what each needs to know of the others; how a stage works is the stage's own business. It knows nothing of
Cog, terminals or masters.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

import hdr_exporter
from luxscaler import __version__
from luxscaler.dynamic_range import SDR_PEAK, ToneStatistics, expand
from luxscaler.errors import InputError, PictureTooLargeError
from luxscaler.image import read_picture
from luxscaler.isolation import read_picture_isolated
from luxscaler.picture import Picture, PictureSource
from luxscaler.rendering import Clock, render, visible
from luxscaler.tile import PictureFile, TileRequest, TileResult, check_path, export_errors
from luxscaler.upscaler import Progress, Upscaler, output_size


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
    clock = Clock(upscaler.device)
    with clock.stage("decode"):
        tile = _read(request.tile_input, request, "tile_input")
        reference = _read(request.global_reference, request, "global_reference")
    assert tile is not None  # noqa: S101 - only the reference may be absent
    _check_output_size(tile, request)
    seen = None if reference is None else torch.from_numpy(reference.rgb).to(upscaler.device)
    statistics = ToneStatistics.of(torch.from_numpy(tile.rgb) if seen is None else seen)
    rendered = render(
        tile,
        upscaler,
        scale=request.scale,
        fractality=request.fractality,
        is_hdr=statistics.peak >= SDR_PEAK,
        reference=seen,
        box=request.tile_box,
        clock=clock,
        progress=progress,
    )
    rgb, alpha = rendered.rgb, rendered.alpha
    notices = [*tile.source.notices, *rendered.notices]
    source = _with_usable_exif(tile.source, notices)
    with clock.stage("expand"):
        # SDR files show the picture as it was before the expansion: that is its SDR rendering.
        boost = request.hdr_boost if request.expands else 1.0
        sdr = rgb if request.output_format == "jpg" else None
        rgb = expand(rgb, boost, statistics, rendered.box)
        peak = float(rgb.max())
    with clock.stage("export"):
        sdr_peak = max(statistics.peak, 1.0)
        _export(path, rgb, alpha, request, sdr_peak, source, sdr)
    return TileResult(Path(path), rgb.shape[1], rgb.shape[0], peak, clock.timings, tuple(notices))


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
        hdr_exporter.check_exif(source.exif)
    except hdr_exporter.ExportError as error:
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
    with export_errors():
        hdr_exporter.check_picture(request.output_format, width, height, transparent=transparent)


def _export(
    path: str | os.PathLike[str],
    rgb: Tensor,
    alpha: Tensor | None,
    request: TileRequest,
    sdr_peak: float,
    source: PictureSource,
    sdr: Tensor | None,
) -> None:
    metadata: dict[str, str | float | int] = {
        "model": Path(request.model).name,
        "scale": float(request.scale),
        "hdr_boost": float(request.hdr_boost),
        "fractality": float(request.fractality),
    }
    if request.tile_box is not None:
        metadata["tile_box"] = str(request.tile_box)
    with export_errors():
        hdr_exporter.export(
            path,
            rgb.cpu().numpy(),
            None if alpha is None else alpha.cpu().numpy(),
            file_format=request.output_format,
            options=replace(
                request.export,
                sdr_peak=sdr_peak,
                estimated_range=request.expands,
                software=f"LuxScaler {__version__}",
            ),
            metadata=metadata,
            resolution_dpi=source.resolution_dpi,
            exif=source.exif,
            sdr=None if sdr is None else sdr.cpu().numpy(),
        )
