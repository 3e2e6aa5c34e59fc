"""What is computed from the whole of a picture before it is cut: its reference, and a sample of its tones.

Every entry (command, container, API, backends) takes both from here, so that all of them give a tile the same
low band and the same curve.
"""

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from luxscaler.geometry import Span
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.tiling.plan import Cut, reduction
from luxscaler.upscaling.render import visible

SAMPLE_PIXELS = 2048 * 2048
"""Most pixels from which the tone statistics are computed."""
_BAND_BYTES = 16 * 2**20


class Regions(Protocol):
    """A picture in memory or on disk of which any part can be read."""

    @property
    def width(self) -> int:
        """In pixels."""

    @property
    def height(self) -> int:
        """In pixels."""

    @property
    def has_alpha(self) -> bool:
        """Whether it has an alpha channel."""

    @property
    def source(self) -> PictureSource:
        """What its file said about itself."""

    def region(self, top: int, bottom: int, left: int, right: int) -> Picture:
        """Rows [top, bottom) and columns [left, right)."""

    def whole(self) -> Picture:
        """All of it."""


def part_of(picture: Regions, cut: Cut) -> Picture:
    """The source pixels of a tile, its context included, in the form of `Picture.as_light`."""
    rows, columns = cut.source_rows, cut.source_columns
    return picture.region(rows.start, rows.stop, columns.start, columns.stop).as_light()


def reference_of(picture: Regions) -> Picture:
    """The whole picture at the size of a reference: at most `plan.REFERENCE_SIDE` a side."""
    times = reduction(picture.width, picture.height)
    return reduced(picture, max(1, round(picture.height / times)), max(1, round(picture.width / times)))


def reduced(picture: Regions, height: int, width: int) -> Picture:
    """The whole picture reduced to at most height × width, in the form of `Picture.as_light`.

    Every pixel of the result is the mean, in linear light, of the source pixels that it touches; colour is
    weighted by alpha.
    """
    height, width = min(height, picture.height), min(width, picture.width)
    if (height, width) == (picture.height, picture.width):
        return picture.whole().as_light()
    rgb = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width), np.float32) if picture.has_alpha else None
    full = picture.height
    spans = [Span(row * full // height, -(-(row + 1) * full // height)) for row in range(height)]
    most = max(1, _BAND_BYTES // (picture.width * 16))
    # Many rows at once: a call of PyTorch for each row cost most of the time, and on a busy processor ten
    # times as much, since each call waits for all of its threads.
    step = max(1, most // (spans[0].stop - spans[0].start))
    for first in range(0, height, step):
        rows = slice(first, min(first + step, height))
        means = _column_means(_row_means(picture, spans[rows], most), width)
        rgb[rows] = means[..., :3]
        if alpha is not None:
            alpha[rows] = means[..., 3].clip(0.0, 1.0)
            if not picture.source.has_light_apart:
                rgb[rows] /= np.maximum(means[..., 3:], 1e-6)
    return Picture(rgb, alpha, _source_of_light(picture))


def _source_of_light(picture: Regions) -> PictureSource:
    """The source of what is computed from Picture.as_light."""
    return replace(picture.source, is_associated=picture.source.has_light_apart)


def _row_means(picture: Regions, spans: list[Span], most: int) -> NDArray[np.float64]:
    """(spans, width, 3 or 4): means over the rows of each span, colour times alpha.

    spans: from the top; neighbours may share a row. most: how many rows are read at once.
    """
    means = np.zeros((len(spans), picture.width, 4 if picture.has_alpha else 3), np.float64)
    top, bottom = spans[0].start, spans[-1].stop
    for start in range(top, bottom, most):
        stop = min(start + most, bottom)
        band = _weighted(picture.region(start, stop, 0, picture.width).as_light())
        for index, span in enumerate(spans):
            first, last = max(span.start, start), min(span.stop, stop)
            if first < last:
                means[index] += band[first - start : last - start].sum(axis=0)
    means /= np.array([span.stop - span.start for span in spans])[:, None, None]
    return means


def _weighted(band: Picture) -> FloatArray:
    """(rows, width, 3 or 4): colour times alpha, and alpha."""
    if band.alpha is None:
        return band.rgb
    alpha = band.alpha[..., None]
    return np.concatenate((band.rgb if band.source.is_associated else band.rgb * alpha, alpha), axis=2)


def _column_means(rows: NDArray[np.float64], width: int) -> FloatArray:
    """(n, w, C) → (n, width, C)."""
    pooled = F.adaptive_avg_pool1d(torch.from_numpy(np.moveaxis(rows, 2, 1)), width)
    return np.asarray(np.moveaxis(pooled.numpy(), 1, 2), np.float32)


def sample(picture: Regions, pixels: int = SAMPLE_PIXELS) -> Picture:
    """Every n-th pixel of every n-th row, at most `pixels` in all, in the form of `Picture.as_light`.

    Unlike averages, whose highlights are darker, it keeps the picture's histogram.
    """
    step = 1
    while -(-picture.width // step) * -(-picture.height // step) > pixels:
        step += 1
    if step == 1:
        return picture.whole().as_light()
    # From the middle, so that the edges count no more than the rest.
    down, across = (range(min(step, side) // 2, side, step) for side in (picture.height, picture.width))
    rgb = np.empty((len(down), len(across), 3), np.float32)
    alpha = np.empty(rgb.shape[:2], np.float32) if picture.has_alpha else None
    for index, row in enumerate(down):
        line = picture.region(row, row + 1, 0, picture.width).as_light()
        rgb[index] = line.rgb[0, across.start :: step]
        if alpha is not None and line.alpha is not None:
            alpha[index] = line.alpha[0, across.start :: step]
    return Picture(rgb, alpha, _source_of_light(picture))


def tones_of(picture: Regions) -> Tensor:
    """The tones from which ToneStatistics are computed: (H, W, 3) float32 linear light of `sample`."""
    return torch.from_numpy(visible(sample(picture)).rgb)


def is_transparent(picture: Regions) -> bool:
    """Whether any pixel has an alpha below 1."""
    if not picture.has_alpha:
        return False
    rows = max(1, _BAND_BYTES // (picture.width * 16))
    for top in range(0, picture.height, rows):
        alpha = picture.region(top, min(top + rows, picture.height), 0, picture.width).alpha
        if alpha is not None and bool((alpha < 1).any()):
            return True
    return False
