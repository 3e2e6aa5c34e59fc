"""The map: through its knots, monotone in brightness, bilinear in place, the same wherever a tile is cut."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from luxscaler.color import encode_srgb
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.hdr.gain_map import KNEE, LEVELS, GainMap, guide_of
from luxscaler.hdr.network import KNOT_CODES
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(25))


def some_shares(seed: int, side: int = 4) -> torch.Tensor:
    steps = torch.rand(len(KNOT_CODES), side, side, generator=torch.Generator().manual_seed(seed)) ** 4
    steps[0] = 0
    return 1 - torch.exp(-steps.cumsum(0))


def read(gains: GainMap, codes: torch.Tensor) -> torch.Tensor:
    """Shares of a column of codes, at every column of the same place."""
    return gains.shares_at(codes[None], TileBox(0.3, 0.6, 1e-9, 1e-9), (0, 1), 1)[0]


@seeded
@given(st.integers(0, 10_000))
def test_shares_never_fall_with_brightness(seed: int) -> None:
    gains = GainMap.of(some_shares(seed).double())
    assert bool((gains.levels.diff(dim=0) >= 0).all())
    assert bool((read(gains, torch.linspace(-0.2, 1.4, 2000, dtype=torch.float64)).diff() >= -1e-12).all())


@seeded
@given(st.integers(0, 10_000))
def test_the_knee_and_below_are_exactly_zero_and_white_is_the_last_knot(seed: int) -> None:
    shares = some_shares(seed, 1)
    gains = GainMap.of(shares)
    assert float(read(gains, torch.linspace(-1, KNEE, 50)).abs().max()) == 0.0
    assert read(gains, torch.tensor([1.0, 7.0])).tolist() == pytest.approx([float(shares[-1])] * 2, abs=1e-6)


def test_the_curve_goes_through_its_knots() -> None:
    shares = some_shares(5, 1)
    found = read(GainMap.of(shares), torch.tensor([code / 255 for code in KNOT_CODES]))
    torch.testing.assert_close(found, shares[:, 0, 0], rtol=0, atol=0.01)


def test_the_curve_has_no_kink() -> None:
    """Slopes of neighbouring samples differ little beside the steepest."""
    gains = GainMap.of(some_shares(11, 1).double())
    slopes = gains.levels[:, 0, 0].diff()
    assert len(gains.levels) == LEVELS
    assert float(slopes.diff().abs().max()) < 0.6 * float(slopes.max())


def test_tiles_read_what_the_whole_reads() -> None:
    gains = GainMap.of(some_shares(2))
    codes = torch.rand(60, 40, generator=torch.Generator().manual_seed(1))
    whole = gains.shares_at(codes, WHOLE, (0, 60), 60)
    tile = gains.shares_at(codes[20:50, 8:32], TileBox(0.2, 1 / 3, 0.6, 0.5), (0, 30), 30)
    torch.testing.assert_close(tile, whole[20:50, 8:32], rtol=0, atol=1e-5)
    rows = gains.shares_at(codes[10:30], WHOLE, (10, 30), 60)
    torch.testing.assert_close(rows, whole[10:30], rtol=0, atol=1e-6)


@seeded
@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from([WHOLE, TileBox(0.4, 0.7, 0.6, 0.3)]))
def test_it_is_sampling_in_three_dimensions(seed: int, side: int, box: TileBox) -> None:
    """PyTorch's trilinear sampling is the oracle: level, row and column of regions."""
    gains = GainMap.of(some_shares(seed, side).double())
    codes = torch.rand(23, 17, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    y = (torch.arange(23, dtype=torch.float64) + 0.5) / 23 * box.height + box.y
    x = (torch.arange(17, dtype=torch.float64) + 0.5) / 17 * box.width + box.x
    level = ((codes - KNEE) / (1 - KNEE)).clamp(0, 1) * (LEVELS - 1)
    at = torch.empty(1, 1, 23, 17, 3, dtype=torch.float64)
    at[..., 0], at[..., 1], at[..., 2] = x * 2 - 1, (y * 2 - 1)[:, None], (2 * level + 1) / LEVELS - 1
    expected = F.grid_sample(gains.levels[None, None], at, padding_mode="border", align_corners=False)
    torch.testing.assert_close(gains.shares_at(codes, box, (0, 23), 23), expected[0, 0, 0])


def test_without_a_place_the_mean_of_all_regions_counts() -> None:
    shares = some_shares(3)
    found = read(GainMap.of(shares).without_place(), torch.ones(1))
    assert float(found) == pytest.approx(float(shares[-1].mean()), abs=1e-6)


def test_the_guide_is_between_luminance_and_the_strongest_channel() -> None:
    blue, grey = torch.tensor([[[0.0, 0.0, 0.8]]]), torch.full((1, 1, 3), 0.3)
    strongest, luminance = encode_srgb(torch.tensor([0.8, 0.8 * 0.0722]).numpy())
    assert float(guide_of(blue, 1.0, 1.0)) == pytest.approx(strongest, abs=1e-6)
    assert float(guide_of(blue, 1.0, 0.0)) == pytest.approx(luminance, abs=1e-6)
    assert float(guide_of(grey * 5, 5.0, 0.37)) == pytest.approx(
        encode_srgb(torch.tensor([0.3]).numpy())[0], abs=1e-6
    )
