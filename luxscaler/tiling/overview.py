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

from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.tiling.plan import Cut, reduction
from luxscaler.upscaling.render import visible

SAMPLE_PIXELS = 2048 * 2048
"""Most pixels from which the tone statistics are computed."""
_BAND_BYTES = 64 * 2**20


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
    most = max(1, _BAND_BYTES // (picture.width * 16))
    for row in range(height):
        top, bottom = row * picture.height // height, -(-(row + 1) * picture.height // height)
        total = np.zeros((picture.width, 4 if picture.has_alpha else 3), np.float64)
        for start in range(top, bottom, most):
            total += _row_sums(picture.region(start, min(start + most, bottom), 0, picture.width).as_light())
        means = _column_means(total / (bottom - top), width)
        if alpha is None:
            rgb[row] = means
        else:
            alpha[row] = means[:, 3].clip(0.0, 1.0)
            weight = 1.0 if picture.source.has_light_apart else np.maximum(means[:, 3:], 1e-6)
            rgb[row] = means[:, :3] / weight
    return Picture(rgb, alpha, _source_of_light(picture))


def _source_of_light(picture: Regions) -> PictureSource:
    """The source of what is computed from Picture.as_light."""
    return replace(picture.source, is_associated=picture.source.has_light_apart)


def _row_sums(band: Picture) -> FloatArray:
    """(rows, width) → (width, 3 or 4): sums over the rows, colour times alpha."""
    if band.alpha is not None and band.source.is_associated:
        return np.asarray(np.concatenate((band.rgb, band.alpha[..., None]), axis=2).sum(axis=0), np.float32)
    if band.alpha is None:
        return np.asarray(band.rgb.sum(axis=0), np.float32)
    colour = (band.rgb * band.alpha[..., None]).sum(axis=0)
    return np.concatenate((colour, band.alpha.sum(axis=0)[:, None]), axis=1)


def _column_means(row: NDArray[np.float64], width: int) -> FloatArray:
    """(w, C) → (width, C)."""
    pooled = F.adaptive_avg_pool1d(torch.from_numpy(row.T[None]), width)
    return np.asarray(pooled[0].numpy().T, np.float32)


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
