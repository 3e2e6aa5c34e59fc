"""The networks' code values: sRGB inside [0, 1], a logarithm above, mirrored below, exactly invertible."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from luxscaler.color import encode_srgb
from luxscaler.color_torch import LINEAR_END
from luxscaler.upscaling.code_values import SLOPE_AT_WHITE, decode_, encode
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(25))
light = arrays(np.float32, 16, elements=st.floats(-4, 10_000, width=32))


def slope(value: float, step: float) -> float:
    """Slope of the code on one side of a value, in float64."""
    pair = torch.tensor([value, value + step], dtype=torch.float64)
    return float(encode(pair).diff()) / step


@seeded
@given(light)
def test_decode_is_the_inverse_of_encode(linear: np.ndarray) -> None:
    back = decode_(encode(torch.from_numpy(linear)))
    assert back.dtype == torch.float32
    np.testing.assert_allclose(back, linear, rtol=5e-6, atol=1e-7)


@seeded
@given(arrays(np.float32, 16, elements=st.floats(-1.5, 5, width=32)))
def test_encode_is_the_inverse_of_decode(code: np.ndarray) -> None:
    back = encode(decode_(torch.from_numpy(code.copy())))
    np.testing.assert_allclose(back, code, rtol=2e-6, atol=1e-6)


def test_code_is_srgb_inside_the_range() -> None:
    linear = np.linspace(0, 1, 4097)
    np.testing.assert_allclose(encode(torch.from_numpy(linear)), encode_srgb(linear), atol=1e-12)
    published = [0.0, 0.04045, 0.5, 1.0]
    np.testing.assert_allclose(
        decode_(torch.tensor(published)), [0, LINEAR_END, 0.2140411, 1], rtol=1e-5, atol=1e-7
    )


def test_code_above_white_is_the_logarithm() -> None:
    linear = torch.tensor([1.0, math.e, 49.0, 10_000.0], dtype=torch.float64)
    expected = 1 + 1.055 / 2.4 * linear.log()
    np.testing.assert_allclose(encode(linear), expected, rtol=1e-12)


@seeded
@given(light)
def test_code_is_odd(linear: np.ndarray) -> None:
    tensor = torch.from_numpy(linear)
    assert torch.equal(encode(-tensor), -encode(tensor))
    assert torch.equal(decode_(-tensor), -decode_(tensor.clone()))


@seeded
@given(light)
def test_code_is_monotone_and_finite(linear: np.ndarray) -> None:
    code = encode(torch.from_numpy(np.sort(linear)))
    assert bool(torch.isfinite(code).all())
    assert bool((code.diff() >= 0).all())


@pytest.mark.parametrize("joint", [1.0, -1.0, 0.0])
def test_code_is_continuous_in_value_and_slope(joint: float) -> None:
    step = 1e-7
    around = encode(torch.tensor([joint - step, joint, joint + step], dtype=torch.float64))
    assert float(around.diff().abs().max()) < 20 * step
    assert slope(joint, -step) == pytest.approx(slope(joint, step), rel=1e-5)


def test_slope_at_white_is_the_stated_one() -> None:
    assert slope(1.0, 1e-7) == pytest.approx(SLOPE_AT_WHITE, rel=1e-6)


def test_extremes_stay_finite() -> None:
    extremes = torch.tensor([0.0, -0.0, 1e-38, -1e-38, 1e30, -1e30])
    code = encode(extremes)
    assert bool(torch.isfinite(code).all())
    assert bool(torch.isfinite(decode_(code)).all())


def test_encode_leaves_its_input_as_it_was() -> None:
    linear = torch.tensor([-2.0, 0.5, 3.0])
    encode(linear)
    assert linear.tolist() == [-2.0, 0.5, 3.0]
