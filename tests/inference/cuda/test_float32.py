"""RRDBNet in float32 by two halves a number, on a processor: what rounding toward zero costs, repeatability.

The reference is float64. `kernels` rounds sums once, `float32_kernels` toward zero as tensor cores do
(tests/support/cuda_on_cpu), which takes twice as long.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cuda import launch_plan, packing
from luxscaler.inference.cuda.autotune import autotune
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.cuda.launch_plan import LaunchPlan
from luxscaler.inference.cuda.launches import FeatureMap, convolution
from luxscaler.inference.cuda.packed_network import PackedConvolution, PackedNetwork
from luxscaler.networks.rrdb import LEAK, RRDBNet
from tests.inference.cuda.test_engine import decibels, network, picture
from tests.support.cuda_on_cpu import CpuKernels, needs_compiler

pytestmark = needs_compiler


@pytest.fixture
def kernels(cpu_library_of_float32: Path) -> CpuKernels:
    return CpuKernels(cpu_library_of_float32, parts=2)


def in_float64(plain: RRDBNet, x: Tensor) -> Tensor:
    """`plain(x)`, whose last convolution would be float32 whatever its input."""
    plain = plain.double()
    features = plain.extract(x.double())
    for conv in plain.enlarging:
        features = F.leaky_relu(conv(F.interpolate(features, scale_factor=2.0)), LEAK)
    found: Tensor = plain.conv_last(F.leaky_relu(plain.conv_hr(features), LEAK))
    plain.float()
    return found


@pytest.mark.slow
@torch.inference_mode()
def test_the_network_is_near_float64(kernels: CpuKernels) -> None:
    plain, x = network(), picture(3, 5)
    found = CudaRRDBNet(plain, kernels)(x)
    assert found.dtype == torch.float32
    assert decibels(found, in_float64(plain, x)) >= 115.0
    assert kernels.bank_conflicts == 0


@pytest.mark.slow
@torch.inference_mode()
def test_the_network_is_near_float64_as_tensor_cores_round(float32_kernels: CpuKernels) -> None:
    plain, x = network(), picture(5, 7)
    found = CudaRRDBNet(plain, float32_kernels)(x)
    # This random network multiplies errors more than a real one: in float16 it has 64 dB, the real one 80.
    assert decibels(found, in_float64(plain, x)) >= 100.0
    assert decibels(found, plain(x)) >= 100.0


@pytest.mark.slow
@torch.inference_mode()
def test_strips_and_a_second_run_are_equal_to_the_bit(
    kernels: CpuKernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, x = network(blocks=0), picture(9, 2)
    engine = CudaRRDBNet(plain, kernels)
    whole = engine(x)
    assert torch.equal(engine(x), whole)
    monkeypatch.setattr(launch_plan, "STRIP_BYTES", 0)
    kernels.launched.clear()
    assert torch.equal(CudaRRDBNet(plain, kernels)(x), whole)
    assert kernels.launched.count("last_convolution") == 3


@pytest.mark.slow
@torch.inference_mode()
def test_block_shapes_are_chosen_by_time(kernels: CpuKernels) -> None:
    plain, x = network(blocks=0), picture(2, 3)
    expected = CudaRRDBNet(plain, kernels)(x)
    made = LaunchPlan(PackedNetwork(plain, kernels), kernels, 2, 3)
    kernels.times = {"wide_8x16": 0.9}
    assert set(autotune(made, kernels).values()) == {"wide_8x16", "double_16x16"}
    made.picture.copy_(x[0])
    made.run()
    assert torch.equal(made.out[None], expected)


def errors(kernels: CpuKernels, weights_of_one_sign: bool) -> float:
    """Of 192 channels, the most that a dense block has: root mean square over that of the exact result."""
    torch.manual_seed(3)
    conv = nn.Conv2d(192, 64, 3, padding=1).requires_grad_(False)
    x = torch.randn(1, 192, 6, 9)
    if weights_of_one_sign:  # sums that only grow, so that all that is cut off adds up
        conv.weight.data.abs_()
        x.abs_()
    layer = PackedConvolution(conv, packing.convolution_weights(conv, 2), kernels)
    source = FeatureMap.whole(kernels.upload(packing.to_planes(x, 2)))
    target = FeatureMap.whole(kernels.empty((4, 6, 9, 32), torch.float16))
    convolution(layer, source, target).start(kernels)
    exact = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)  # type: ignore[union-attr]
    found = packing.from_planes(target.planes, 2)
    return float((found - exact).square().mean().sqrt() / exact.square().mean().sqrt())


@pytest.mark.slow
@pytest.mark.parametrize("weights_of_one_sign", [False, True])
def test_what_rounding_toward_zero_costs(
    weights_of_one_sign: bool, kernels: CpuKernels, float32_kernels: CpuKernels
) -> None:
    """At most half of the sum's last bit in each of the high products' 216 steps, half as much as it grows.
    The 432 steps of the small products must not count, or it would be three times as much."""
    assert errors(kernels, weights_of_one_sign) <= 3e-7
    assert 3e-7 <= errors(float32_kernels, weights_of_one_sign) <= 216 * 2.0**-25
