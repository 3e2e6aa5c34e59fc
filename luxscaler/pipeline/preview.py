"""What hdr_boost does to a picture, shown on a small copy of it: no network runs, nothing is upscaled.

The statistics are those of the whole picture, as in a run, and the copy is expanded like a result.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from luxscaler.checks import path_of
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.expand import ToneStatistics
from luxscaler.isolation.pool import decode_to_file, read_header_isolated
from luxscaler.options import MAIN_LAYER, LayerChoice
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray, Picture
from luxscaler.pipeline.output import check_path
from luxscaler.pipeline.pictures import read_mask
from luxscaler.pipeline.request import PictureFile, UpscaleRequest
from luxscaler.report.boost_sheet import Sheet, draw_sheet, format_of_sheet, write_sheet
from luxscaler.tiling.expansion import Expansion, expand_whole
from luxscaler.tiling.overview import Regions, reduced, tones_of
from luxscaler.upscaling.render import place_of, visible

PREVIEW_SIDE = 1024
"""Longest side of the small copy, in pixels."""
LIFTED = 1.01
"""Gain from which on a pixel counts as lifted: about the step between two 8-bit codes at white."""


@dataclass(frozen=True)
class Preview:
    """A small copy of a picture before and after hdr_boost, and what became of its light."""

    before: Picture
    """At most PREVIEW_SIDE a side, linear light."""
    boosted: Picture
    """The same, expanded."""
    stops: FloatArray
    """(height, width) float32: log2 of the largest channel of `boosted`, 0 where that is not above 1."""
    above_white: float
    """Share of the pixels above SDR white, 0 to 1."""
    peak: float
    """Largest value of `boosted`, 1.0 = SDR white."""
    median_gain: float
    """Median gain of the pixels that are lifted by 1 % or more; 1 where none is."""

    def sheet(self) -> Sheet:
        """The views side by side with words and a scale: (height, width, 3) uint8, sRGB."""
        return draw_sheet(self.before, self.boosted, self.stops)

    def write(self, target: str | os.PathLike[str]) -> None:
        """Write the sheet as .png, .jpg or .webp. Raises InputError and ExportError; then no file appears."""
        write_sheet(path_of("target", target), self.sheet())

    def __str__(self) -> str:
        """The figures in words."""
        light = f"highest {self.peak:.3g} ({self.peak * REFERENCE_WHITE_CD_M2:.0f} cd/m²)"
        gain = f"median gain of what is lifted ×{self.median_gain:.2f}"
        if self.median_gain == 1.0:
            gain = "nothing is lifted"
        return f"{100 * self.above_white:.3g} % of the picture above SDR white, {light}, {gain}"


def check_preview_path(path: Path, *others: object) -> None:
    """Raise InputError or ExportError for a path where no preview may be written.

    others: as for `check_path`.
    """
    format_of_sheet(path)
    check_path(path, *others)


def preview_of(request: UpscaleRequest) -> Preview:
    """The preview of the request's hdr_boost and boost_mask, whatever its output format.

    Raises PictureError and InputError.
    """
    mask = read_mask(request)
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
        picture = laid(request.source, request, Path(folder) / "picture", request.choice)
        whole: Regions = picture
        box: TileBox | None = WHOLE
        if request.reference is not None:
            whole = laid(request.reference, request, Path(folder) / "reference")
            box = place_of(visible(picture.whole()), visible(whole.whole()), request.box).box
        statistics = ToneStatistics.of(tones_of(whole))
        times = max(1.0, max(picture.width, picture.height) / PREVIEW_SIDE)
        small = reduced(picture, max(1, round(picture.height / times)), max(1, round(picture.width / times)))
    return _measured(visible(small), Expansion(request.hdr_boost, statistics, box, mask))


def laid(
    file: PictureFile | Picture, request: UpscaleRequest, path: Path, choice: LayerChoice = MAIN_LAYER
) -> Regions:
    """The picture as Regions, laid on disk at `path` if it is a file, so that it may have any size."""
    if isinstance(file, Picture):
        return file.as_light()
    limits = request.decode_limits
    if limits is not None:
        header = read_header_isolated(file, limits=limits, choice=choice)
        limits = limits.for_pixels(header.width * header.height)
    return decode_to_file(
        file, path, max_pixels=request.max_pixels, limits=limits, sdr=request.sdr, choice=choice
    )


def _measured(small: Picture, expansion: Expansion) -> Preview:
    expanded = expand_whole(torch.from_numpy(small.rgb), expansion, in_place=False).numpy()
    before, after = small.rgb.max(axis=2), expanded.max(axis=2)
    shown = small.over_black().alpha
    seen = np.ones_like(before, bool) if shown is None else shown > 0.0
    if not seen.any():
        seen = np.ones_like(before, bool)
    gain = after[seen & (before > 0.0)] / before[seen & (before > 0.0)]
    lifted = gain[gain >= LIFTED]
    return Preview(
        before=small,
        boosted=Picture(expanded, small.alpha, small.source),
        stops=np.log2(np.maximum(after, 1.0)),
        above_white=float((after[seen] > 1.0).mean()),
        peak=float(after[seen].max()),
        median_gain=float(np.median(lifted)) if lifted.size else 1.0,
    )
