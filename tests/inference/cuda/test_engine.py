"""RRDBNet by the CUDA kernels on a processor: the network, its plans, autotuning, loading."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cuda import driver, launch_plan, load, packing, trial, validate
from luxscaler.inference.cuda.autotune import autotune
from luxscaler.inference.cuda.engine import KEPT, CudaRRDBNet
from luxscaler.inference.cuda.launch_plan import LaunchPlan
from luxscaler.inference.cuda.packed_network import PackedNetwork
from luxscaler.inference.prepare import prepared
from luxscaler.io.read import read_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import LEAK, RESIDUAL_SCALE, RRDBNet, RRDBNetConfig
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.code_values import encode
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.support.cuda_on_cpu import CpuKernels, needs_compiler
from tests.support.cuda_on_cpu.rounded import assert_rounded, blocks, rounded
from tests.support.slow import slow

pytestmark = needs_compiler
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
SIZES = slow((5, 7), (33, 20), (1, 1))


def network(blocks: int = 1, scale: int = 4) -> RRDBNet:
    torch.manual_seed(8)
    result = build_network(RRDBNetConfig(blocks=blocks, scale=scale))
    assert isinstance(result, RRDBNet)
    for parameter in result.parameters():
        parameter.data.mul_(2.0).add_(torch.randn_like(parameter) * 0.01)
    return result.eval().requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height + width))


def decibels(found: Tensor, expected: Tensor) -> float:
    """To the range that is expected."""
    error = (found - expected).double().square().mean()
    return float(-10.0 * (error / expected.double().square().mean()).log10())


def assert_as_near(found: Tensor, plain: RRDBNet, x: Tensor) -> None:
    """As near to float32 as the same roundings in PyTorch. The two differ from one another by as much: a sum
    in another order may round differently, and the layers after it multiply that."""
    exact = plain(x)
    least = decibels(rounded(plain, x), exact)
    assert least >= 60.0
    assert decibels(found, exact) >= least - 1.5
    assert decibels(found, rounded(plain, x)) >= least - 1.5


@pytest.mark.slow
@pytest.mark.parametrize(("number", "size"), [(1, (3, 5)), pytest.param(2, (9, 19), marks=pytest.mark.slow)])
@torch.inference_mode()
def test_each_layer_is_right_to_one_rounding(number: int, size: tuple[int, int], kernels: CpuKernels) -> None:
    plain, x = network(number), picture(*size)
    made = LaunchPlan(PackedNetwork(plain, kernels), kernels, *size)
    made.picture.copy_(x[0])
    launches = iter(made.launches)

    def made_by(expected: Tensor) -> Tensor:
        """What the next launch makes, which must be this."""
        launch = next(launches)
        launch.start(kernels)
        assert launch.target is not None
        found = packing.from_planes(launch.target.planes[:, : launch.target.rows], kernels.parts)
        assert_rounded(found, expected)
        return found.double()

    def product(conv: nn.Conv2d, *seen: Tensor) -> Tensor:
        return F.conv2d(torch.cat(seen, 1), conv.weight.half().double(), conv.bias.double(), padding=1)  # type: ignore[union-attr]

    conv: nn.Conv2d
    y = first = made_by(F.conv2d(x.double(), plain.conv_first.weight.double(), padding=1) + _column(plain))
    for block in blocks(plain):
        root = y
        for dense in block:
            seen = [y]
            for conv in (dense.conv1, dense.conv2, dense.conv3, dense.conv4):
                seen.append(made_by(F.leaky_relu(product(conv, *seen), LEAK)))
            y = y + RESIDUAL_SCALE * product(dense.conv5, *seen)
            y = made_by(y if dense is not block[-1] else root + RESIDUAL_SCALE * y)
    y = made_by(first + product(plain.conv_body, y))
    for conv in plain.enlarging:
        y = made_by(F.leaky_relu(product(conv, F.interpolate(y, scale_factor=2.0)), LEAK))
    y = made_by(F.leaky_relu(product(plain.conv_hr, y), LEAK))
    next(launches).start(kernels)
    torch.testing.assert_close(made.out[None], plain.conv_last(y.float()), rtol=1e-5, atol=1e-5)
    assert next(launches, None) is None


def _column(plain: RRDBNet) -> Tensor:
    """The first convolution's bias."""
    assert plain.conv_first.bias is not None
    return plain.conv_first.bias.double()[:, None, None]


@pytest.mark.parametrize("size", SIZES, ids=str)
@torch.inference_mode()
def test_equals_the_network_with_its_roundings(size: tuple[int, int], kernels: CpuKernels) -> None:
    plain, x = network(), picture(*size)
    found = CudaRRDBNet(plain, kernels)(x)
    assert found.shape == (1, 3, 4 * size[0], 4 * size[1])
    assert found.dtype == torch.float32
    assert_as_near(found, plain, x)
    assert kernels.bank_conflicts == 0


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "scale"), [(2, 2), pytest.param(3, 4, marks=pytest.mark.slow)])
@torch.inference_mode()
def test_blocks_hand_over_and_pixels_are_folded(blocks: int, scale: int, kernels: CpuKernels) -> None:
    plain, x = network(blocks, scale), picture(8, 12)
    assert_as_near(CudaRRDBNet(plain, kernels)(x), plain, x)
    assert kernels.bank_conflicts == 0


@pytest.mark.slow
@torch.inference_mode()
def test_strips_equal_the_whole(kernels: CpuKernels, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, x = network(blocks=0), picture(11, 4)
    whole = CudaRRDBNet(plain, kernels)(x)
    monkeypatch.setattr(launch_plan, "STRIP_BYTES", 0)
    kernels.launched.clear()
    assert torch.equal(CudaRRDBNet(plain, kernels)(x), whole)
    assert kernels.launched.count("last_convolution") == 3


@pytest.mark.slow
@torch.inference_mode()
def test_runs_are_equal_and_sizes_are_kept(kernels: CpuKernels) -> None:
    engine, told = CudaRRDBNet(network(blocks=0), kernels), list[float]()
    pictures = [picture(2 + index, 3) for index in range(KEPT + 1)]
    first = [engine(x, told.append) for x in pictures]
    assert all(torch.equal(engine(x), result) for x, result in zip(pictures, first, strict=True))
    assert told == [1.0] * len(pictures)
    assert len(engine._plans) == KEPT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blocks", "fastest", "default"),
    [
        (0, {"wide_8x16", "double_16x16"}, {"wide_16x16", "double_16x16"}),
        pytest.param(
            1,
            {"narrow_16x16", "wide_8x16", "double_16x16"},
            {"narrow_16x32", "wide_16x16", "double_16x16"},
            marks=pytest.mark.slow,
        ),
    ],
)
@torch.inference_mode()
def test_the_fastest_block_shape_is_taken_if_it_is_equal(
    blocks: int, fastest: set[str], default: set[str], kernels: CpuKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, x = network(blocks), picture(2, 3)
    expected = CudaRRDBNet(plain, kernels)(x)
    made = LaunchPlan(PackedNetwork(plain, kernels), kernels, 2, 3)
    kernels.times = {"narrow_16x16": 0.5, "narrow_32x32": 0.7, "wide_8x16": 0.9}
    chosen = autotune(made, kernels)
    assert set(chosen.values()) == fastest
    assert all(launch.name == chosen[launch.kind] for launch in made.launches if launch.shapes)
    made.picture.copy_(x[0])
    made.run()
    assert torch.equal(made.out[None], expected)

    made = LaunchPlan(PackedNetwork(plain, kernels), kernels, 2, 3)
    monkeypatch.setattr("luxscaler.inference.cuda.autotune._equal", lambda *_: False)
    assert set(autotune(made, kernels).values()) == default


class Small(CpuKernels):
    """A device with little memory."""

    budget = 10**9

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self.budget -= math.prod(shape)
        if self.budget < 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().empty(shape, dtype)


@torch.inference_mode()
def test_out_of_memory_frees_other_sizes_then_is_told(cpu_library: Path) -> None:
    kernels = Small(cpu_library)
    engine = CudaRRDBNet(network(blocks=0), kernels)
    engine(picture(4, 4))
    kernels.budget = 1000
    with pytest.raises(torch.OutOfMemoryError):
        engine(picture(5, 5))
    assert not engine._plans
    kernels.budget = 10**9
    assert engine(picture(5, 5)).shape == (1, 3, 20, 20)
    with pytest.raises(torch.OutOfMemoryError):
        LaunchPlan(engine._weights, kernels, 2**14, 2**13)


def on_this_processor(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[torch.device, int], CpuKernels]
) -> None:
    """Replaces the card by this processor."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(trial, "trial_error", lambda *_: None)
    monkeypatch.setattr(validate, "CudaKernels", make)
    psnr = validate.psnr
    monkeypatch.setattr(validate, "psnr", lambda engine, plain, _: psnr(engine, plain, CPU))


@pytest.mark.slow
def test_prepared_gives_it_where_it_agrees(cpu_library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_this_processor(monkeypatch, lambda _, parts: CpuKernels(cpu_library, parts))
    monkeypatch.setattr(validate, "_COMPARED_SIZE", (8, 6))
    assert isinstance(prepared(network(blocks=0), CUDA, torch.float16), CudaRRDBNet)
    assert prepared(network(), CUDA, torch.bfloat16) is None
    small = build_network(RRDBNetConfig(features=32, growth=16, blocks=1))
    assert prepared(small, CUDA, torch.float16) is None


@pytest.mark.parametrize("dtype", load.PARTS)
@pytest.mark.parametrize("capability", [(7, 5), (6, 1)])
def test_older_cards_run_the_plain_network(
    capability: tuple[int, int], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert prepared(network(), CUDA, dtype) is None


def test_what_does_not_compile_or_agree_is_not_used(
    cpu_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: torch.device, __: int) -> CpuKernels:
        raise driver.CompileError("no such instruction")

    on_this_processor(monkeypatch, broken)
    with pytest.warns(UserWarning, match=r"kernels are not used.*CompileError: no such instruction"):
        assert load.load(network(), CUDA, torch.float16) is None
    on_this_processor(monkeypatch, lambda _, parts: CpuKernels(cpu_library, parts))
    for dtype, found, least in (
        (torch.float16, 40.0, 65),
        (torch.float16, math.nan, 65),
        (torch.float32, 99.9, 100),
        (torch.float32, math.nan, 100),
    ):
        monkeypatch.setattr(validate, "psnr", lambda *_, found=found: found)
        with pytest.warns(UserWarning, match=rf"dB from float32, less than {least}"):
            assert load.load(network(), CUDA, dtype) is None


def test_after_a_failed_trial_the_plain_network_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(trial, "trial_error", lambda _, parts: f"their trial of {parts} ended with -11")
    for dtype, parts in load.PARTS.items():
        with pytest.warns(UserWarning, match=rf"kernels are not used.*of {parts} ended with -11"):
            assert load.load(network(), CUDA, dtype) is None


def test_no_trial_runs_where_the_kernels_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr(trial, "trial_error", lambda *_: pytest.fail("tried"))
    monkeypatch.setenv(load.SWITCH, "0")
    assert [load.load(network(), CUDA, dtype) for dtype in load.PARTS] == [None, None]


@pytest.mark.slow
def test_an_upscaler_runs_it(kernels: CpuKernels) -> None:
    plain = network(blocks=0)
    rgb = torch.rand(6, 7, 3)
    exact = Upscaler(network(blocks=0), UpscalerOptions(device="cpu", precision="fp32")).upscale(rgb, 4)
    upscaler = Upscaler(plain, UpscalerOptions(device="cpu", precision="fp32"))
    upscaler._network = CudaRRDBNet(plain, kernels)
    reported = list[tuple[int, int]]()
    found = upscaler.upscale(rgb, 4, progress=lambda done, total: reported.append((done, total)))
    assert float((found - exact).abs().max()) < 0.01
    assert reported[-1] == (42, 42)


def sample(side: int) -> Tensor:
    rgb = read_picture(SAMPLE / "tile.png").rgb[60 : 60 + side, 100 : 100 + side]
    return encode(torch.from_numpy(rgb.copy()).clamp(0.0, 1.0)).permute(2, 0, 1)[None].contiguous()


def psnr(found: Tensor, expected: Tensor) -> float:
    return float(-10.0 * (found.clamp(0.0, 1.0) - expected.clamp(0.0, 1.0)).double().square().mean().log10())


@pytest.mark.slow
@torch.inference_mode()
def test_the_real_network_is_near_float32(real_weights: Path, kernels: CpuKernels) -> None:
    """By the kernels at 16² (81.6 dB at 48², which takes 90 s), by their roundings in PyTorch at 64²."""
    plain = load_network("photo", real_weights).module
    assert isinstance(plain, RRDBNet)
    assert psnr(CudaRRDBNet(plain, kernels)(sample(16)), plain(sample(16))) >= 70.0
    assert psnr(rounded(plain, sample(64)), plain(sample(64))) >= 70.0
