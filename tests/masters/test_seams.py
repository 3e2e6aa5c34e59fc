"""How far tiles disagree where they meet, against differences that are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.masters.seams import tile_steps
from luxscaler.picture import Picture
from luxscaler.pipeline.result import SeamFigure
from luxscaler.tiling.plan import Plan, plan

CUTS = plan(300, 200, scale=2.0, tile=128, overlap=16)


def _tiles(cuts: Plan, level: dict[int, float]) -> dict[int, Picture]:
    """Flat tiles of these linear levels, 0.5 where none is given, with a grain that averages out."""
    rng = np.random.default_rng(3)
    tiles = {}
    for number in range(len(cuts)):
        height, width = cuts.cut(number).output_size
        grain = rng.normal(0.0, 0.01, (height, width, 3))
        tiles[number] = Picture((level.get(number, 0.5) + grain).astype(np.float32))
    return tiles


def _code(linear: float) -> float:
    return float(1.055 * linear ** (1 / 2.4) - 0.055)


def test_tiles_that_agree_have_no_step() -> None:
    assert tile_steps(CUTS, _tiles(CUTS, {}).__getitem__) < 5e-4


@pytest.mark.slow
@given(st.floats(0.2, 0.9))
def test_one_tile_that_differs_shows_at_each_of_its_seams(level: float) -> None:
    cuts = plan(230, 100, scale=2.0, tile=128, overlap=16)
    assert (len(cuts.columns), len(cuts.rows)) == (2, 1)
    step = tile_steps(cuts, _tiles(cuts, {1: level}).__getitem__)
    assert step == pytest.approx(abs(_code(level) - _code(0.5)), abs=1e-3)


def test_all_seams_count() -> None:
    columns, rows = len(CUTS.columns), len(CUTS.rows)
    seams = (columns - 1) * rows + columns * (rows - 1)
    step = tile_steps(CUTS, _tiles(CUTS, {0: 0.6}).__getitem__)  # a corner has two seams
    assert step == pytest.approx((_code(0.6) - _code(0.5)) * np.sqrt(2 / seams), rel=0.05)


def test_tiles_that_share_nothing_have_no_figure() -> None:
    cuts = plan(300, 200, scale=2.0, tile=128, overlap=0)
    assert tile_steps(cuts, _tiles(cuts, {0: 0.9}).__getitem__) >= 0.0


def test_the_ratio_is_to_the_pictures_own_steps() -> None:
    assert SeamFigure(0.01, 0.04).ratio == 0.25
    assert SeamFigure(0.0, 0.0).ratio == 0.0
