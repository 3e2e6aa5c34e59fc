"""The user's own pairs: a small picture of the same name for every large one, checked before any step.

Three things must be right: the names, the sizes (large = scale × small, exactly), and the alignment. A pair
that is off by a pixel would teach the network to shift every picture.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.errors import InputError, PictureError
from luxscaler.training.batches import part_of
from luxscaler.training.pictures import Rejected, TrainingPicture, files_in, name_in, reason_of, take

MAX_SHIFT = 0.5
"""Largest shift between a pair, in pixels of the large picture."""
_ROUNDS = 5
_MARGIN = 8
"""Pixels of the small picture at its borders that the shift is not measured on."""


def pair_up(
    good: list[TrainingPicture], folder: Path, store: Path, scale: int
) -> tuple[list[TrainingPicture], list[Rejected]]:
    """The pictures with their small ones, and the rejected ones, whose small picture is absent or wrong.

    store: the folder for decoded pixels. Names are compared without their suffixes. Raises InputError if the
    folder is empty, or two of its files differ in their suffix only.
    """
    small_files: dict[str, Path] = {}
    for path in files_in(folder, "pairs"):
        name = str(Path(name_in(folder, path)).with_suffix(""))
        if name in small_files:
            raise InputError(f"pairs: {small_files[name].name} and {path.name} have one name")
        small_files[name] = path
    paired: list[TrainingPicture] = []
    rejected: list[Rejected] = []
    for picture in good:
        path_of_small = small_files.get(str(Path(picture.name).with_suffix("")))
        try:
            paired.append(replace(picture, small=_small(picture, path_of_small, folder, store, scale)))
        except PictureError as error:
            rejected.append(Rejected(picture.name, str(error)))
    return paired, rejected


def _small(
    picture: TrainingPicture, path: Path | None, folder: Path, store: Path, scale: int
) -> TrainingPicture:
    if path is None:
        raise PictureError(f"{str(folder)!r} has no small picture of that name")
    name = name_in(folder, path)
    try:
        small, _ = take(path, name, store)
    except PictureError as error:
        raise PictureError(f"its small picture {name}: {reason_of(error, path)}") from error
    if (picture.width, picture.height) != (scale * small.width, scale * small.height):
        raise PictureError(
            f"it is {picture.width} × {picture.height} and its small picture {small.width} × {small.height}; "
            f"it must be {scale} times as large"
        )
    right, down = shift_between(_whole(small), _whole(picture), scale)
    if max(abs(right), abs(down)) > MAX_SHIFT:
        raise PictureError(
            f"its small picture is shifted by {right:+.1f} pixels to the right and {down:+.1f} down; "
            f"at most {MAX_SHIFT:g} is taken"
        )
    return small


def _whole(picture: TrainingPicture) -> Tensor:
    return part_of(picture, 0, 0, picture.height, picture.width)


def shift_between(small: Tensor, large: Tensor, scale: int) -> tuple[float, float]:
    """How far the small picture's content is to the right of and below the large one's, in large pixels.

    small: 1×3×h×w, large: 1×3×(scale·h)×(scale·w), code values. Whole pixels by phase correlation,
    the rest by least squares on the gradients (Lucas and Kanade 1981).
    (0, 0) where there is nothing to measure by.
    """
    height, width = small.shape[2:]
    a = small.mean(1, keepdim=True).double()
    b = F.interpolate(large, (height, width), mode="bicubic", antialias=True).mean(1, keepdim=True).double()
    right, down = _whole_shift(a, b)
    for _ in range(_ROUNDS):
        step = _least_squares(a, _moved(b, right, down))
        if step is None:
            break
        right, down = right + step[0], down + step[1]
    if _error(a, _moved(b, right, down)) > 0.98 * _error(a, b):
        return 0.0, 0.0  # no shift explains the difference better than none
    return scale * right, scale * down


def _inner(picture: Tensor) -> Tensor:
    margin = min(_MARGIN, (min(picture.shape[2:]) - 1) // 4)
    return picture[:, :, margin : picture.shape[2] - margin, margin : picture.shape[3] - margin]


def _error(a: Tensor, b: Tensor) -> float:
    return float((_inner(a) - _inner(b)).square().mean())


def _whole_shift(a: Tensor, b: Tensor) -> tuple[float, float]:
    height, width = a.shape[2:]
    window = torch.outer(torch.hann_window(height), torch.hann_window(width)).double()
    spectrum = torch.fft.rfft2((a - a.mean()) * window) * torch.fft.rfft2((b - b.mean()) * window).conj()
    peak = torch.fft.irfft2(spectrum / (spectrum.abs() + 1e-9), s=(height, width))[0, 0]
    down, right = (int(each) for each in np.unravel_index(int(peak.argmax()), (height, width)))
    down, right = down - height * (down > height // 2), right - width * (right > width // 2)
    if _error(a, _moved(b, right, down)) >= _error(a, b):
        return 0.0, 0.0
    return float(right), float(down)


def _moved(picture: Tensor, right: float, down: float) -> Tensor:
    """The picture with its content moved by that many pixels, bicubic; the border is repeated."""
    height, width = picture.shape[2:]
    rows = (2 * (torch.arange(height, dtype=torch.float64) - down) + 1) / height - 1
    columns = (2 * (torch.arange(width, dtype=torch.float64) - right) + 1) / width - 1
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)[None]
    return F.grid_sample(picture, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _least_squares(a: Tensor, b: Tensor) -> tuple[float, float] | None:
    down_slope, right_slope = torch.gradient(b[0, 0])
    slopes = torch.stack([_inner(s[None, None]).flatten() for s in (right_slope, down_slope)], dim=1)
    matrix = slopes.T @ slopes
    if float(torch.linalg.det(matrix)) < 1e-9:
        return None
    step = -torch.linalg.solve(matrix, slopes.T @ (_inner(a) - _inner(b)).flatten())
    return float(step[0].clamp(-1, 1)), float(step[1].clamp(-1, 1))
