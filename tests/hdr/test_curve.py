"""The estimated curve: monotone, flat at its ends, a mean of the kinds' curves by their probabilities."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.hdr.curve import (
    FITTED_BOOST,
    FULL_CURVE,
    KNOT_CODES,
    MAX_STEEPNESS,
    ToneCurve,
    estimate,
    probabilities,
)
from luxscaler.hdr.features import NAMES
from luxscaler.hdr.fitted import CURVES, FUNCTIONS, KINDS

CEILING = math.log(FITTED_BOOST)
some_clues = st.lists(st.floats(-10.0, 10.0), min_size=len(NAMES), max_size=len(NAMES)).map(tuple)
shares = st.floats(0.0, 1.0)
seeded = settings(max_examples=25)


@seeded
@given(some_clues, shares)
def test_gains_rise_from_nothing_and_stay_below_the_ceiling(clues: tuple[float, ...], few: float) -> None:
    gains = estimate(clues, few).log_gains
    assert gains[0] == 0.0
    assert list(gains) == sorted(gains)
    assert gains[-1] <= CEILING + 1e-12


@seeded
@given(some_clues, shares)
def test_the_cubic_is_monotone_and_passes_through_its_knots(clues: tuple[float, ...], few: float) -> None:
    curve = estimate(clues, few)
    codes = torch.linspace(0, 1.2, 1001, dtype=torch.float64)
    assert bool((curve.at(codes).diff() >= -1e-12).all())
    knots = curve.at(torch.tensor(KNOT_CODES, dtype=torch.float64))
    assert knots.tolist() == pytest.approx(list(curve.log_gains), abs=1e-12)


@seeded
@given(some_clues, shares)
def test_no_stretch_between_knots_is_too_steep(clues: tuple[float, ...], few: float) -> None:
    gains = estimate(clues, few).log_gains
    for i in range(2, len(KNOT_CODES)):  # the first one also holds what the others pushed down
        rise = (gains[i] - gains[i - 1]) / (KNOT_CODES[i] - KNOT_CODES[i - 1])
        assert rise <= MAX_STEEPNESS + 1e-9


@seeded
@given(some_clues)
def test_probabilities_add_up_to_one(clues: tuple[float, ...]) -> None:
    kinds = probabilities(clues)
    assert len(kinds) == len(KINDS)
    assert sum(kinds) == pytest.approx(1.0)
    assert min(kinds) >= 0.0


def test_the_numbers_have_the_shapes_that_they_say() -> None:
    assert {len(row) for row in FUNCTIONS} == {1 + len(NAMES)}
    assert {len(row) for row in CURVES} == {len(KNOT_CODES) - 1}
    assert len(FUNCTIONS) == len(CURVES) == len(KINDS)
    for row in CURVES:
        assert list(row) == sorted(row)
        assert 0.0 <= row[0] <= row[-1] < CEILING


def test_it_is_flat_at_the_knee_and_above_white() -> None:
    codes = torch.tensor([0.0, 0.3, KNOT_CODES[0], 1.0, 1.5], dtype=torch.float64)
    assert FULL_CURVE.at(codes).tolist() == pytest.approx([0.0, 0.0, 0.0, CEILING, CEILING])
    step = 1e-7
    for code in (KNOT_CODES[0], 1.0):
        around = FULL_CURVE.at(torch.tensor([code - step, code + step], dtype=torch.float64))
        assert abs(float(around.diff())) / (2 * step) < 1e-3


def test_a_few_lights_at_white_reach_the_ceiling() -> None:
    gains = estimate((-5.0,) * len(NAMES), 1.0).log_gains
    assert gains[-1] == pytest.approx(CEILING)


def test_equal_gains_make_no_slope() -> None:
    codes = torch.linspace(0.6, 1.0, 50, dtype=torch.float64)
    flat = ToneCurve((0.0, *([0.4] * (len(KNOT_CODES) - 1)))).at(codes[codes > KNOT_CODES[1]])
    assert flat.tolist() == pytest.approx([0.4] * len(flat))
