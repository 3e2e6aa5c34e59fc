"""The global reference: the tile's low band follows it, its detail does not, and strangers are refused.

An upscaled tile is played by a cubic enlargement of the sample picture; the low band is measured with
OpenCV's Gaussian blur, which the module does not use.
"""

from functools import cache

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luxscaler.color import encode_srgb
from luxscaler.errors import InputError
from luxscaler.geometry import WHOLE, TileBox
from luxscaler.io.read import read_picture
from luxscaler.picture import Picture
from luxscaler.tiling.overview import part_of, reference_of
from luxscaler.tiling.plan import plan
from luxscaler.upscaling.low_band import Grid, averaging, match_low_band, spreading
from tests.conftest import SAMPLE
from tests.support.examples import examples
from tests.support.slow import slow

SCALE = 4
STEP = 1 / 255
SHIFTS = [(1.05, 1.0, 0.95), (0.95, 1.05, 1.0), (0.95, 0.95, 0.95), (1.05, 1.05, 1.05)]
TILES = [(40, 60, 160, 120), (300, 150, 128, 128), (120, 267, 240, 160)]
"""left, top, width, height in the sample picture, in pixels."""
seeded = settings(derandomize=True, deadline=None, max_examples=examples(40))


@cache
def master() -> np.ndarray:
    """(427, 640, 3) linear light."""
    return read_picture(SAMPLE / "master.jpg").rgb


@cache
def enlarged() -> np.ndarray:
    return np.asarray(cv2.resize(master(), None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC))


@cache
def reduced(share: float) -> Tensor:
    """The whole picture at a share of its size."""
    height, width = (round(share * side) for side in master().shape[:2])
    return torch.from_numpy(cv2.resize(master(), (width, height), interpolation=cv2.INTER_AREA))


def cut(left: int, top: int, width: int, height: int) -> tuple[Tensor, TileBox]:
    """An upscaled tile and where it sits."""
    tile = enlarged()[SCALE * top : SCALE * (top + height), SCALE * left : SCALE * (left + width)]
    full_height, full_width = master().shape[:2]
    box = TileBox(left / full_width, top / full_height, width / full_width, height / full_height)
    return torch.from_numpy(tile.copy()), box


def matched(tile: Tensor, box: TileBox, share: float = 0.5) -> Tensor:
    return match_low_band(tile, before(tile), reduced(share), box)


def before(tile: Tensor) -> Tensor:
    """The tile before it was upscaled."""
    size = (max(1, tile.shape[1] // SCALE), max(1, tile.shape[0] // SCALE))
    return torch.from_numpy(cv2.resize(tile.numpy(), size, interpolation=cv2.INTER_AREA))


def low_band(rgb: Tensor) -> np.ndarray:
    """Blurred by 16 source pixels, at the source's size."""
    small = cv2.resize(rgb.numpy(), None, fx=1 / SCALE, fy=1 / SCALE, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 16.0, borderType=cv2.BORDER_REFLECT))


def distances(rgb: Tensor, wanted: Tensor) -> tuple[float, float]:
    """Mean distance of the low bands in linear light and in sRGB code."""
    one, other = low_band(rgb), low_band(wanted)
    code = np.abs(encode_srgb(one) - encode_srgb(other)).mean()
    return float(np.abs(one - other).mean()), float(code)


# Where a tile sits


def test_a_box_is_read_as_it_is_written() -> None:
    box = TileBox.parse("0.1875, 0.5503513,0.5,0.4496487")
    assert box == TileBox(0.1875, 0.5503513, 0.5, 0.4496487)
    assert TileBox.parse(str(WHOLE)) == WHOLE


@pytest.mark.parametrize("text", ["", "0,0,1", "0,0,1,1,1", "a,b,c,d", "0;0;1;1", "0,0,,1", "0 0 1 1"])
def test_a_malformed_box_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(InputError, match="it must be four numbers 'x,y,width,height'") as caught:
        TileBox.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["-0.1,0,1,1", "0,0,0,1", "0,0,1,-1", "0.6,0,0.5,1", "0,0.5,1,0.51", "nan,0,1,1", "0,0,inf,1", "0,0,2,2"],
)
def test_a_box_outside_the_master_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(InputError, match="fractions of the master") as caught:
        TileBox.parse(text)
    assert text in str(caught.value)


# The matrices


@pytest.mark.slow
@seeded
@given(st.integers(1, 60), st.integers(1, 20), st.floats(0, 1), st.floats(0.01, 1))
def test_averaging_weights_add_up_to_one(length: int, cells: int, start: float, share: float) -> None:
    first = start * length * (1 - share)
    weights = averaging(length, Grid(cells), first, first + share * length)
    assert weights.shape == (cells, length)
    assert float(weights.min()) >= 0.0
    torch.testing.assert_close(weights.sum(1), torch.ones(cells), rtol=0, atol=1e-5)


def test_averaging_counts_fractions_of_samples() -> None:
    weights = averaging(4, Grid(2), 0.5, 3.5)
    expected = torch.tensor([[0.5, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.5]]) / 1.5
    torch.testing.assert_close(weights, expected)


@seeded
@given(st.integers(1, 200), st.integers(1, 64))
def test_spreading_weights_are_a_partition_of_unity(length: int, cells: int) -> None:
    weights = spreading(length, Grid(cells))
    assert weights.shape == (length, cells)
    assert float(weights.min()) >= 0.0
    torch.testing.assert_close(weights.sum(1), torch.ones(length), rtol=0, atol=1e-5)


# The low band


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.25, *slow(1.0)])
@pytest.mark.parametrize("shift", [*SHIFTS[:2], *slow(*SHIFTS[2:])])
@pytest.mark.parametrize("place", [TILES[0], *slow(*TILES[1:])])
def test_low_band_of_a_shifted_tile_follows_the_reference(
    place: tuple[int, int, int, int], shift: tuple[float, float, float], share: float
) -> None:
    tile, box = cut(*place)
    drifted = tile * torch.tensor(shift)
    before = distances(drifted, tile)
    after = distances(matched(drifted, box, share), tile)
    assert max(after) < STEP
    assert max(after) < 0.3 * max(before)


@pytest.mark.parametrize("place", TILES)
def test_a_gradient_of_drift_is_followed_too(place: tuple[int, int, int, int]) -> None:
    tile, box = cut(*place)
    slope = torch.linspace(0.95, 1.05, tile.shape[1])[None, :, None]
    assert max(distances(matched(tile * slope, box), tile)) < STEP


@pytest.mark.parametrize("share", [0.25, *slow(0.5, 1.0)])
@pytest.mark.parametrize("place", TILES)
def test_a_tile_that_agrees_is_nearly_untouched(place: tuple[int, int, int, int], share: float) -> None:
    tile, box = cut(*place)
    change = (matched(tile, box, share) - tile).abs()
    assert float(change.mean()) < 0.3 * STEP
    assert float(change.max()) < 0.05


@pytest.mark.parametrize("place", [TILES[0], *slow(*TILES[1:])])
def test_detail_is_kept(place: tuple[int, int, int, int]) -> None:
    tile, box = cut(*place)
    result = matched(tile * torch.tensor(SHIFTS[0]), box)
    bands = [rgb.numpy() - cv2.GaussianBlur(rgb.numpy(), (0, 0), 2.0 * SCALE) for rgb in (tile, result)]
    correlation = np.corrcoef(bands[0].ravel(), bands[1].ravel())[0, 1]
    assert correlation > 0.99
    assert bands[1].std() == pytest.approx(bands[0].std(), rel=0.02)


def test_neighbours_that_drifted_apart_join() -> None:
    left, left_box = cut(120, 235, 160, 160)
    right, right_box = cut(280, 235, 160, 160)
    shift = torch.tensor(SHIFTS[0])

    def step(one: Tensor, other: Tensor) -> float:
        """Mean distance across the join, beside what is there in the picture itself."""
        seam = (one[:, -4:].mean(1) - other[:, :4].mean(1)) - (left[:, -4:].mean(1) - right[:, :4].mean(1))
        return float(seam.abs().mean())

    before = step(left * shift, right * (2.0 - shift))
    after = step(matched(left * shift, left_box), matched(right * (2.0 - shift), right_box))
    assert after < 0.25 * before


@pytest.mark.parametrize("factor", [4.5, 20.0, 1 / 4.5, 0.02])
def test_another_pictures_reference_is_an_error_that_names_the_limit(factor: float) -> None:
    tile, box = cut(*TILES[0])
    with pytest.raises(InputError, match=r"differ .* times or more in brightness .* at most 4 times"):
        match_low_band(tile, before(tile), reduced(0.5) * factor, box)


@pytest.mark.parametrize("factor", [0.4, 1.0, 2.5])
def test_less_than_two_stops_are_drift(factor: float) -> None:
    tile, box = cut(*TILES[0])
    result = match_low_band(tile, before(tile), reduced(0.5) * factor, box)
    assert float(result.mean() / tile.mean()) == pytest.approx(factor, rel=0.03)


# Corners


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 30), (3, 1)])
def test_a_reference_of_a_few_pixels_gives_its_average(size: tuple[int, int]) -> None:
    tile = torch.rand(96, 128, 3, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.3
    color = torch.tensor([0.55, 0.6, 0.52])
    result = match_low_band(tile, before(tile), color.expand(*size, 3).contiguous(), WHOLE)
    torch.testing.assert_close(result.mean((0, 1)), color, rtol=0.01, atol=0)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (4, 4)])
def test_tiny_tiles(height: int, width: int) -> None:
    tile = torch.full((height, width, 3), 0.3)
    reference = torch.full((50, 60, 3), 0.33)
    result = match_low_band(tile, before(tile), reference, TileBox(0.5, 0.5, 0.01, 0.01))
    torch.testing.assert_close(result, torch.full_like(tile, 0.33), rtol=0, atol=1e-3)


def test_black_stays_black() -> None:
    black = torch.zeros(64, 64, 3)
    result = match_low_band(black, before(black), torch.zeros(32, 32, 3), WHOLE)
    torch.testing.assert_close(result, black, rtol=0, atol=1e-6)


def test_highlights_of_an_hdr_tile_survive_an_sdr_reference() -> None:
    tile, box = cut(*TILES[1])
    tile = tile.clamp(0.0, 1.0)
    lamp = tile.clone()
    lamp[200:260, 200:260] = 12.0
    clipped = torch.from_numpy(master()).clamp(0.0, 1.0)
    left, top = TILES[1][:2]
    clipped[top + 50 : top + 65, left + 50 : left + 65] = 1.0
    result = match_low_band(lamp, before(lamp), clipped, box)
    patch = result[205:255, 205:255]
    torch.testing.assert_close(patch, torch.full_like(patch, 12.0), rtol=0.05, atol=0)
    away = torch.ones(512, 512, dtype=torch.bool)
    away[150:310, 150:310] = False
    assert float((result - tile)[away].abs().mean()) < STEP


def test_nothing_becomes_brighter_than_both() -> None:
    tile, box = cut(*TILES[2])
    result = matched(tile * 0.95, box)
    assert float(result.max()) <= max(float(tile.max()) * 0.95, float(reduced(0.5).max()))
    assert bool(torch.isfinite(result).all())


def test_match_leaves_its_inputs_as_they_were() -> None:
    tile, box = cut(*TILES[0])
    before, reference = tile.clone(), reduced(0.5).clone()
    matched(tile, box)
    assert torch.equal(tile, before)
    assert torch.equal(reduced(0.5), reference)


@pytest.mark.parametrize(("width", "height"), [(2304, 300), (3000, 350), (2150, 301)])
def test_a_tile_of_an_undisturbed_master_is_left_alone(width: int, height: int) -> None:
    """However its size divides: what two reductions differ by is no drift."""
    times = (height // master().shape[0] + 1, width // master().shape[1] + 1, 1)
    picture = Picture(np.tile(master(), times)[:height, :width].copy())
    reference = torch.from_numpy(reference_of(picture).rgb)
    cuts = plan(width, height, scale=1, tile=256)
    for number in range(0, len(cuts), 5):
        cut = cuts.cut(number)
        tile = torch.from_numpy(part_of(picture, cut).rgb)
        assert match_low_band(tile, tile, reference, cut.box) is tile
