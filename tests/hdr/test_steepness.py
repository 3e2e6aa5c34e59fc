"""The limit on steep curves: what it keeps, what it lowers, and the laws of a boost after it."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.metrics import pu21 as pu21_of_arrays
from luxscaler.color_torch import decode_number
from luxscaler.hdr.network import KNOT_CODES
from luxscaler.hdr.steepness import FREE_FROM, STEEPEST, cd_m2_of, limited, pu21
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(30))
steps = st.lists(st.floats(0, 1), min_size=len(KNOT_CODES) - 1, max_size=len(KNOT_CODES) - 1)


def shares_of(rises: list[float]) -> torch.Tensor:
    """(knots, 1, 1), from 0 and not falling, at most 1."""
    total = torch.tensor([0.0, *rises], dtype=torch.float64).cumsum(0)
    return (total / total[-1].clamp(min=1.0))[:, None, None]


def growth(shares: torch.Tensor, boost: float) -> list[float]:
    """How many times as visible the difference of neighbouring knots becomes, by an independent PU21."""
    light = torch.tensor([203 * decode_number(code / 255) for code in KNOT_CODES], dtype=torch.float64)
    before = pu21_of_arrays(light.numpy())
    after = pu21_of_arrays((light * boost ** shares[:, 0, 0]).clamp(max=10_000).numpy())
    return [float(x) for x in (after[1:] - after[:-1]) / (before[1:] - before[:-1])]


def test_the_inverse_gives_the_luminance_back() -> None:
    light = torch.logspace(-2, 4, 50, dtype=torch.float64)
    torch.testing.assert_close(cd_m2_of(pu21(light)), light, rtol=1e-9, atol=0)


@seeded
@given(steps, st.floats(1.01, 49))
def test_no_step_below_the_clipped_lights_is_steeper_than_the_limit(rises: list[float], boost: float) -> None:
    kept = limited(shares_of(rises), math.log(boost), KNOT_CODES)
    limited_steps = sum(code <= FREE_FROM for code in KNOT_CODES[1:])
    assert max(growth(kept, boost)[:limited_steps]) <= STEEPEST + 1e-6


@seeded
@given(steps, st.floats(1.01, 49))
def test_a_limited_curve_starts_at_zero_never_falls_and_is_nowhere_lifted(
    rises: list[float], boost: float
) -> None:
    shares = shares_of(rises)
    kept = limited(shares, math.log(boost), KNOT_CODES)
    assert float(kept[0]) == 0.0
    assert bool((kept.diff(dim=0) >= 0).all())
    assert bool((kept <= shares + 1e-9).all())


@seeded
@given(steps, st.floats(1.01, 40), st.floats(1.0, 1.2))
def test_a_higher_boost_lowers_no_gain(rises: list[float], boost: float, more: float) -> None:
    shares = shares_of(rises)
    low, high = (limited(shares, math.log(b), KNOT_CODES) * math.log(b) for b in (boost, boost * more))
    assert bool((high >= low - 1e-9).all())


def test_a_gentle_curve_and_the_lights_above_stay_as_they_are() -> None:
    gentle = torch.linspace(0, 0.3, len(KNOT_CODES), dtype=torch.float64)[:, None, None]
    assert torch.equal(limited(gentle, math.log(2), KNOT_CODES), gentle)
    lamp = torch.tensor([0.0] * (len(KNOT_CODES) - 1) + [1.0])[:, None, None]
    assert torch.equal(limited(lamp, math.log(49), KNOT_CODES), lamp)


def test_regions_are_limited_on_their_own() -> None:
    steep = torch.tensor([0.0] * 4 + [1.0] * (len(KNOT_CODES) - 4))
    both = torch.stack([steep, torch.zeros_like(steep)], 1)[:, None]
    kept = limited(both, math.log(4.93), KNOT_CODES)
    assert float(kept[4, 0, 0]) < 0.5
    assert float(kept[..., 1].max()) == 0.0
