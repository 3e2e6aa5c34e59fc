"""Registration: finds where a tile sits, and returns None where that is ambiguous."""

from functools import cache

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from luxscaler.geometry import WHOLE, TileBox
from luxscaler.io.read import read_picture
from luxscaler.upscaling.registration import correlation, locate
from tests.conftest import SAMPLE
from tests.support.slow import slow

TOLERANCE = 1.5
"""How far a corner may be off, in pixels of the reference."""


@cache
def master() -> np.ndarray:
    """(427, 640, 3) linear light."""
    return read_picture(SAMPLE / "master.jpg").rgb


@cache
def reduced(share: float) -> Tensor:
    """The whole picture at a share of its size."""
    height, width = (round(share * side) for side in master().shape[:2])
    return torch.from_numpy(cv2.resize(master(), (width, height), interpolation=cv2.INTER_AREA))


def cut(left: int, top: int, width: int, height: int) -> tuple[Tensor, TileBox]:
    full_height, full_width = master().shape[:2]
    box = TileBox(left / full_width, top / full_height, width / full_width, height / full_height)
    return torch.from_numpy(master()[top : top + height, left : left + width].copy()), box


def corners(box: TileBox, reference: Tensor) -> np.ndarray:
    """Left, top, right, bottom in pixels of the reference."""
    height, width = reference.shape[:2]
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height]) * [width, height, width, height]


def noise(height: int, width: int, seed: int, blur: float = 2.0) -> Tensor:
    values = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    return torch.from_numpy(cv2.GaussianBlur(values, (0, 0), blur) if blur else values)


@pytest.mark.parametrize("share", [0.3, *slow(0.75, 1.0)])
@pytest.mark.parametrize(
    "place",
    [
        (251, 119, 179, 285),
        (150, 200, 400, 220),
        *slow((103, 89, 254, 325), (320, 227, 200, 200), (100, 260, 220, 160)),
    ],
)
def test_tiles_are_found_in_references_of_any_size(place: tuple[int, int, int, int], share: float) -> None:
    tile, box = cut(*place)
    reference = reduced(share)
    found = locate(tile * torch.tensor([1.05, 1.0, 0.95]), reference)
    assert found is not None
    assert np.abs(corners(found, reference) - corners(box, reference)).max() <= TOLERANCE


@pytest.mark.parametrize("seed", [0, 1, *slow(2, 3, 4, 5, 6, 7)])
def test_random_tiles_are_found_where_they_are_or_not_at_all(seed: int) -> None:
    # Half of the sample is a smooth evening sky: many of its tiles fit elsewhere nearly as well.
    rng = np.random.default_rng(seed)
    width, height = (int(rng.integers(100, 330)) for _ in range(2))
    left, top = int(rng.integers(0, 640 - width)), int(rng.integers(0, 427 - height))
    tile, box = cut(left, top, width, height)
    reference = reduced(float(rng.uniform(0.3, 1.0)))
    found = locate(tile * torch.from_numpy(rng.uniform(0.95, 1.05, 3).astype(np.float32)), reference)
    if found is not None:
        assert np.abs(corners(found, reference) - corners(box, reference)).max() <= 2.0


def test_the_sample_tile_is_where_its_readme_says() -> None:
    tile = torch.from_numpy(read_picture(SAMPLE / "tile.png").rgb)
    found = locate(tile, reduced(1.0))
    assert found is not None
    expected = TileBox.parse("0.1875,0.5503513,0.5,0.4496487")
    assert np.abs(corners(found, reduced(1.0)) - corners(expected, reduced(1.0))).max() <= TOLERANCE


def test_a_tile_in_a_noise_picture_is_found() -> None:
    reference = noise(150, 200, seed=1)
    tile = torch.from_numpy(cv2.resize(reference[40:110, 60:150].numpy(), None, fx=2, fy=2))
    found = locate(tile, reference)
    assert found is not None
    assert np.abs(corners(found, reference) - [60, 40, 150, 110]).max() <= TOLERANCE


@pytest.mark.parametrize("share", [0.3, *slow(1.0)])
def test_the_whole_picture_is_the_whole_box(share: float) -> None:
    assert locate(torch.from_numpy(master().copy()), reduced(share)) == WHOLE


def test_a_found_box_lies_inside_the_master() -> None:
    for left, top in ((0, 227), (440, 227)):
        found = locate(cut(left, top, 200, 200)[0], reduced(0.5))
        if found is not None:  # TileBox checks itself when it is made
            assert found.x + found.width <= 1.0 + 1e-6


def test_a_flat_tile_has_no_place() -> None:
    assert locate(torch.full((80, 80, 3), 0.4), reduced(0.5)) is None
    assert locate(torch.full((80, 80, 3), 0.4) + 0.002 * noise(80, 80, 3), reduced(0.5)) is None


def test_a_flat_reference_has_no_place() -> None:
    assert locate(noise(60, 60, 4), torch.full((120, 160, 3), 0.5)) is None


@pytest.mark.parametrize("blur", [2.0, *slow(0.0, 12.0)])
def test_noise_has_no_place_in_a_picture(blur: float) -> None:
    assert locate(noise(128, 128, 5, blur), reduced(0.5)) is None


def test_a_tile_of_another_texture_has_no_place() -> None:
    assert locate(noise(80, 100, 7), noise(200, 300, 8)) is None


def test_a_tile_that_only_resembles_a_place_has_none() -> None:
    reference = noise(100, 150, 13)
    tile, other = reference[20:80, 30:100], noise(60, 70, 14)
    assert locate(0.9 * tile + 0.1 * other, reference) is not None
    assert locate(0.57 * tile + 0.43 * other, reference) is None  # a correlation of 0.8


def test_a_mirrored_tile_has_no_place() -> None:
    tile, _ = cut(120, 235, 320, 192)
    assert locate(tile.flip(0), reduced(0.5)) is None


def test_a_repeated_pattern_has_no_place() -> None:
    pattern = noise(40, 40, 9).repeat(4, 5, 1)
    assert locate(pattern[40:80, 40:80].contiguous(), pattern) is None
    assert locate(pattern[20:100, 50:130].contiguous(), pattern) is None


def test_a_tile_that_is_there_twice_has_no_place() -> None:
    reference = noise(120, 240, 10)
    reference[20:80, 140:200] = reference[20:80, 20:80]
    assert locate(reference[20:80, 20:80].contiguous(), reference) is None


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (50, 1), (3, 3)])
def test_slivers_raise_nothing(height: int, width: int) -> None:
    found = locate(noise(height, width, 11, blur=0.0), reduced(0.5))
    assert found is None or isinstance(found, TileBox)
    tiny = locate(cut(120, 235, 320, 192)[0], noise(height, width, 12, blur=0.0))
    assert tiny is None or isinstance(tiny, TileBox)


def direct(tile: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Normalised cross-correlation by its definition."""
    height, width = tile.shape
    rows, columns = reference.shape[0] - height + 1, reference.shape[1] - width + 1
    result = np.zeros((rows, columns))
    wanted = tile - tile.mean()
    for top in range(rows):
        for left in range(columns):
            window = reference[top : top + height, left : left + width]
            window = window - window.mean()
            result[top, left] = (window * wanted).sum() / np.sqrt((window**2).sum() * (wanted**2).sum())
    return result


@pytest.mark.parametrize(
    ("tile_size", "size"), [((3, 4), (9, 11)), ((5, 5), (5, 5)), ((2, 7), (6, 7)), ((1, 3), (4, 12))]
)
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_correlation_equals_its_definition(
    tile_size: tuple[int, int], size: tuple[int, int], offset: float
) -> None:
    rng = np.random.default_rng([*tile_size, *size])
    tile, reference = rng.random(tile_size), rng.random(size) + offset
    scores = correlation(torch.from_numpy(tile), torch.from_numpy(reference))
    np.testing.assert_allclose(scores.numpy(), direct(tile, reference), atol=1e-6)


def test_correlation_does_not_mind_exposure_and_contrast() -> None:
    rng = np.random.default_rng(2)
    reference = torch.from_numpy(rng.random((20, 30)))
    tile = reference[4:12, 7:19]
    scores = correlation(3.0 * tile + 5.0, reference)
    assert divmod(int(scores.argmax()), scores.shape[1]) == (4, 7)
    assert float(scores.max()) == pytest.approx(1.0, abs=1e-9)
    assert float(correlation(-tile, reference)[4, 7]) == pytest.approx(-1.0, abs=1e-9)


def test_correlation_with_flat_ground_is_zero() -> None:
    reference = torch.zeros(10, 16)
    reference[:, 8:] = torch.rand(10, 8, generator=torch.Generator().manual_seed(1))
    scores = correlation(torch.rand(3, 4, generator=torch.Generator().manual_seed(2)), reference)
    assert float(scores[:, :5].abs().max()) == 0.0
    assert float(scores.abs().max()) <= 1.0
