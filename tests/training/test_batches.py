"""A batch is a function of seed and step."""

from pathlib import Path

import numpy as np
import pytest
import torch

from luxscaler.training.batches import Batches
from luxscaler.training.degradation import PRESETS
from luxscaler.training.pictures import TrainingPicture

CPU = torch.device("cpu")


def _picture(folder: Path, pixels: np.ndarray, small: TrainingPicture | None = None) -> TrainingPicture:
    path = folder / f"{len(list(folder.iterdir()))}.npy"
    np.save(path, pixels)
    height, width = pixels.shape[:2]
    return TrainingPicture(path.name, path.name, width, height, pixels.dtype == np.float32, path, small)


def _ramp(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack((x * 65535 // width, y * 65535 // height, 0 * x), -1).astype(np.uint16)


def test_the_same_step_is_the_same_batch_and_another_is_not(tmp_path: Path) -> None:
    picture = _picture(tmp_path, _ramp(120, 100))
    batches = Batches([picture], PRESETS["real-esrgan"], 4, 16, 3, 5)
    small, large = batches.batch(7, CPU)
    assert small.shape == (3, 3, 16, 16)
    assert large.shape == (3, 3, 64, 64)
    again = Batches([picture], PRESETS["real-esrgan"], 4, 16, 3, 5).batch(7, CPU)
    assert torch.equal(small, again[0])
    assert torch.equal(large, again[1])
    assert not torch.equal(large, batches.batch(8, CPU)[1])
    assert not torch.equal(large, Batches([picture], PRESETS["clean"], 4, 16, 3, 6).batch(7, CPU)[1])


def test_a_crop_can_be_anywhere_and_the_whole_picture(tmp_path: Path) -> None:
    whole = _picture(tmp_path, _ramp(64, 64))
    assert Batches([whole], PRESETS["clean"], 4, 16, 1, 0).batch(0, CPU)[1].shape == (1, 3, 64, 64)
    larger = _picture(tmp_path, _ramp(96, 128))
    batches = Batches([larger], PRESETS["clean"], 4, 16, 1, 0)
    reds = [batches.batch(step, CPU)[1][0, 0].min() for step in range(60)]
    assert min(reds) < 0.02
    assert max(reds) > 0.4


def test_own_pairs_are_cut_at_the_same_place(tmp_path: Path) -> None:
    small = _picture(tmp_path, _ramp(30, 40))
    large = _picture(tmp_path, np.repeat(np.repeat(_ramp(30, 40), 4, 0), 4, 1), small)
    low, high = Batches([large], PRESETS["clean"], 4, 16, 6, 1).batch(3, CPU)
    assert torch.equal(torch.nn.functional.interpolate(low, scale_factor=4.0), high)


def test_hdr_pictures_are_seen_through_exposures(tmp_path: Path) -> None:
    light = np.full((64, 64, 3), 8.0, np.float32)
    picture = _picture(tmp_path, light)
    batches = Batches([picture], PRESETS["clean"], 4, 16, 1, 0)
    codes = np.array([float(batches.batch(step, CPU)[1].mean()) for step in range(40)])
    assert codes.max() == pytest.approx(1.0)  # own exposure: clipped as the upscaler clips
    dark = _picture(tmp_path, np.stack([light[..., 0] * f for f in (1, 0.1, 0.01)], -1))
    crops = [Batches([dark], PRESETS["clean"], 4, 16, 1, 0).batch(step, CPU)[1] for step in range(40)]
    greens = [float(crop[0, 1].mean()) for crop in crops]
    assert min(greens) < 0.5 < max(greens)
    assert all(float(crop.max()) == pytest.approx(1.0) for crop in crops)  # never darker than its own peak
