"""sRGB's curve on tensors: that of luxscaler.color, for tensors, in place and for single numbers."""

import numpy as np
import pytest
import torch

from luxscaler import color
from luxscaler.color_torch import LINEAR_END, decode_number, decode_srgb, encode_power_, encode_srgb

LIGHT = np.concatenate([np.linspace(0, 2, 4097), [LINEAR_END, 1e-5, 50.0]])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_it_is_the_curve_of_color(dtype: torch.dtype, tolerance: float) -> None:
    light = torch.from_numpy(LIGHT).to(dtype)
    before = light.clone()
    rtol, atol = 3 * tolerance, tolerance
    np.testing.assert_allclose(encode_srgb(light), color.encode_srgb(LIGHT), rtol=rtol, atol=atol)
    np.testing.assert_allclose(
        decode_srgb(light), color.decode_srgb(LIGHT), rtol=3 * tolerance, atol=tolerance
    )
    assert torch.equal(light, before)


def test_single_numbers_are_decoded_alike() -> None:
    codes = [0.0, 0.02, 0.04045, 0.5, 254.5 / 255, 1.0]
    expected = decode_srgb(torch.tensor(codes, dtype=torch.float64)).tolist()
    assert [decode_number(code) for code in codes] == pytest.approx(expected, rel=1e-14)


def test_the_power_segment_is_in_place_and_the_curve_above_the_straight_one() -> None:
    light = torch.linspace(LINEAR_END, 3.0, 100)
    expected = encode_srgb(light)
    found = encode_power_(light)
    assert found is light
    assert torch.equal(found[1:], expected[1:])


def test_negative_light_follows_the_straight_segment() -> None:
    assert encode_srgb(torch.tensor([-0.5])).item() == pytest.approx(-0.5 * 12.92)
    assert decode_srgb(torch.tensor([-0.5])).item() == pytest.approx(-0.5 / 12.92)
