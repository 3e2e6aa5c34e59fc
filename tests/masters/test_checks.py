"""What comes back for a tile: right results pass, whatever a network makes of them; wrong ones do not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from luxscaler.backends.base import Tile, TileOutput
from luxscaler.errors import TileError
from luxscaler.masters.checks import check_tile
from luxscaler.picture import FloatArray, Picture

HEIGHT, WIDTH, SCALE = 60, 83, 2


def scene(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> FloatArray:
    """Linear light of blurred patches with detail on them, as photos have."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 11, generator=random) ** 2.2
    rgb = F.interpolate(coarse, (height, width), mode="bicubic").clamp(0.0, 1.0)
    rgb *= 1.0 + 0.3 * (torch.rand(1, 1, height, width, generator=random) - 0.5)
    return array(rgb)


def array(planes: torch.Tensor) -> FloatArray:
    return np.ascontiguousarray(planes[0].permute(1, 2, 0).numpy(), np.float32)


def resized(rgb: FloatArray, mode: str = "nearest") -> FloatArray:
    planes = torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None]
    return array(F.interpolate(planes, scale_factor=float(SCALE), mode=mode))


def tile(rgb: FloatArray, alpha: FloatArray | None = None) -> Tile:
    size = (SCALE * rgb.shape[0], SCALE * rgb.shape[1])
    return Tile(3, 1, Picture(rgb, alpha), None, size)


def noisy(rgb: FloatArray, strength: float) -> FloatArray:
    random = np.random.default_rng(1).standard_normal(rgb.shape).astype(np.float32)
    return rgb * (1 + strength * random)


RGB = scene()
MASK = np.linspace(0, 1, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, axis=0)

RIGHT: dict[str, Callable[[FloatArray], FloatArray]] = {
    "nearest": resized,
    "bilinear": lambda rgb: resized(rgb, "bilinear"),
    "bicubic": lambda rgb: resized(rgb, "bicubic"),
    "noise": lambda rgb: noisy(resized(rgb), 0.2),
    "detail": lambda rgb: resized(rgb) * (1 + 0.5 * (np.indices((120, 166)).sum(0) % 2 * 2 - 1))[..., None],
    "brighter": lambda rgb: resized(rgb) * np.float32(1.05),
    "darker": lambda rgb: resized(rgb) * np.float32(0.95),
    "warmer": lambda rgb: resized(rgb) * np.array([1.05, 1.0, 0.95], np.float32),
    "flatter": lambda rgb: resized(np.sqrt(rgb * resized(rgb)[::2, ::2].mean()) * 0.15 + rgb * 0.85),
    "moved by half a pixel": lambda rgb: np.roll(resized(rgb), 1, axis=1),
    "a read-only array": lambda rgb: np.frombuffer(resized(rgb).tobytes(), np.float32).reshape(120, 166, 3),
    "an array turned about": lambda rgb: np.ascontiguousarray(resized(rgb)[::-1])[::-1],
}


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("gain", [1.0, 0.01, 40.0], ids=["sdr", "dark", "hdr"])
def test_right_results_pass(change: Callable[[FloatArray], FloatArray], gain: float) -> None:
    rgb = RGB * np.float32(gain)
    check_tile(tile(rgb), TileOutput(np.asarray(change(rgb), np.float32)))


@pytest.mark.parametrize("value", [0.0, 0.001, 1.0, -0.01])
def test_a_flat_picture_passes(value: float) -> None:
    rgb = np.full((8, 8, 3), value, np.float32)
    check_tile(tile(rgb), TileOutput(resized(rgb)))


def test_a_picture_of_one_pixel_passes() -> None:
    check_tile(tile(RGB[:1, :1]), TileOutput(resized(RGB[:1, :1])))


def test_colour_under_transparent_pixels_may_be_anything() -> None:
    alpha = (MASK > 0.5).astype(np.float32)
    large = alpha.repeat(SCALE, 0).repeat(SCALE, 1)
    result = np.where(large[..., None] > 0, resized(RGB), np.float32(7))
    check_tile(tile(RGB, alpha), TileOutput(result, large))


def rejected(output: TileOutput, asked: Tile | None = None) -> str:
    with pytest.raises(TileError) as caught:
        check_tile(asked or tile(RGB), output)
    assert str(caught.value).startswith("tile 3 came back ")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_value(value: float) -> FloatArray:
    result = resized(RGB)
    result[50, 60, 1] = value
    return result


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("rgb", "reason"),
    [
        (RGB, "with 83 × 60 pixels; asked for were 166 × 120"),
        (resized(RGB)[:-1], "with 166 × 119 pixels; asked for were 166 × 120"),
        (resized(RGB).astype(np.float64), "as (120, 166, 3) float64, not as float32 RGB"),
        (resized(RGB)[..., 0], "as (120, 166) float32, not as float32 RGB"),
        (with_value(np.nan), "with values that are not finite"),
        (with_value(np.inf), "with values that are not finite"),
        (with_value(-np.inf), "with values that are not finite"),
    ],
)
def test_what_is_no_picture_of_that_size_is_never_taken(rgb: FloatArray, reason: str, trusted: bool) -> None:
    assert rejected(TileOutput(rgb, trusted=trusted)) == f"tile 3 came back {reason}"


LARGE_MASK = MASK.repeat(SCALE, 0).repeat(SCALE, 1)


@pytest.mark.parametrize(
    ("alpha", "reason"),
    [
        (None, "without alpha"),
        (MASK, "with an alpha of (60, 83) float32"),
        (LARGE_MASK.astype(np.float64), "with an alpha of (120, 166) float64"),
        (LARGE_MASK * np.float32(np.nan), "with an alpha from nan to nan, not within 0 to 1"),
        (LARGE_MASK * 2, "with an alpha from 0 to 2, not within 0 to 1"),
        (LARGE_MASK[:, ::-1], "with another alpha"),
    ],
)
def test_another_alpha_is_rejected(alpha: FloatArray | None, reason: str) -> None:
    assert reason in rejected(TileOutput(resized(RGB), alpha), tile(RGB, MASK))


def test_an_alpha_that_nobody_asked_for_is_rejected() -> None:
    assert rejected(TileOutput(resized(RGB), LARGE_MASK)) == "tile 3 came back with alpha"


NEIGHBOURS = scene(5, HEIGHT, 2 * WIDTH - 16)
ANOTHER: dict[str, FloatArray] = {
    "another": resized(scene(1)),
    "half of it": np.concatenate((resized(RGB)[:60], np.zeros((60, 166, 3), np.float32))),
    "shifted": np.roll(resized(RGB), 30, axis=1),
    "mirrored": resized(RGB)[:, ::-1],
    "upside down": resized(RGB)[::-1],
    "channels swapped": resized(RGB)[..., ::-1],
    "a negative": 1 - resized(RGB),
    "white": np.ones((120, 166, 3), np.float32),
    "twice as bright": resized(RGB) * 2,
    "left in code values": resized(RGB) ** np.float32(1 / 2.2),
}


@pytest.mark.parametrize("rgb", ANOTHER.values(), ids=ANOTHER)
def test_another_picture_is_rejected_unless_it_is_trusted(rgb: FloatArray) -> None:
    output = TileOutput(np.asarray(rgb, np.float32))
    assert "as another picture: its averages are off by 0." in rejected(output)
    check_tile(tile(RGB), replace(output, trusted=True))


def test_a_neighbour_is_rejected() -> None:
    here, beside = NEIGHBOURS[:, :WIDTH], NEIGHBOURS[:, -WIDTH:]
    assert "another picture" in rejected(TileOutput(resized(beside)), tile(here))


def test_black_is_rejected_and_said_so() -> None:
    assert rejected(TileOutput(resized(RGB * 0))) == "tile 3 came back black"
