"""Random cameras: SDR in 8 bits, HDR that ends at the boost and agrees with the SDR where it should."""

import numpy as np
import pytest

from evaluation.training.cameras import CAMERAS, DISPLAY_BOOST, adapted, guided, shipped
from luxscaler.color import encode_srgb, luminance
from luxscaler.picture import FloatArray


def scene(seed: int = 0) -> FloatArray:
    """Soft light over ten stops, 80 × 120."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 2, (10, 15)).repeat(8, 0).repeat(8, 1)
    light = np.exp2(coarse + rng.normal(0, 0.2, (80, 120)))
    return np.asarray(light[..., None] * rng.uniform(0.7, 1, (80, 120, 3)), np.float32)


@pytest.mark.sample(9)
@pytest.mark.parametrize("kind", CAMERAS)
@pytest.mark.parametrize("seed", range(6))
def test_shots_are_pictures(kind: str, seed: int) -> None:
    shot = CAMERAS[kind](scene(seed), np.random.default_rng(seed))
    assert shot.kind == kind
    assert shot.sdr.shape == shot.hdr.shape == (80, 120, 3)
    codes = encode_srgb(shot.sdr) * 255
    np.testing.assert_allclose(codes, np.round(codes), atol=1e-2)
    assert 0 <= shot.sdr.min() <= shot.sdr.max() <= 1
    assert bool(np.isfinite(shot.hdr).all())
    assert luminance(shot.hdr).max() <= shot.boost * (1 + 1e-5)
    assert 1 < shot.boost <= 49


def test_the_same_generator_makes_the_same_shot() -> None:
    one, other = (CAMERAS["fusion"](scene(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one.sdr, other.sdr)
    np.testing.assert_array_equal(one.hdr, other.hdr)


@pytest.mark.parametrize("seed", range(5))
def test_a_dim_shot_is_right_as_it_is(seed: int) -> None:
    shot = CAMERAS["dim"](scene(seed), np.random.default_rng(seed))
    np.testing.assert_array_equal(shot.sdr, shot.hdr)
    assert shot.sdr.max() < 0.95


@pytest.mark.parametrize("seed", range(5))
def test_phones_darken_what_is_bright(seed: int) -> None:
    shot = CAMERAS["phone"](scene(seed), np.random.default_rng(seed))
    sdr, hdr = luminance(shot.sdr), luminance(shot.hdr)
    bright = sdr > np.percentile(sdr, 80)
    dark = (sdr < np.percentile(sdr, 40)) & (sdr > 0.01)
    rise = np.log2(np.maximum(hdr, 1e-4) / np.maximum(sdr, 1e-4))
    assert dark.any()
    assert np.median(rise[bright]) > np.median(rise[dark])


def test_parts_of_a_pair_keep_its_gain() -> None:
    sdr = np.asarray(np.clip(scene() / 8, 0, 1), np.float32)
    shot = shipped(sdr, np.asarray(sdr * 1.7, np.float32), 49.0, np.random.default_rng(2))
    lit = shot.sdr > 0.1
    assert float(np.median(shot.hdr[lit] / shot.sdr[lit])) == pytest.approx(1.7, rel=0.02)
    assert shot.boost <= 49.0
    assert shot.sdr.max() < 1.3 * DISPLAY_BOOST


def test_a_lower_headroom_takes_the_same_share_of_all_stops() -> None:
    sdr = np.linspace(0.2, 1, 60, dtype=np.float32).reshape(60, 1, 1).repeat(3, 2)
    hdr = np.asarray(sdr * 8**sdr, np.float32)
    stops = np.log2(luminance(adapted(sdr, hdr, 2.0)) / luminance(sdr))
    np.testing.assert_allclose(stops, np.log2(luminance(hdr) / luminance(sdr)) / 3, atol=1e-3)
    np.testing.assert_allclose(adapted(sdr, hdr, 9.0), hdr, rtol=1e-5)
    capped = luminance(adapted(sdr, hdr, DISPLAY_BOOST))
    np.testing.assert_allclose(capped, np.minimum(luminance(hdr), DISPLAY_BOOST), rtol=1e-5)


def test_the_guided_filter_keeps_an_edge_and_smooths_noise() -> None:
    edge = np.zeros((40, 40), np.float32)
    edge[:, 20:] = 1
    noisy = edge + np.random.default_rng(0).normal(0, 0.05, edge.shape).astype(np.float32)
    result = guided(noisy, noisy, 4, 0.02)
    assert abs(result - edge)[:, 21:].mean() < 0.6 * abs(noisy - edge)[:, 21:].mean()
    assert result[:, 22].mean() - result[:, 17].mean() > 0.9
