"""The upscaler: sizes, range, precision, memory and errors, with networks of milliseconds.

Two stand-ins for a trained network: `tiny_network`, random, for what must hold of any network; `faithful`,
which repeats every pixel, for what must hold of one that does its work.
"""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from luxscaler.errors import InputError, UpscaleError
from luxscaler.geometry import MAX_SCALE, output_size
from luxscaler.inference import eager
from luxscaler.io.read import read_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig, SRVGGNetCompact
from luxscaler.options import DEFAULT_OVERLAP, UpscalerOptions
from luxscaler.upscaling.code_values import encode
from luxscaler.upscaling.upscaler import Upscaler, resolve_device
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.support.examples import examples
from tests.support.processor import needs_bf16

CPU = UpscalerOptions(device="cpu", precision="fp32")
seeded = settings(derandomize=True, deadline=None, max_examples=examples(30))
scales = st.one_of(st.integers(1, 8), st.floats(1, 8), st.sampled_from([1.5, 2.5, 3.99, 4.01]))


@cache
def faithful() -> Upscaler:
    """×4 by repeating pixels: SRVGGNetCompact whose invention is nothing."""
    network = build_network(SRVGGConfig(features=4, convs=1))
    assert isinstance(network, SRVGGNetCompact)
    for parameter in network.parameters():
        parameter.data.zero_()
    return Upscaler(network, CPU)


@cache
def random_upscaler(scale: int = 4) -> Upscaler:
    torch.manual_seed(11)
    return Upscaler(build_network(RRDBNetConfig(scale=scale, features=4, blocks=1, growth=2)), CPU)


@cache
def quickest_upscaler() -> Upscaler:
    torch.manual_seed(12)
    return Upscaler(build_network(SRVGGConfig(features=2, convs=1)), CPU)


@cache
def sample() -> Tensor:
    """(427, 640, 3) linear light."""
    return torch.from_numpy(read_picture(SAMPLE / "master.jpg").rgb)


def rand(height: int, width: int, *, low: float = 0.0, high: float = 1.0, seed: int = 1) -> Tensor:
    return torch.rand(height, width, 3, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


def psnr(one: Tensor, other: Tensor) -> float:
    """Of two pictures in linear light, in sRGB code values, in dB."""
    return float(-10 * (encode(one) - encode(other)).square().mean().log10())


# Size


@seeded
@given(st.integers(1, 40), st.integers(1, 40), scales)
def test_result_is_exactly_scale_times_the_picture(width: int, height: int, scale: float) -> None:
    result = quickest_upscaler().upscale(rand(height, width), scale)
    assert result.shape == (round(scale * height), round(scale * width), 3)
    assert result.dtype == torch.float32
    assert result.is_contiguous()
    assert bool(torch.isfinite(result).all())


@seeded
@given(st.integers(1, 20), st.integers(1, 20), scales)
def test_alpha_has_the_size_of_the_colour(width: int, height: int, scale: float) -> None:
    alpha = rand(height, width)[..., 0]
    result = quickest_upscaler().upscale_alpha(alpha, scale)
    assert result.shape == (round(scale * height), round(scale * width))
    assert 0.0 <= float(result.min()) <= float(result.max()) <= 1.0


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("upscaler", [random_upscaler(2), random_upscaler(4)], ids=["native 2", "native 4"])
def test_one_pixel_is_a_picture(upscaler: Upscaler, scale: int) -> None:
    assert upscaler.upscale(torch.full((1, 1, 3), 0.5), scale).shape == (scale, scale, 3)


@pytest.mark.sample(1)
@pytest.mark.parametrize(("height", "width"), [(7, 5), (8, 5), (1, 9)])
def test_odd_sides_are_as_if_the_last_pixel_were_repeated(height: int, width: int) -> None:
    upscaler = random_upscaler(2)
    odd = rand(height, width)
    even = F.pad(odd.permute(2, 0, 1), (0, width % 2, 0, height % 2), mode="replicate").permute(1, 2, 0)
    expected = upscaler.upscale(even, 2)[: 2 * height, : 2 * width]
    torch.testing.assert_close(upscaler.upscale(odd, 2), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [0, -1, 0.99, 8.01, float("nan"), float("inf")])
def test_scale_out_of_range_is_an_error_that_names_it(scale: float) -> None:
    with pytest.raises(InputError, match=rf"scale is {scale}; .* from 1 to 8"):
        output_size(10, 10, scale)
    with pytest.raises(InputError, match=f"scale is {scale}"):
        faithful().upscale(rand(2, 2), scale)


# Range and precision


@seeded
@given(st.floats(-3, 0), st.floats(1, 60), st.sampled_from([1, 2, 2.5, 4, 5.3]), st.booleans())
def test_result_stays_within_the_range_of_the_picture(
    low: float, high: float, scale: float, random: bool
) -> None:
    picture = rand(9, 12, low=low, high=high)
    result = (quickest_upscaler() if random else faithful()).upscale(picture, scale)
    assert bool(torch.isfinite(result).all())
    assert float(result.min()) >= min(0.0, float(picture.min()))
    assert float(result.max()) <= max(1.0, float(picture.max()))


def test_sdr_pictures_stay_sdr() -> None:
    result = random_upscaler().upscale(rand(16, 16, low=0.4, high=1.0), 4)
    assert 0.0 <= float(result.min()) <= float(result.max()) <= 1.0


@pytest.mark.parametrize("scale", [2, 3, 4, 6])
def test_highlights_keep_their_peak_and_energy(scale: int) -> None:
    picture = torch.full((32, 32, 3), 0.2)
    picture[10:22, 12:24] = 8.0
    result = faithful().upscale(picture, scale)
    middle = result[16 * scale - 2 : 16 * scale + 2, 18 * scale - 2 : 18 * scale + 2]
    torch.testing.assert_close(middle, torch.full_like(middle, 8.0), rtol=0.01, atol=0)
    assert float(result.max()) == pytest.approx(8.0, rel=1e-3)
    # The edge is interpolated in code values, between light's ratios, so that a rim of the patch gets darker.
    energy = float((result - 0.2).sum()) / scale**2
    assert energy == pytest.approx(float((picture - 0.2).sum()), rel=0.1)


def test_highlights_do_not_ring_into_what_lies_beside_them() -> None:
    picture = torch.full((24, 24, 3), 0.2)
    picture[8:16, 8:16] = 8.0
    picture[:, :4] = -0.3
    result = faithful().upscale(picture, 4)
    assert float(result[:, 24:].min()) == pytest.approx(0.2, abs=1e-4)
    assert float(result[:24, :24].max()) == pytest.approx(0.2, abs=1e-4)


def test_highlights_survive_a_network_that_cannot_be_trusted() -> None:
    dark, bright = torch.full((24, 24, 3), 0.2), torch.full((24, 24, 3), 0.2)
    bright[8:16, 8:16] = 8.0
    dark[8:16, 8:16] = 1.0  # the network sees the same
    ratio = (
        random_upscaler().upscale(bright, 4)[44:52, 44:52] / random_upscaler().upscale(dark, 4)[44:52, 44:52]
    )
    assert float(random_upscaler().upscale(bright, 4).max()) <= 8.0
    assert float(ratio.min()) > 4.0


def test_colours_out_of_gamut_survive() -> None:
    picture = torch.full((24, 24, 3), 0.3)
    picture[8:16, 8:16, 0] = -0.25
    result = faithful().upscale(picture, 4)
    assert float(result[48, 48, 0]) == pytest.approx(-0.25, rel=0.02)
    assert float(result[..., 1:].min()) == pytest.approx(0.3, abs=1e-4)
    assert float(result.min()) >= -0.25


def test_a_faithful_network_gives_the_picture_back() -> None:
    picture = rand(20, 30)
    repeated = picture.repeat_interleave(4, 0).repeat_interleave(4, 1)
    torch.testing.assert_close(faithful().upscale(picture, 4), repeated, rtol=0, atol=2e-6)


def test_sixteen_bits_survive() -> None:
    ramp = (torch.arange(1024) / 65535 + 0.4).expand(4, -1)[..., None].repeat(1, 1, 3)
    result = faithful().upscale(ramp, 4)
    assert len(torch.unique(result[0, :, 0])) == 1024


@pytest.mark.slow
def test_sixteen_bits_survive_the_real_network(real_weights: Path) -> None:
    network = load_network("fast", real_weights).module
    assert isinstance(network, SRVGGNetCompact)
    ramp = (torch.arange(1024) / 65535 + 0.4).expand(16, -1)[..., None].repeat(1, 1, 3)
    result = Upscaler(network, CPU).upscale(ramp, 4)[24:40, 64:-64, 1]
    assert len(torch.unique(result[0])) > 1024
    # Averages per source pixel: the same ramp in 8 bits gives 106 distinct ones, which rise in jumps.
    averages = result.reshape(4, 4, -1, 4).mean((0, 1, 3))
    assert len(torch.unique(averages)) > 900
    assert bool((averages[16:] > averages[:-16]).all())


def test_smaller_than_native_averages_light_not_code() -> None:
    stripes = torch.zeros(24, 24, 3)
    stripes[:, ::2] = 1.0
    # Averaged in code values, the greys between the stripes would come out darker: a mean of 0.45.
    for scale in (1.5, 2.5):
        assert float(faithful().upscale(stripes, scale).mean()) == pytest.approx(0.5, abs=5e-3)


def test_scales_beyond_the_native_one_are_enlarged_further() -> None:
    picture = sample()[200:216, 300:316]
    eight = faithful().upscale(picture, MAX_SCALE)
    four = faithful().upscale(picture, 4)
    averaged = F.avg_pool2d(eight.permute(2, 0, 1), 2).permute(1, 2, 0)
    assert psnr(averaged, four) > 35


@pytest.mark.parametrize("value", [0.0, 0.18, 1.0])
@pytest.mark.parametrize("scale", [1, 2, 3.3, 4, 7])
def test_a_flat_picture_stays_flat(value: float, scale: float) -> None:
    result = faithful().upscale(torch.full((9, 11, 3), value), scale)
    torch.testing.assert_close(result, torch.full_like(result, value), rtol=0, atol=2e-6)


def test_upscale_leaves_its_input_as_it_was() -> None:
    picture = rand(8, 8, low=-1.0, high=3.0)
    before = picture.clone()
    faithful().upscale(picture, 4)
    faithful().upscale_alpha(before[..., 0].clamp(0, 1), 4)
    assert torch.equal(picture, before)


def test_same_result_run_to_run() -> None:
    upscaler, picture = random_upscaler(), rand(30, 20, high=4.0)
    first = upscaler.upscale(picture, 3)
    upscaler.upscale(rand(7, 7, seed=5), 2)
    assert torch.equal(first, upscaler.upscale(picture, 3))


@needs_bf16
def test_bf16_is_close_to_fp32(tiny_network: RRDBNet) -> None:
    for parameter in tiny_network.parameters():
        parameter.data.mul_(1.5)
    picture = sample()[200:232, 300:340]
    exact = Upscaler(copy.deepcopy(tiny_network), CPU).upscale(picture, 4)
    half = Upscaler(copy.deepcopy(tiny_network), UpscalerOptions(device="cpu", precision="bf16"))
    assert half.dtype == torch.bfloat16
    rounded = half.upscale(picture, 4)
    assert float(exact.std()) > 1e-3
    assert not torch.equal(rounded, exact)
    assert psnr(rounded, exact) > 40


# Alpha


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1.0])
@pytest.mark.parametrize("scale", [1, 2.5, 4])
def test_constant_alpha_stays_exactly_constant(value: float, scale: float) -> None:
    alpha = torch.full((6, 9), value)
    result = random_upscaler().upscale_alpha(alpha, scale)
    assert torch.equal(result, alpha[:1, :1].expand(result.shape))


def test_alpha_keeps_its_shape() -> None:
    alpha = torch.zeros(12, 12)
    alpha[4:8, 3:9] = 1.0
    result = faithful().upscale_alpha(alpha, 4)
    assert torch.equal(result, alpha.repeat_interleave(4, 0).repeat_interleave(4, 1))


# Tiles and memory


def test_strips_equal_the_whole(tiny_network: RRDBNet) -> None:
    x = torch.rand(1, 3, 2 * eager.STRIP_ROWS + 7, 20)
    with torch.inference_mode():
        strips, whole = eager.in_strips(tiny_network, x), tiny_network(x)
    torch.testing.assert_close(strips, whole, rtol=0, atol=1e-6)


@pytest.mark.sample(3)
@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize("scale", [4, 2, 1])
def test_strips_of_any_height_equal_the_whole(rows: int, scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    network = build_network(RRDBNetConfig(scale=scale, features=4, blocks=1, growth=2))
    assert isinstance(network, RRDBNet)
    for parameter in network.parameters():  # so that what a strip fails to see would show
        parameter.data.abs_()
    monkeypatch.setattr(eager, "STRIP_ROWS", rows)
    x = torch.rand(1, 3, 36, 8)
    with torch.inference_mode():
        strips, whole = eager.in_strips(network, x), network(x)
    torch.testing.assert_close(strips, whole, rtol=1e-5, atol=1e-6)


def test_tiled_equals_untiled() -> None:
    config = SRVGGConfig(features=4, convs=2)
    torch.manual_seed(4)
    network = build_network(config)
    picture = rand(70, 90, low=-0.2, high=3.0)
    whole = Upscaler(copy.deepcopy(network), CPU).upscale(picture, 4)
    tiles = UpscalerOptions(device="cpu", precision="fp32", tile=40, overlap=4 * config.receptive_radius + 1)
    tiled = Upscaler(copy.deepcopy(network), tiles).upscale(picture, 4)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)


def test_progress_counts_source_pixels() -> None:
    seen: list[tuple[int, int]] = []
    network = build_network(SRVGGConfig(features=2, convs=1))
    tiles = UpscalerOptions(device="cpu", tile=16, overlap=4)
    Upscaler(network, tiles).upscale(rand(30, 20), 4, progress=lambda *done: seen.append(done))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len(seen) > 1
    assert seen[-1] == (600, 600)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
def test_a_result_that_is_not_finite_is_an_error_that_names_the_precision(
    value: float, precision: str
) -> None:
    network = build_network(SRVGGConfig(features=4, convs=1))
    network.get_parameter("body.4.bias").data.fill_(value)
    upscaler = Upscaler(network, UpscalerOptions(device="cpu", precision=precision))
    with pytest.raises(UpscaleError, match=f"not finite in {precision}"):
        upscaler.upscale(rand(4, 4), 4)
    with pytest.raises(UpscaleError, match=f"not finite in {precision}"):
        upscaler.upscale_alpha(rand(4, 4)[..., 0], 4)


# Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'; .* auto, cpu, cuda, mps"),
        ({"precision": "fp8"}, "precision is 'fp8'; .* auto, fp32, fp16, bf16"),
        ({"tile": 0}, "tile is 0; .* at least 1"),
        ({"tile": 191, "overlap": 96}, "overlap is 96; .* half the tile, 95"),
        ({"overlap": -1}, "overlap is -1; .* from 0"),
    ],
)
def test_wrong_options_are_errors_that_name_value_and_limit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        UpscalerOptions(**options)


def test_default_overlap_fits_into_small_tiles() -> None:
    assert UpscalerOptions().shared == DEFAULT_OVERLAP
    assert UpscalerOptions(tile=2 * DEFAULT_OVERLAP - 1).shared == DEFAULT_OVERLAP - 1
    assert UpscalerOptions(tile=1).shared == 0
    assert UpscalerOptions(overlap=0).shared == 0


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_an_error(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=f"device is '{device}', which PyTorch does not find"):
        resolve_device(device)


def test_auto_takes_the_cpu_where_there_is_nothing_else(
    tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    upscaler = Upscaler(tiny_network)
    assert (upscaler.device.type, upscaler.precision) == ("cpu", "fp32")


def test_fp16_on_the_cpu_is_an_error(tiny_network: RRDBNet) -> None:
    with pytest.raises(InputError, match=r"precision is 'fp16', .* CPU"):
        Upscaler(tiny_network, UpscalerOptions(device="cpu", precision="fp16"))


def test_bf16_is_refused_where_the_processor_lacks_it_and_fp32_is_taken_unasked(
    tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^precision is 'bf16', .* AVX-512 .*: take fp32$"):
        Upscaler(tiny_network, UpscalerOptions(device="cpu", precision="bf16"))
    assert Upscaler(tiny_network, UpscalerOptions(device="cpu")).precision == "fp32"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_fp16_on_cuda_is_close_to_fp32_on_the_cpu(tiny_network: RRDBNet) -> None:
    picture = sample()[200:232, 300:340]
    exact = Upscaler(copy.deepcopy(tiny_network), CPU).upscale(picture, 4)
    upscaler = Upscaler(copy.deepcopy(tiny_network), UpscalerOptions(device="cuda"))
    assert upscaler.precision == "fp16"
    assert psnr(upscaler.upscale(picture, 4).cpu(), exact) > 45


# The real network at a seam


@pytest.mark.slow
def test_seams_do_not_show_at_the_default_overlap(real_weights: Path) -> None:
    network = load_network("photo", real_weights).module
    assert isinstance(network, RRDBNet)
    picture = sample()[250:314, 120:440]  # 64 × 320: the rocket, its tower, sky and ground
    whole = Upscaler(network, CPU)
    tiles = Upscaler(network, UpscalerOptions(device="cpu", precision="fp32", tile=2 * DEFAULT_OVERLAP))
    expected = whole.upscale(picture, 4)
    seam, near = picture.shape[1] // 2, 12
    band = slice(4 * (seam - near), 4 * (seam + near))
    blended = psnr(tiles.upscale(picture, 4)[:, band], expected[:, band])
    # The same seam as a hard crop with 10 pixels of context: what tiling usually does.
    context, side = 10, 60
    left = whole.upscale(picture[:, seam - side : seam + context], 4)[:, 4 * (side - near) : 4 * side]
    right = whole.upscale(picture[:, seam - context : seam + side], 4)[:, 4 * context : 4 * (context + near)]
    cropped = psnr(torch.cat((left, right), dim=1), expected[:, band])
    assert blended >= 55.0
    assert cropped <= blended - 10.0
