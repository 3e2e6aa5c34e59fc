"""The two measures of evaluate-hdr, against numbers from outside."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from evaluation.cache import Cache
from evaluation.metrics import MAX_PSNR, ColorVideoVdp, pu21, pu21_psnr
from luxscaler.picture import FloatArray


def grey(value: float, height: int = 4, width: int = 6) -> FloatArray:
    return np.full((height, width, 3), value, np.float32)


@pytest.mark.parametrize(
    ("cd_m2", "units"),
    [(1, 36.544), (100, 256.384), (203, 303.800), (1000, 420.097), (10000, 595.394)],
)
def test_pu21_has_the_values_of_its_authors(cd_m2: float, units: float) -> None:
    assert float(pu21(np.array([cd_m2]))[0]) == pytest.approx(units, abs=5e-4)


def test_pu21_is_clamped_to_its_range_and_rises() -> None:
    assert pu21(np.array([0.0]))[0] == pu21(np.array([0.005]))[0] >= 0
    assert pu21(np.array([2e4]))[0] == pu21(np.array([1e4]))[0]
    assert (np.diff(pu21(np.geomspace(0.006, 9999, 500))) > 0).all()


def test_psnr_of_two_flat_pictures_is_the_formula() -> None:
    error = 303.800 - 256.384
    assert pu21_psnr(grey(100 / 203), grey(1)) == pytest.approx(20 * math.log10(256 / error), abs=1e-3)


def test_psnr_of_identical_pictures_is_the_stated_maximum() -> None:
    assert pu21_psnr(grey(0.3), grey(0.3)) == MAX_PSNR


def test_psnr_sees_a_gain_and_is_not_aligned_away() -> None:
    assert pu21_psnr(grey(0.6), grey(0.5)) < pu21_psnr(grey(0.51), grey(0.5)) < MAX_PSNR


def test_known_results_of_color_video_vdp_come_from_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    path.write_text(json.dumps({ColorVideoVdp.key(grey(1), grey(0.5)): 7.5}))
    assert ColorVideoVdp(Cache(path))(grey(1), grey(0.5)) == 7.5
    assert ColorVideoVdp.key(grey(1), grey(0.5)) != ColorVideoVdp.key(grey(0.5), grey(1))


@pytest.mark.slow
def test_color_video_vdp_gives_10_to_identical_pictures_and_less_to_others() -> None:
    pytest.importorskip("matplotlib", reason="the extra `evaluate` is not installed")
    pytest.importorskip("pyexr", reason="the extra `evaluate` is not installed")
    picture = np.random.default_rng(3).random((64, 96, 3), np.float32)
    metric = ColorVideoVdp()
    assert metric(picture, picture) == 10
    assert metric(np.minimum(picture, 0.5), picture) < 9.5
