"""The Python API: the same way of a pixel as the command and the container, as functions.

Pictures are values (`Picture`, under the pixel contract of picture.py); every function gives a new one.
Everything that is raised on purpose is a `luxscaler.errors.LuxScalerError` with one clear line.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import replace

import torch

from luxscaler import __version__
from luxscaler.backends.base import Backend
from luxscaler.backends.choice import BackendOptions, check_backend, make_backend, own_scale
from luxscaler.backends.local import LocalBackend
from luxscaler.checks import path_of, path_text
from luxscaler.geometry import TileBox, Wrap
from luxscaler.hdr.expand import ToneStatistics
from luxscaler.io.formats import format_of
from luxscaler.io.linearize import has_equal_channels
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.options import DEFAULT_MAX_PIXELS, DecodeLimits, LayerChoice, UpscalerOptions, check_boost
from luxscaler.picture import Picture
from luxscaler.pipeline.arguments import check_expanding, check_reading, check_writing
from luxscaler.pipeline.carried import carried
from luxscaler.pipeline.final_size import FinalSize
from luxscaler.pipeline.output import check_path, clipped_light
from luxscaler.pipeline.pictures import mask_of
from luxscaler.pipeline.preview import Preview, preview_of
from luxscaler.pipeline.request import DEFAULT_MAX_MASTER_PIXELS, DEFAULT_TILE, PictureFile, UpscaleRequest
from luxscaler.pipeline.result import Progress, Result
from luxscaler.tiling.expansion import Expansion, expand_whole
from luxscaler.tiling.overview import tones_of
from luxscaler.upscaling.model_cache import Models
from luxscaler.weights.fetch import fetch_known

_DEFAULT_EXPORT = ExportOptions()


def upscale(
    source: PictureFile | Picture,
    target: str | os.PathLike[str],
    *,
    scale: float | None = None,
    model: str | os.PathLike[str] = "photo",
    hdr_boost: float = 1.0,
    boost_mask: PictureFile | Picture | None = None,
    fractality: float = 1.0,
    output_format: str | None = None,
    export_options: ExportOptions = _DEFAULT_EXPORT,
    reference: PictureFile | Picture | None = None,
    tile_box: TileBox | None = None,
    self_reference: bool = True,
    sdr: bool = False,
    layer: str = "",
    part: int | None = None,
    wrap: str = "",
    size: FinalSize | None = None,
    overscan: str = "crop",
    tile: int = DEFAULT_TILE,
    overlap: int | None = None,
    backend: str | BackendOptions | Backend = "local",
    device: str = "auto",
    precision: str = "auto",
    jobs: int | None = None,
    attempts: int = 3,
    report: str | os.PathLike[str] | None = None,
    restart: bool = False,
    fetch: bool = False,
    progress: Callable[[Progress], None] = lambda _progress: None,
    stop: threading.Event | None = None,
) -> Result:
    """Upscale a picture of any size and write the result at `target`, as `luxscaler upscale` does.

    source: a path, the bytes of a file, or a Picture. scale: 1 to 8, or 16; None: the model's own, others are
    made by resampling it. model: "photo", "anime", "fast", the name of a fetched model, or the path of a
    checkpoint. hdr_boost: 1 (none) to 49, the ceiling that the strongest highlight reaches, 1.0 = SDR white.
    boost_mask: a grey picture of any size over the whole; black keeps hdr_boost away, white lets it through.
    fractality: detail, 0 to 2, 1 is neutral. output_format: by the suffix of `target` if not given.
    reference, tile_box: the master that `source` is one tile of, and where it sits. self_reference: False
    lets a checkpoint of your own change colours. sdr: read the SDR picture of a file whose gain map makes an
    HDR one of it. layer, part: which layer, and which part from 1, of an EXR. wrap: "x", "y" or "xy", where
    opposite edges meet (textures, panoramas). size: how large the result is to be, in pixels or on paper; it
    is reduced to that after the network. overscan: "keep" reads the data window of an EXR, and the resulting
    EXR has both windows. tile, overlap: how a large picture is cut, in source pixels. backend: a name,
    BackendOptions, or a backend. device, precision: of a network that runs here ("auto", "cpu", "cuda",
    "mps"; "auto", "fp32", "bf16", "fp16"). report: where to write a page that compares before and after.
    fetch: bring the model's weights if they are absent.

    progress: told of every tile that is done. Setting `stop` ends the work; what is done is kept beside the
    target and the same call goes on from there, unless `restart`.
    Raises InputError and its kin for what is asked, WeightsError, UpscaleError, BackendError, JobError,
    ExportError, StoppedError; in each case no file appears.
    """
    path, model = path_of("target", target), path_text("model", model)
    check_backend(backend)
    request = UpscaleRequest(
        source,
        reference=reference,
        box=tile_box,
        output_format=output_format or format_of(path),
        hdr_boost=hdr_boost,
        boost_mask=boost_mask,
        fractality=fractality,
        scale=model_scale(model, backend) if scale is None else scale,
        model=model,
        export=export_options,
        self_reference=self_reference,
        sdr=sdr,
        choice=LayerChoice(layer, part),
        wrap=Wrap.parse(wrap),
        size=size,
        overscan=overscan,
        tile=tile,
        overlap=overlap,
        max_pixels=DEFAULT_MAX_MASTER_PIXELS,
    )
    where, facts = backend_of(backend, UpscalerOptions(device=device, precision=precision))
    check_path(path, *request.files)
    if fetch:
        fetch_known(model)
    options = RunOptions(
        jobs=jobs,
        attempts=attempts,
        report=None if report is None else path_of("report", report),
        restart=restart,
        facts=facts,
    )
    return upscale_picture(request, path, where, options, progress=progress, stop=stop)


def backend_of(
    backend: str | BackendOptions | Backend, network: UpscalerOptions
) -> tuple[Backend, dict[str, str]]:
    """The backend, and what its tiles depend on."""
    if isinstance(backend, str):
        backend = BackendOptions(backend, network)
    if isinstance(backend, LocalBackend) and isinstance(backend.upscaler_for, Models):
        return backend, {"precision": backend.upscaler_for.options.precision}
    if not isinstance(backend, BackendOptions):
        return backend, {}
    return make_backend(backend), backend.tile_facts


def model_scale(model: str, backend: str | BackendOptions | Backend) -> float:
    """The scale that a model has on a backend, taken where none is asked for. Raises WeightsError."""
    return own_scale(model, backend if isinstance(backend, str) else backend.name)


def read(
    source: PictureFile,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: DecodeLimits | None = None,
    sdr: bool = False,
    layer: str = "",
    part: int | None = None,
) -> Picture:
    """A picture file, or its bytes, as linear light; upright, colour-managed, 8 bits to float.

    sdr: of a file with a gain map the SDR picture, not the HDR one. layer, part: which layer, and which part
    from 1, of an EXR; the main one if not given.
    Decoded in a process of its own under `limits` (docs/formats.md). Raises PictureError for what is no
    whole, supported picture and PictureTooLargeError above `max_pixels`.
    """
    choice = LayerChoice(layer, part)
    check_reading(source, max_pixels, limits)
    return read_picture_isolated(
        source, max_pixels=max_pixels, limits=limits or DecodeLimits(), sdr=sdr, choice=choice
    )


def write(
    target: str | os.PathLike[str],
    picture: Picture,
    *,
    output_format: str | None = None,
    export_options: ExportOptions = _DEFAULT_EXPORT,
) -> tuple[str, ...]:
    """Write a picture; the format follows the suffix of `target` if it is not given.

    EXIF and resolution of `picture.source` go along. Returns what the format cannot hold, a sentence each.
    Raises ExportError, and then no file appears.
    """
    path = path_of("target", target)
    check_path(path)
    name = output_format or format_of(path)
    check_writing(picture, export_options)
    picture = picture.as_light()
    source, left_out = carried(picture.source, name)
    export(
        path,
        picture.rgb,
        picture.alpha,
        file_format=name,
        options=replace(
            export_options,
            estimated_range=export_options.estimated_range or source.estimated_range,
            software=f"LuxScaler {__version__}",
        ),
        resolution_dpi=source.resolution_dpi,
        exif=source.exif,
        sdr=None,
        inherited=source.inherited,
        is_grey=source.is_grey and has_equal_channels(picture.rgb),
        is_associated=source.is_associated,
        exr_attributes=source.exr_attributes,
    )
    return left_out + clipped_light(name, export_options, float(picture.rgb.max()))


def preview(
    source: PictureFile | Picture,
    hdr_boost: float,
    *,
    boost_mask: PictureFile | Picture | None = None,
    reference: PictureFile | Picture | None = None,
    tile_box: TileBox | None = None,
    sdr: bool = False,
    layer: str = "",
    part: int | None = None,
) -> Preview:
    """What `hdr_boost` does to a picture, on a copy of at most 1024 pixels a side; no network runs.

    Arguments as in `upscale`. Raises InputError and its kin.
    """
    request = UpscaleRequest(
        source,
        reference=reference,
        box=tile_box,
        hdr_boost=hdr_boost,
        boost_mask=boost_mask,
        sdr=sdr,
        choice=LayerChoice(layer, part),
        max_pixels=DEFAULT_MAX_MASTER_PIXELS,
    )
    return preview_of(request)


def expand(
    picture: Picture, boost: float, *, like: Picture | None = None, boost_mask: Picture | None = None
) -> Picture:
    """The picture with its dynamic range expanded: the strongest highlight goes from SDR white to `boost`.

    boost: 1 (none) to 49. like: the picture whose tones decide the curve, e.g. the one that `picture` was
    upscaled from; with it the pixels are those that `luxscaler.upscale` writes. None: `picture` itself. What
    is below the knee stays bit for bit. boost_mask: as in `upscale`. Raises InputError for a boost out of
    range and for a picture that is no mask.
    """
    check_expanding(picture, like)
    check_boost(boost)
    mask = None if boost_mask is None else mask_of(boost_mask)
    statistics = ToneStatistics.of(tones_of((picture if like is None else like).as_light()))
    picture = picture.as_light()
    light = torch.from_numpy(picture.rgb)
    expanded = expand_whole(light, Expansion(boost, statistics, mask=mask), in_place=False)
    source = replace(picture.source, estimated_range=picture.source.estimated_range or boost > 1.0)
    return replace(picture, rgb=expanded.numpy(), source=source).as_read()
