"""The preview of hdr_boost: values that follow from expand() by another formula, and in a moment."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import luxscaler
from luxscaler.errors import ExportError, InputError
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.picture import Picture
from luxscaler.pipeline import preview as preview_module
from luxscaler.pipeline.preview import LIFTED, check_preview_path


def _picture(height: int = 48, width: int = 64, *, alpha: bool = False) -> Picture:
    """A dark picture with a bright coloured ramp and a few lights at white."""
    random = np.random.default_rng(4)
    rgb = random.random((height, width, 3), np.float32) * 0.1
    rgb[height // 2 :] += np.linspace(0.0, 0.85, width, dtype=np.float32)[None, :, None]
    rgb[3:6, 5:9] = 1.0
    coverage = None
    if alpha:
        coverage = np.ones((height, width), np.float32)
        coverage[:, : width // 2] = 0.0
    return Picture(rgb, coverage)


def test_the_values_are_those_of_expand() -> None:
    picture = _picture()
    light = torch.from_numpy(picture.rgb)
    wanted = expand(light, 4.0, ToneStatistics.of(light)).numpy()
    made = luxscaler.preview(picture, 4.0)
    np.testing.assert_array_equal(made.before.rgb, picture.rgb)
    np.testing.assert_allclose(made.boosted.rgb, wanted, rtol=1e-6)
    pixels = wanted.reshape(-1, 3).astype(np.float64)
    above = [pixel for pixel in pixels if max(pixel) > 1.0]
    assert made.above_white == pytest.approx(len(above) / len(pixels))
    assert made.above_white > 0.0
    assert made.peak == pytest.approx(pixels.max())
    gains = sorted(float(g) for g in wanted.max(2).ravel() / picture.rgb.max(2).ravel() if g >= LIFTED)
    assert made.median_gain == pytest.approx(float(np.median(gains)))
    stops = [np.log(max(*pixel, 1.0)) / np.log(2.0) for pixel in pixels]
    np.testing.assert_allclose(made.stops.ravel(), stops, atol=1e-5)


def test_the_words() -> None:
    made = luxscaler.preview(_picture(), 4.0)
    assert f"{100 * made.above_white:.3g} % of the picture above SDR white" in str(made)
    assert f"highest {made.peak:.3g} ({made.peak * 203:.0f} cd/m²)" in str(made)
    assert f"median gain of what is lifted ×{made.median_gain:.2f}" in str(made)
    bright = Picture(np.full((4, 4, 3), 3.0, np.float32))
    assert str(luxscaler.preview(bright, 1.0)).startswith("100 % of the picture above SDR white, highest 3 (")
    nothing = luxscaler.preview(_picture(), 1.0)
    assert (nothing.above_white, nothing.median_gain) == (0.0, 1.0)
    assert "nothing is lifted" in str(nothing)


def test_a_small_picture_takes_less_than_a_second_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_arguments: object) -> None:
        raise AssertionError("a network is loaded")

    monkeypatch.setattr("luxscaler.weights.store.load_network", load)
    picture = _picture(192, 256)
    luxscaler.preview(picture, 4.0).sheet()  # what is imported and allocated once
    before = time.thread_time()  # of this thread alone: others may keep the machine busy
    luxscaler.preview(picture, 4.0).sheet()
    assert time.thread_time() - before < 1.0


def test_a_large_file_is_shown_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_module, "PREVIEW_SIDE", 32)
    Image.fromarray(np.full((120, 90, 3), 188, np.uint8)).save(tmp_path / "in.png")
    made = luxscaler.preview(tmp_path / "in.png", 2.0)
    assert made.before.rgb.shape == made.boosted.rgb.shape == (32, 24, 3)
    np.testing.assert_allclose(made.before.rgb, 0.502886, rtol=1e-5)
    assert made.stops.shape == (32, 24)


def test_what_is_transparent_does_not_count() -> None:
    picture = _picture(alpha=True)
    made = luxscaler.preview(picture, 4.0)
    seen = made.boosted.rgb[:, 32:].max(axis=2)
    assert made.above_white == pytest.approx(float((seen > 1.0).mean()))
    assert made.peak == pytest.approx(float(seen.max()))


def test_a_mask_is_shown() -> None:
    picture = _picture()
    shares = np.zeros((1, 2), np.float32)
    shares[0, 1] = 1.0
    full = luxscaler.preview(picture, 4.0)
    half = luxscaler.preview(picture, 4.0, boost_mask=Picture.from_array(shares))
    np.testing.assert_array_equal(half.boosted.rgb[:, :16], picture.rgb[:, :16])
    np.testing.assert_array_equal(half.boosted.rgb[:, 48:], full.boosted.rgb[:, 48:])
    assert half.above_white < full.above_white


def test_a_tile_is_shown_with_the_statistics_of_its_reference() -> None:
    master = _picture()
    tile = Picture(np.ascontiguousarray(master.rgb[:, :32]))
    made = luxscaler.preview(tile, 4.0, reference=master, tile_box=luxscaler.TileBox(0, 0, 0.5, 1))
    whole = luxscaler.preview(master, 4.0)
    np.testing.assert_allclose(made.boosted.rgb[:, :24], whole.boosted.rgb[:, :24], rtol=1e-5)


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".WEBP", "WEBP")])
def test_the_file_is_the_sheet(tmp_path: Path, suffix: str, kind: str) -> None:
    made = luxscaler.preview(_picture(), 4.0)
    made.write(tmp_path / f"a{suffix}")
    with Image.open(tmp_path / f"a{suffix}") as image:
        assert image.format == kind
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == made.sheet().shape
    if kind == "PNG":
        np.testing.assert_array_equal(pixels, made.sheet())


def test_where_no_preview_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png \.jpg \.jpeg \.webp; .*a\.exr' is none"):
        check_preview_path(tmp_path / "a.exr")
    with pytest.raises(ExportError, match="the folder does not exist"):
        check_preview_path(tmp_path / "absent" / "a.png")
    with pytest.raises(InputError, match="hdr_boost is 50"):
        luxscaler.preview(_picture(), 50.0)
