"""evaluation/fit_curve.py computes the curve that luxscaler/tone_curve.py computes, only differentiably."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from evaluation.fit_curve import CODES, gains
from luxscaler import tone_curve

shares = st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5).map(
    lambda values: tuple(sorted(values, reverse=True))
)


@given(shares, st.floats(0.0, 0.5))
def test_the_fit_and_the_product_draw_the_same_curve(values: tuple[float, ...], area: float) -> None:
    coefficients = torch.tensor(tone_curve.COEFFICIENTS, dtype=torch.float64)
    inputs = torch.tensor([tone_curve.regressors(values)], dtype=torch.float64)
    few = torch.tensor([math.exp(-area / tone_curve.SMALL_SHARE)], dtype=torch.float64)
    fitted = gains(coefficients, inputs, few)[0].tolist()
    assert fitted == pytest.approx(tone_curve.estimate(values, area).at(CODES).tolist(), abs=1e-6)
