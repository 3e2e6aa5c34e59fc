"""The analysis: finite for every picture, blind to size and to scale, different for different renderings."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from luxscaler.hdr.analysis import CELLS, MAP_PLANES, SIDE, STATISTICS, Analysis, analyse
from tests.support.examples import examples

seeded = settings(derandomize=True, deadline=None, max_examples=examples(20))


def some_picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed))


def distance(one: Analysis, other: Analysis) -> float:
    cells, statistics = one.cells - other.cells, one.statistics - other.statistics
    return max(float(cells.abs().mean()), float(statistics.abs().mean()))


@pytest.mark.sample(9)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (2, 2), (64, 1500), (513, 257)])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, -1.0, 30.0, float("nan")])
def test_every_picture_has_a_finite_analysis(shape: tuple[int, int], value: float) -> None:
    seen = analyse(torch.full((*shape, 3), value), 1.0)
    assert seen.cells.shape == (MAP_PLANES, CELLS, CELLS)
    assert seen.statistics.shape == (STATISTICS,)
    assert bool(seen.cells.isfinite().all())
    assert bool(seen.statistics.isfinite().all())


@seeded
@given(st.floats(0.1, 40))
def test_it_is_relative_to_white(white: float) -> None:
    rgb = some_picture(40, 60)
    assert distance(analyse(rgb * white, white), analyse(rgb, 1.0)) < 1e-3


def test_a_reduction_shows_nearly_the_same() -> None:
    fine = np.linspace(0, 1, 1024, dtype=np.float32)
    large = torch.from_numpy(np.stack(np.broadcast_arrays(fine[:, None], fine, fine[:, None] * fine), -1))
    small = large.view(512, 2, 512, 2, 3).mean((1, 3))
    assert distance(analyse(large, 1.0), analyse(small, 1.0)) < 0.01


def test_blocks_at_the_far_edges_are_smaller_and_nothing_is_left_out() -> None:
    rgb = some_picture(SIDE * 2 + 2, 3)
    rgb[-1] = 50.0
    seen = analyse(rgb, 50.0)
    assert float(seen.cells[3, -1].min()) > 0.0, "the last row is a block of its own"


def test_histograms_are_shares() -> None:
    statistics = analyse(some_picture(100, 100), 1.0).statistics[:30]
    assert float((4 * (statistics - 1)).exp().sum()) == pytest.approx(1.0, abs=0.02)


def test_a_clip_and_a_shoulder_differ() -> None:
    scene = some_picture(128, 128, 3) ** 3 * 4
    assert distance(analyse(scene.clamp(max=1), 1.0), analyse(1 - torch.exp(-scene), 1.0)) > 0.02
