"""The estimated curve: monotone, flat at its ends, and stronger for bent pictures than for clipped ones."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.tone_curve import FITTED_BOOST, FULL_CURVE, KNOT_CODES, SHARE_CODES, ToneCurve, estimate

CEILING = math.log(FITTED_BOOST)
shares = st.lists(st.floats(0.0, 1.0), min_size=len(SHARE_CODES), max_size=len(SHARE_CODES)).map(
    lambda values: tuple(sorted(values, reverse=True))
)


@given(shares)
def test_gains_rise_from_nothing_and_stay_below_the_ceiling(values: tuple[float, ...]) -> None:
    gains = estimate(values, 0.5).log_gains
    assert gains[0] == 0.0
    assert list(gains) == sorted(gains)
    assert gains[-1] <= CEILING


@given(shares)
def test_the_cubic_is_monotone_and_passes_through_its_knots(values: tuple[float, ...]) -> None:
    curve = estimate(values, 0.5)
    codes = torch.linspace(0, 1.2, 4001, dtype=torch.float64)
    assert bool((curve.at(codes).diff() >= -1e-12).all())
    knots = curve.at(torch.tensor(KNOT_CODES, dtype=torch.float64))
    assert knots.tolist() == pytest.approx(list(curve.log_gains), abs=1e-12)


def test_it_is_flat_at_the_knee_and_above_white() -> None:
    codes = torch.tensor([0.0, 0.3, KNOT_CODES[0], 1.0, 1.5], dtype=torch.float64)
    assert FULL_CURVE.at(codes).tolist() == pytest.approx([0.0, 0.0, 0.0, CEILING, CEILING])
    step = 1e-7
    for code in (KNOT_CODES[0], 1.0):
        around = FULL_CURVE.at(torch.tensor([code - step, code + step], dtype=torch.float64))
        assert abs(float(around.diff())) / (2 * step) < 1e-3


def test_a_hard_clip_is_touched_less_than_a_shoulder() -> None:
    clipped = estimate((0.36, 0.34, 0.31, 0.28, 0.26), 0.25)
    bent = estimate((0.35, 0.15, 0.05, 0.011, 0.006), 0.003)
    assert clipped.log_gains[3] < 0.05 < bent.log_gains[3]
    assert math.exp(clipped.log_gains[-1]) < 1.5
    assert math.exp(bent.log_gains[-1]) > 3.0


def test_a_few_lights_at_white_reach_the_ceiling() -> None:
    gains = estimate((0.2, 0.05, 0.01, 0.001, 0.0001), 0.0).log_gains
    assert gains[-1] == pytest.approx(CEILING, rel=0.02)


def test_equal_gains_make_no_slope() -> None:
    codes = torch.linspace(0.6, 1.0, 50, dtype=torch.float64)
    flat = ToneCurve((0.0, 0.4, 0.4, 0.4, 0.4, 0.4)).at(codes[codes > KNOT_CODES[1]])
    assert flat.tolist() == pytest.approx([0.4] * len(flat))
