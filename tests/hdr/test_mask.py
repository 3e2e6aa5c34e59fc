"""The mask over hdr_boost: nothing at 0, everything at 1, gain^mask between, the same wherever it is cut."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.mask import mask_at, masked, reduced_mask
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(20))


def _light(seed: int, height: int = 9, width: int = 7) -> torch.Tensor:
    """Light with some black and some negative values."""
    light = torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed)) - 0.1
    light[0, 0] = 0.0
    return light


@seeded
@given(st.integers(0, 99), st.floats(1.0, 49.0, width=32))
def test_no_mask_bit_changes_at_zero_and_one(seed: int, gain: float) -> None:
    rgb = _light(seed)
    expanded = rgb * gain
    mask = torch.zeros(rgb.shape[:2])
    assert torch.equal(masked(rgb, expanded, mask), rgb)
    assert torch.equal(masked(rgb, expanded, mask + 1.0), expanded)


@seeded
@given(st.integers(0, 99), st.floats(1.0, 49.0, width=32), st.floats(0.0, 1.0, width=32))
def test_the_gain_is_raised_to_the_mask(seed: int, gain: float, share: float) -> None:
    rgb = _light(seed)
    result = masked(rgb, rgb * gain, torch.full(rgb.shape[:2], share))
    np.testing.assert_allclose(result.numpy(), rgb.numpy() * float(gain) ** float(share), rtol=1e-5)


def test_where_there_is_no_gain_light_is_mixed() -> None:
    before = torch.tensor([[[0.0, -0.2, 0.5]]])
    after = torch.tensor([[[0.4, 0.2, 0.5]]])
    half = masked(before, after, torch.full((1, 1), 0.5))
    np.testing.assert_allclose(half.numpy(), [[[0.2, 0.0, 0.5]]], atol=1e-7)


def test_a_mask_is_read_bilinearly_and_constant_ones_stay_exact() -> None:
    mask = torch.tensor([[0.0, 1.0]])
    # Middles of the cells lie at 1/4 and 3/4 of the width; eight pixels at 1/16, 3/16, …
    wanted = np.interp((np.arange(8) + 0.5) / 8, [0.25, 0.75], [0.0, 1.0])
    np.testing.assert_allclose(mask_at(mask, WHOLE, 3, 8).numpy(), np.tile(wanted, (3, 1)), atol=1e-7)
    odd = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).round()
    assert set(mask_at(odd, WHOLE, 5, 3).flatten().tolist()) <= {0.0, 1.0}
    assert bool((mask_at(torch.ones(5, 3), WHOLE, 17, 101) == 1.0).all())


@pytest.mark.parametrize("top", [0, 5, 31])
def test_a_part_of_the_picture_reads_its_part_of_the_mask(top: int) -> None:
    mask = torch.rand(7, 5, generator=torch.Generator().manual_seed(1))
    whole = mask_at(mask, WHOLE, 40, 30)
    part = mask_at(mask, TileBox(0.0, top / 40, 1.0, 8 / 40), 8, 30)
    np.testing.assert_allclose(part.numpy(), whole[top : top + 8].numpy(), atol=1e-6)


def test_a_mask_larger_than_the_picture_is_averaged() -> None:
    fine = torch.tensor([[0.0, 1.0] * 4] * 6)
    assert torch.equal(reduced_mask(fine, 6, 4), torch.full((6, 4), 0.5))
    assert reduced_mask(fine, 6, 8) is fine
    assert reduced_mask(fine, 60, 8) is fine
