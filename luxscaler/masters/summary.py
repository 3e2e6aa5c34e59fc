"""Gathers what the compare page of a master shows: pictures, tiles and figures for report/page.py."""

import math
from pathlib import Path

import torch
from torch.nn import functional as F

from luxscaler import __version__
from luxscaler.backends.base import Backend
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters.job import Job
from luxscaler.masters.observer import Observer
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray, Picture
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.report.page import Detail, Report, TileFigure
from luxscaler.report.previews import PREVIEW_PIXELS, Box, choose_details
from luxscaler.tiling.overview import reduced
from luxscaler.tiling.plan import Plan
from luxscaler.upscaling import code_values


def places(picture: LinearFile, cuts: Plan) -> tuple[Box, ...]:
    """The places that the page shows at full size, as fractions: where the picture has the most detail."""
    return choose_details(_small(picture), (cuts.output_width, cuts.output_height))


def _small(picture: LinearFile) -> Picture:
    ratio = min(1.0, math.sqrt(PREVIEW_PIXELS / (picture.width * picture.height)))
    return reduced(picture, max(1, round(picture.height * ratio)), max(1, round(picture.width * ratio)))


def summary(
    request: UpscaleRequest,
    cuts: Plan,
    picture: LinearFile,
    backend: Backend,
    job: Job,
    observer: Observer,
    result: Result,
) -> Report:
    """The report for `write_report`; `job` must not have been removed yet."""
    return Report(
        # Each name is isolated: a right-to-left one turns neither the other nor the arrow.
        title=f"\u2068{_name(request)}\u2069 → \u2068{result.path.name}\u2069",
        before=_small(picture).over_black(),
        after=observer.preview(),
        figures=tuple(_figures(request, cuts, backend, result)),
        tiles=tuple(_tiles(cuts, job)),
        estimated_range=request.expands,
        details=tuple(
            Detail(
                f"Detail {number}",
                detail.box,
                _enlarged(picture, cuts, detail.box, detail.picture),
                detail.picture,
            )
            for number, detail in enumerate(observer.details, 1)
        ),
    )


def _name(request: UpscaleRequest) -> str:
    source = request.source
    return "the picture" if isinstance(source, bytes | Picture) else Path(source).name


def _figures(request: UpscaleRequest, cuts: Plan, backend: Backend, result: Result) -> list[tuple[str, str]]:
    progress = result.progress
    figures = [
        ("Picture", f"{cuts.width} × {cuts.height}"),
        ("Result", f"{result.width} × {result.height} {request.output_format}"),
        ("Scale", f"{request.scale:g}"),
        ("Model", Path(request.model).name),
        ("hdr_boost", f"{request.hdr_boost:g}"),
        ("fractality", f"{request.fractality:g}"),
        ("Brightest light", _light(result.peak)),
        ("Backend", backend.name),
        ("Tiles", f"{len(cuts)} ({len(cuts.columns)} × {len(cuts.rows)}) of up to {cuts.tile} px"),
    ]
    if len(cuts) > 1:
        figures += [
            ("Overlap", f"{cuts.overlap} px of the picture"),
            ("Extra pixels", f"{100 * (cuts.extra - 1):.1f} %"),
        ]
    if progress.kept:
        figures.append(("Tiles of earlier runs", str(progress.kept)))
    figures += [
        ("Retries", str(progress.retries)),
        ("Time of this run", f"{progress.seconds:.1f} s"),
    ]
    if progress.dollars:
        figures.append(("Cost", f"${progress.dollars:.4f}"))
    if result.seams is not None:
        figures.append(
            (
                "Seams",
                f"tiles differ by {255 * result.seams.step:.2f} of 255 codes where they meet, "
                f"{result.seams.ratio:.2f} of what the picture changes there",
            )
        )
    return [*figures, ("LuxScaler", __version__)]


def _light(peak: float) -> str:
    stops = f", {math.log2(peak):+.1f} stops from SDR white" if peak > 0.0 else ""
    return f"{peak * REFERENCE_WHITE_CD_M2:,.0f} cd/m²{stops}"


def _tiles(cuts: Plan, job: Job) -> list[TileFigure]:
    figures = []
    for number, record in job.records().items():
        place = _place(cuts, number)
        figures.append(TileFigure(number, place, record.seconds, record.attempts, record.dollars))
    return figures


def _place(cuts: Plan, number: int) -> Box:
    """Where a tile lies in the picture, in fractions, without what lies beyond an edge that wraps."""
    cut = cuts.cut(number)
    (above, before), (height, width) = cuts.source_border, (cuts.height, cuts.width)
    top, bottom = max(cut.source_rows.start - above, 0), min(cut.source_rows.stop - above, height)
    left, right = max(cut.source_columns.start - before, 0), min(cut.source_columns.stop - before, width)
    return left / width, top / height, (right - left) / width, (bottom - top) / height


def _enlarged(picture: LinearFile, cuts: Plan, box: Box, after: Picture) -> Picture:
    """The same place of the source, by a cubic in code values (Keys 1981)."""
    margin = 2  # what the cubic sees beside the place
    left, top = box[0] * picture.width, box[1] * picture.height
    x0, y0 = max(0, math.floor(left) - margin), max(0, math.floor(top) - margin)
    x1 = min(picture.width, math.ceil(left + box[2] * picture.width) + margin)
    y1 = min(picture.height, math.ceil(top + box[3] * picture.height) + margin)
    part = picture.region(y0, y1, x0, x1).as_light()
    size = (round((y1 - y0) * cuts.scale), round((x1 - x0) * cuts.scale))
    skip = (round((top - y0) * cuts.scale), round((left - x0) * cuts.scale))
    rgb = code_values.decode_(_cubic(code_values.encode(torch.from_numpy(part.rgb)), size))
    alpha = None
    if part.alpha is not None:
        alpha = _cropped(_cubic(torch.from_numpy(part.alpha)[..., None], size).clamp_(0.0, 1.0), skip, after)[
            ..., 0
        ]
    return Picture(_cropped(rgb, skip, after), alpha, part.source).over_black()


def _cubic(samples: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    enlarged = F.interpolate(samples.permute(2, 0, 1)[None], size, mode="bicubic", align_corners=False)
    return enlarged[0].permute(1, 2, 0).contiguous()


def _cropped(samples: torch.Tensor, skip: tuple[int, int], after: Picture) -> FloatArray:
    part = samples[skip[0] : skip[0] + after.height, skip[1] : skip[1] + after.width]
    return part.contiguous().numpy()
