"""Scenes: views and parts of pictures, light only."""

import numpy as np
import pytest

from evaluation.training.scenes import SIDE, VIEW_SIDES, fitted, varied, view


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("is_panorama", [True, False])
def test_a_varied_scene_is_finite_light(seed: int, is_panorama: bool) -> None:
    rng = np.random.default_rng(seed)
    scene = rng.uniform(0, 9, (128, 256, 3)).astype(np.float32)
    made = varied(scene, is_panorama, rng)
    assert made.dtype == np.float32
    assert made.ndim == 3
    assert bool(np.isfinite(made).all())
    assert made.min() >= 0


def test_a_view_of_one_colour_is_that_colour_across_the_seam_too() -> None:
    panorama = np.full((64, 128, 3), 0.4, np.float32)
    for seed in range(5):
        seen = view(panorama, np.random.default_rng(seed))
        assert seen.shape[:2] in VIEW_SIDES
        np.testing.assert_allclose(seen, 0.4, rtol=1e-5)


def test_a_view_shows_the_horizon_level_and_the_sky_above() -> None:
    panorama = np.zeros((64, 128, 3), np.float32)
    panorama[:32] = 1
    for seed in range(5):
        rows = view(panorama, np.random.default_rng(seed)).mean((1, 2))
        assert rows[0] > 0.9
        assert rows[-1] < 0.1
        assert bool((np.diff(rows) <= 1e-4).all())


def test_pictures_are_reduced_by_areas() -> None:
    large = np.random.default_rng(0).uniform(0, 1, (SIDE * 2, 400, 3)).astype(np.float32)
    small = fitted(large)
    assert small.shape == (SIDE, 200, 3)
    np.testing.assert_allclose(small.mean((0, 1)), large.mean((0, 1)), rtol=1e-4)
    assert fitted(small) is small
