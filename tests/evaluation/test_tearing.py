"""The measure of tearing: what is smooth has none, steep curves, jumps of the gain and turned edges have."""

import numpy as np
import pytest

from evaluation.baselines import BASELINES, SMOOTH, UNTOUCHED
from evaluation.renderings import decoded
from evaluation.tearing import tearing
from luxscaler.picture import FloatArray


def sky(height: int = 48, width: int = 64) -> FloatArray:
    """Clouds: a smooth bright gradient with noise of a code, in 8 bits."""
    codes = 200 + 50 * np.sin(np.linspace(0, 3, width))[None, :] * np.linspace(0, 1, height)[:, None]
    codes = codes + np.random.default_rng(5).integers(-1, 2, (height, width))
    return decoded(np.clip(np.round(codes), 0, 255).astype(np.uint8)[..., None].repeat(3, 2))


def test_the_picture_itself_and_a_global_gain_below_the_limit_tear_nothing() -> None:
    assert tearing(sky(), sky()) == 0
    assert tearing(sky(), BASELINES[UNTOUCHED](sky(), 4.93)) == 0
    assert tearing(sky(), sky() * np.float32(1.8)) == 0


def test_a_curve_that_is_steep_near_white_tears_more_than_a_smooth_one() -> None:
    picture = sky()
    coded = np.clip((picture - 0.75) / 0.25, 0, 1)
    steep = (picture * (1 + 4 * coded)).astype(np.float32)
    assert tearing(picture, steep) > tearing(picture, BASELINES[SMOOTH](picture, 4.93)) + 5


def test_a_gain_that_jumps_where_nothing_is_seen_tears_every_pair_across_the_jump() -> None:
    picture = np.full((10, 20, 3), 0.4, np.float32)
    torn = picture.copy()
    torn[:, 10:] *= 2
    pairs = 10 * 19 + 9 * 20
    assert tearing(picture, torn) == pytest.approx(100 * 10 / pairs)


def test_a_gain_that_jumps_at_an_edge_of_light_or_of_colour_is_no_tear() -> None:
    picture = np.full((10, 20, 3), 0.2, np.float32)
    picture[:, 10:] = (0.9, 0.1, 0.0)
    lifted = picture.copy()
    lifted[:, 10:] *= 1.6
    assert tearing(picture, lifted) == 0


def test_an_edge_that_turns_round_is_a_tear_and_noise_below_a_code_is_not() -> None:
    picture = np.full((10, 20, 3), 0.3, np.float32)
    picture[:, 10:] = 0.4
    turned = picture.copy()
    turned[:, 10:] = 0.25
    assert tearing(picture, turned) > 0
    picture[:, 10:] = 0.3001
    turned[:, 10:] = 0.2999
    assert tearing(picture, turned) == 0


def test_a_single_pixel_has_no_neighbours() -> None:
    assert tearing(np.ones((1, 1, 3), np.float32), np.ones((1, 1, 3), np.float32)) == 0
