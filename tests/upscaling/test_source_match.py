"""The source's code values come back: means of areas hold, edges get no rim, noise stays away.

A network is played by a cubic enlargement that is then harmed as networks harm pictures: colours shifted by
tone, contrast raised, dark strokes thickened.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from luxscaler.color import encode_srgb
from luxscaler.color_torch import decode_srgb
from luxscaler.io.read import read_picture
from luxscaler.upscaling import source_match
from luxscaler.upscaling.source_match import area_means, match_source
from tests.conftest import SAMPLE
from tests.support.examples import examples

CODE = 1 / 255
CELL = 16
"""Source pixels a side of the areas whose means are held."""
THICKER = 0.06
"""Share of a picture whose dark strokes are a pixel wider."""
few = settings(derandomize=True, deadline=None, max_examples=examples(25))


def photo() -> np.ndarray:
    """(96, 160, 3) code values of trees before a sky."""
    return np.asarray(encode_srgb(read_picture(SAMPLE / "master.jpg").rgb)[40:136, 60:220])


def step() -> np.ndarray:
    code = np.zeros((64, 96, 3), np.float32)
    code[:, 48:] = 1.0
    return code


def colours() -> np.ndarray:
    code = np.full((64, 96, 3), (0.9, 0.1, 0.1), np.float32)
    code[:, 40:] = (0.1, 0.3, 0.9)
    code[30:, 20:70] = (0.95, 0.9, 0.2)
    return code


def letters() -> np.ndarray:
    large = np.full((256, 384, 3), 255, np.uint8)
    for row in range(6):
        cv2.putText(large, "Quick brown fox", (6, 36 + 40 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (0, 0, 0), 4)
    return np.asarray(cv2.resize(large.astype(np.float32) / 255, (96, 64), interpolation=cv2.INTER_AREA))


def branches() -> np.ndarray:
    large = np.full((256, 384, 3), (150, 190, 235), np.uint8)
    generator = np.random.default_rng(1)
    for _ in range(90):
        ends = generator.integers((0, 0, 0, 0), (384, 256, 384, 256)).tolist()
        cv2.line(large, ends[:2], ends[2:], (38, 28, 20), int(generator.integers(1, 7)))
    return np.asarray(cv2.resize(large.astype(np.float32) / 255, (96, 64), interpolation=cv2.INTER_AREA))


PICTURES = [photo, step, colours, letters, branches]


def harmed(code: np.ndarray, scale: float = 4.0) -> Tensor:
    """(H, W, 3) code values of a network's result."""
    size = (round(code.shape[1] * scale), round(code.shape[0] * scale))
    large = cv2.resize(code, size, interpolation=cv2.INTER_CUBIC)
    large = (1.0 - THICKER) * large + THICKER * cv2.erode(large, np.ones((3, 3), np.uint8))
    large = large + 0.15 * large * (1.0 - large) * (large - 0.3) + (-0.03, 0.01, 0.04)
    return torch.from_numpy(np.clip(large, 0.0, 1.0).astype(np.float32))


def matched(result: Tensor, code: np.ndarray) -> Tensor:
    """Code values in, code values out."""
    light = match_source(decode_srgb(result.clone()), decode_srgb(torch.from_numpy(code.copy())))
    return torch.from_numpy(encode_srgb(light.numpy()))


def worst_mean(result: Tensor, code: np.ndarray, cell: int = CELL) -> float:
    """The largest difference between means of cells of the source."""
    found = area_means(result, code.shape[:2]).numpy() - code
    height, width = (side // cell * cell for side in code.shape[:2])
    cells = found[:height, :width].reshape(height // cell, cell, width // cell, cell, 3).mean((1, 3))
    return float(np.abs(cells).max())


SCALES = (4.0, 2.0, 3.0, 2.5, 1.0)


def _pairs() -> list[Any]:
    """Every picture and every scale once; all other pairs are slow."""
    once = set(zip(PICTURES, SCALES, strict=True))
    pairs = [(picture, scale) for scale in SCALES for picture in PICTURES]
    return [pair if pair in once else pytest.param(*pair, marks=pytest.mark.slow) for pair in pairs]


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize(("picture", "scale"), _pairs())
def test_the_mean_of_every_cell_follows_the_source(picture: Callable[[], np.ndarray], scale: float) -> None:
    code = picture()
    result = harmed(code, scale)
    after = matched(result, code)
    limit = (
        0.5 if scale in (1.0, 2.0, 4.0) else 1.0
    )  # of hard edges, where pixels belong to two of the source
    assert worst_mean(result, code) > 3 * CODE
    assert worst_mean(after, code) < limit * CODE
    assert float((after.mean((0, 1)) - torch.from_numpy(code).mean((0, 1))).abs().max()) < 0.5 * CODE


@pytest.mark.slow
def test_nothing_happens_to_a_result_that_agrees() -> None:
    result = torch.from_numpy(cv2.resize(photo(), (640, 384), interpolation=cv2.INTER_CUBIC)).clamp(0.0, 1.0)
    change = matched(result, area_means(result, (96, 160)).numpy()) - result
    assert float(change.abs().max()) < 0.05 * CODE


@few
@given(st.tuples(*[st.floats(0.0, 1.0)] * 3), st.tuples(*[st.floats(0.0, 1.0)] * 3), st.integers(1, 40))
def test_flat_in_is_flat_out_and_of_the_sources_colour(
    wanted: tuple[float, float, float], found: tuple[float, float, float], side: int
) -> None:
    code = np.full((side, side, 3), wanted, np.float32)
    after = matched(torch.tensor(found).expand(4 * side, 4 * side, 3), code)
    torch.testing.assert_close(after, torch.tensor(wanted).expand_as(after), rtol=0, atol=0.5 * CODE)
    assert float((after - after[0, 0]).abs().max()) < 0.02 * CODE


def test_grey_in_is_grey_out() -> None:
    code = photo().mean(2, keepdims=True).repeat(3, 2)
    after = matched(harmed(code).mean(2, keepdim=True).expand(-1, -1, 3), code)
    assert float((after - after[..., :1]).abs().max()) < 1e-5


def test_beside_an_edge_there_is_no_rim() -> None:
    code = step()
    after = matched(harmed(code), code)
    # Away from the edge by more than two source pixels both sides are what they are in the source.
    dark, bright = after[:, : 4 * 45], after[:, 4 * 51 :]
    torch.testing.assert_close(dark, torch.zeros_like(dark), rtol=0, atol=CODE)
    torch.testing.assert_close(bright, torch.ones_like(bright), rtol=0, atol=CODE)


def test_gaps_between_branches_hardly_outshine_the_sky() -> None:
    code = branches()
    result = harmed(code) * 0.9
    after = matched(result, code)
    highest = np.maximum(result.numpy(), code.max((0, 1)))
    brighter = after.numpy() - highest
    assert float(np.percentile(brighter, 90)) < 6 * CODE
    assert float(brighter.max()) < 24 * CODE


def test_smooth_lines_keep_their_smoothness() -> None:
    """A slanted line that the source has in steps, and the network without."""
    fine = np.full((256, 256, 3), 255, np.uint8)
    cv2.line(fine, (60, 0), (130, 255), (0, 0, 0), 4, cv2.LINE_AA)
    code = (cv2.resize(fine, (64, 64), interpolation=cv2.INTER_AREA) > 127).astype(np.float32)
    result = torch.from_numpy(fine.astype(np.float32) / 255)
    steps = torch.from_numpy(np.kron(code, np.ones((4, 4, 1), np.float32)))
    after = matched(result, code)
    assert float((after - result).abs().mean()) < 0.7 * float((steps - result).abs().mean())


def test_noise_that_the_network_lost_stays_away() -> None:
    generator = np.random.default_rng(5)
    noisy = (0.5 + generator.normal(size=(64, 64, 3)) * 4 * CODE).astype(np.float32)
    after = area_means(matched(torch.full((256, 256, 3), 0.5), noisy), (64, 64)).numpy()
    assert after.std() < 0.55 * noisy.std()
    assert abs(float(after.mean() - noisy.mean())) < 0.1 * CODE


@pytest.mark.slow
def test_a_tile_alone_is_as_in_the_whole() -> None:
    code = np.tile(photo(), (2, 1, 1))
    result = harmed(code)
    whole = matched(result, code)
    part = matched(result[4 * 40 : 4 * 170, 4 * 20 : 4 * 140], code[40:170, 20:140])
    inner = slice(4 * 32, -4 * 32)
    expected = whole[4 * 40 : 4 * 170, 4 * 20 : 4 * 140][inner, inner]
    torch.testing.assert_close(part[inner, inner], expected, rtol=0, atol=0.02 * CODE)


@pytest.mark.parametrize(("low", "high"), [(-0.2, 0.8), (0.0, 3.0)])
def test_colours_outside_the_range_of_sdr_come_back_too(low: float, high: float) -> None:
    smooth = cv2.resize(photo(), (20, 12), interpolation=cv2.INTER_AREA)
    source = cv2.resize(smooth, (80, 48)) * (high - low) + low
    large = cv2.resize(source, (320, 192)) * 0.9 + 0.03
    after = match_source(torch.from_numpy(large.copy()), torch.from_numpy(source.copy()))
    error = (area_means(after, (48, 80)) - torch.from_numpy(source)).abs().mean()
    assert float(error) < 0.2 * float(np.abs(cv2.resize(large, (80, 48)) - source).mean())
    assert float(after.max()) <= max(high, 1.0) + 1e-4


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (2, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    code = np.full((*size, 3), 0.4, np.float32)
    after = matched(torch.full((4 * size[0], 4 * size[1], 3), 0.45), code)
    torch.testing.assert_close(after, torch.full_like(after, 0.4), rtol=0, atol=0.5 * CODE)


@few
@given(st.integers(1, 40), st.floats(1.0, 8.0))
def test_area_means_count_pixels_on_borders_in_part(count: int, scale: float) -> None:
    length = round(count * scale)
    values = torch.rand((length, 1, 3), generator=torch.Generator().manual_seed(count))
    means = area_means(values, (count, 1))
    torch.testing.assert_close(means.mean(0), values.mean(0), rtol=0, atol=1e-5)
    fine = values.repeat_interleave(count, 0).reshape(count, length, 3).mean(1)
    torch.testing.assert_close(means[:, 0], fine, rtol=0, atol=1e-5)


def test_it_works_in_place() -> None:
    rgb = torch.rand((32, 32, 3), generator=torch.Generator().manual_seed(2))
    assert match_source(rgb, area_means(rgb, (8, 8))) is rgb


@few
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_both_ways_to_smooth_agree_and_keep_the_sum(height: int, width: int, seed: int) -> None:
    """A card pools, a processor adds slices; OpenCV is the judge."""
    picture = np.random.default_rng(seed).standard_normal((height, width, 3)).astype(np.float32)
    wanted = cv2.blur(picture, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(picture.shape)
    for way in (source_match._pooled, source_match._averaged):
        found = way(torch.from_numpy(picture)).numpy()
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        np.testing.assert_allclose(found.sum((0, 1)), picture.sum((0, 1)), atol=1e-4)
