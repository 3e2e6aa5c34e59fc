"""RRDBNet by our own kernels on a real card: precision, pace, repeatability, graphs, memory.

`-s` shows the figures that are printed.
"""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from luxscaler.inference.cuda.autotune import autotune
from luxscaler.inference.cuda.driver import CudaKernels
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.cuda.guarded import GuardedRRDBNet
from luxscaler.inference.cuda.launch_plan import LaunchPlan
from luxscaler.inference.cuda.packed_network import PackedNetwork
from luxscaler.inference.eager import PlainNetwork
from luxscaler.inference.prepare import prepared
from luxscaler.io.read import read_picture
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling.code_values import encode
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.store import load_network
from tests.conftest import SAMPLE
from tests.inference.cuda.test_engine import network, picture

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")]
CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def card() -> CudaKernels:
    return _card(1)


@pytest.fixture(scope="module")
def card_in_float32() -> CudaKernels:
    return _card(2)


@pytest.fixture(scope="module", params=[1, 2], ids=["float16", "float32"])
def either(request: pytest.FixtureRequest) -> CudaKernels:
    return _card(request.param)


def _card(parts: int) -> CudaKernels:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("older than Ampere")
    return CudaKernels(CUDA, parts)


def exact(plain: RRDBNet, x: Tensor) -> Tensor:
    """In float32, without TF32, on the card."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found: Tensor = copy.deepcopy(plain).to(CUDA)(x.to(CUDA))
    return found


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * (one.clamp(0, 1) - other.clamp(0, 1)).double().square().mean().log10())


@pytest.mark.slow
@pytest.mark.parametrize("side", [64, 200, 256])
@torch.inference_mode()
def test_the_real_network_is_near_float32(side: int, real_weights: object, card: CudaKernels) -> None:
    plain = load_network("photo").module
    assert isinstance(plain, RRDBNet)
    rgb = read_picture(SAMPLE / "tile.png").rgb[:side, :side]
    x = encode(torch.from_numpy(rgb.copy()).clamp(0.0, 1.0)).permute(2, 0, 1)[None]
    assert psnr(CudaRRDBNet(plain, card)(x.to(CUDA)), exact(plain, x)) >= 70.0


def fastest(engine: Callable[[Tensor], Tensor], x: Tensor, card: CudaKernels) -> float:
    """Seconds."""

    def run() -> None:
        engine(x)

    seconds = card.seconds(run)
    assert seconds is not None
    return seconds


@pytest.mark.slow
@torch.inference_mode()
def test_float32_beside_pytorch_and_float16(
    real_weights: object, card: CudaKernels, card_in_float32: CudaKernels
) -> None:
    """The real network at 256² and 1024²: PSNR to PyTorch in float32 without TF32, milliseconds."""
    plain = load_network("photo").module
    assert isinstance(plain, RRDBNet)
    engines: dict[str, Callable[[Tensor], Tensor]] = {
        "PyTorch float32": PlainNetwork(copy.deepcopy(plain), CUDA, torch.float32),
        "ours float32": CudaRRDBNet(plain, card_in_float32),
        "ours float16": CudaRRDBNet(plain, card),
    }
    for side in (256, 1024):
        rgb = read_picture(SAMPLE / "tile.png").rgb
        rgb = np.pad(rgb, ((0, side), (0, side), (0, 0)), mode="symmetric")[:side, :side]
        x = encode(torch.from_numpy(rgb.copy()).clamp(0.0, 1.0)).permute(2, 0, 1)[None].to(CUDA)
        expected = engines["PyTorch float32"](x)
        print(f"\n{torch.cuda.get_device_name()}, photo, {side}²")
        found = {name: psnr(engine(x), expected) for name, engine in engines.items()}
        for name, engine in engines.items():
            print(f"{name}: {1e3 * fastest(engine, x, card):.1f} ms, {found[name]:.1f} dB")
        assert found["ours float32"] >= 100.0
        assert found["ours float16"] >= 70.0


@torch.inference_mode()
def test_features_beyond_a_half_are_run_by_pytorch(card_in_float32: CudaKernels) -> None:
    plain = network()
    plain.conv_first.weight.data.mul_(1e6)
    x = picture(20, 30).to(CUDA)
    guarded = GuardedRRDBNet(CudaRRDBNet(plain, card_in_float32), plain, CUDA)
    with pytest.warns(UserWarning, match="not finite"):
        found = guarded(x)
    expected = exact(plain, x)
    assert float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt()) <= 1e-4


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 20), (130, 257)], ids=str)
@torch.inference_mode()
def test_any_size_is_near_float32_and_repeats(size: tuple[int, int], either: CudaKernels) -> None:
    plain, x = network(2), picture(*size).to(CUDA)
    engine = CudaRRDBNet(plain, either)
    found = engine(x)
    # The same random network has 64 dB of its range in the emulation, in float32 105.
    error = float((found - exact(plain, x)).square().mean().sqrt() / exact(plain, x).square().mean().sqrt())
    assert error <= (1e-3 if either.parts == 1 else 2e-5)
    engine(torch.rand_like(x))
    assert torch.equal(engine(x), found)


@torch.inference_mode()
def test_a_graph_gives_what_its_launches_give(either: CudaKernels) -> None:
    plain, x = network(2), picture(70, 90).to(CUDA)
    expected = CudaRRDBNet(plain, either)(x)
    direct = LaunchPlan(PackedNetwork(plain, either), either, 70, 90)
    direct.picture.copy_(x[0])
    direct.run()
    assert torch.equal(direct.out[None], expected)


@torch.inference_mode()
def test_every_block_shape_is_equal_to_the_bit(either: CudaKernels) -> None:
    made = LaunchPlan(PackedNetwork(network(), either), either, 150, 170)
    autotune(made, either)
    for launch in {launch.kind: launch for launch in made.launches if launch.shapes}.values():
        results = []
        assert launch.target is not None
        for shape in launch.shapes:
            launch.target.planes.zero_()
            launch.use(shape)
            launch.start(either)
            results.append(launch.target.planes.clone())
        assert all(torch.equal(result, results[0]) for result in results)


def test_prepared_takes_it_without_a_warning() -> None:
    assert isinstance(prepared(network(), CUDA, torch.float16), CudaRRDBNet)
    assert isinstance(prepared(network(), CUDA, torch.float32), GuardedRRDBNet)


def test_tiles_are_halved_when_memory_runs_out() -> None:
    upscaler = Upscaler(network(), UpscalerOptions(device="cuda", tile=2048, overlap=8))
    assert isinstance(upscaler._network, CudaRRDBNet)
    rgb = torch.rand(700, 600, 3)
    expected = upscaler.upscale(rgb, 4).cpu()
    upscaler._network._plans.clear()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(CUDA).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 600 * 2**20) / total)
    try:
        found = upscaler.upscale(rgb, 4).cpu()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.shape == expected.shape
    assert not torch.equal(found, expected)  # it was done in tiles
    assert float((found - expected).abs().mean()) < 0.05
