"""The convolution kernels on a processor: every block shape, all edges, at sizes that no block divides.

float32's sums are rounded once here; test_float32.py has what tensor cores make of them.
"""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.inference.cuda import kernel_source, packing
from luxscaler.inference.cuda.kernel_source import BLOCK_SHAPES, BlockShape
from luxscaler.inference.cuda.launches import (
    FeatureMap,
    Residual,
    convolution,
    first_convolution,
    last_convolution,
)
from luxscaler.inference.cuda.packed_network import PackedConvolution
from luxscaler.networks.rrdb import LEAK
from tests.support.cuda_on_cpu import CpuKernels, KernelError, build, needs_compiler
from tests.support.cuda_on_cpu.rounded import assert_rounded, half
from tests.support.slow import slow

pytestmark = needs_compiler
SIZES = [(5, 7), *slow((33, 20), (1, 1), (16, 33))]


@pytest.fixture(params=["float16", "float32"])
def kernels(request: pytest.FixtureRequest) -> CpuKernels:
    if request.param == "float16":
        return CpuKernels(request.getfixturevalue("cpu_library"))
    return CpuKernels(request.getfixturevalue("cpu_library_of_float32"), parts=2)


def layer_of(inputs: int, outputs: int, kernels: CpuKernels) -> tuple[nn.Conv2d, PackedConvolution]:
    torch.manual_seed(inputs + outputs)
    conv = nn.Conv2d(inputs, outputs, 3, padding=1).requires_grad_(False)
    if kernels.parts == 1:
        conv.weight.data = half(conv.weight)
    return conv, PackedConvolution(conv, packing.convolution_weights(conv, kernels.parts), kernels)


def features(channels: int, size: tuple[int, int], kernels: CpuKernels, seed: int = 0) -> Tensor:
    found = torch.randn(1, channels, *size, generator=torch.Generator().manual_seed(seed))
    return half(found) if kernels.parts == 1 else found


def on_device(picture: Tensor, kernels: CpuKernels) -> FeatureMap:
    return FeatureMap.whole(kernels.upload(packing.to_planes(picture, kernels.parts)))


def target_of(channels: int, rows: int, columns: int, kernels: CpuKernels) -> FeatureMap:
    shape = (channels // 32 * kernels.parts, rows, columns, 32)
    return FeatureMap.whole(kernels.empty(shape, torch.float16))


def assert_right(target: FeatureMap, exact: Tensor, kernels: CpuKernels, rows: slice = slice(None)) -> None:
    """To a rounding in float16; in float32 to 22 bits and what as many sums of rounded factors are off."""
    found = packing.from_planes(target.planes[:, rows], kernels.parts)
    if kernels.parts == 1:
        assert_rounded(found, exact)
        return
    bound = exact.abs() * 2.0**-22 + exact.abs().max() * 2.0**-21
    assert bool(((found.double() - exact).abs() <= bound).all())


@pytest.mark.sample(3)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shape", BLOCK_SHAPES, ids=lambda shape: shape.name)
def test_a_convolution_of_two_buffers(shape: BlockShape, size: tuple[int, int], kernels: CpuKernels) -> None:
    conv, layer = layer_of(96, shape.outputs, kernels)
    x = features(96, size, kernels)
    seen = F.interpolate(x, scale_factor=2.0, mode="nearest") if shape.shift else x
    exact = F.leaky_relu(F.conv2d(seen.double(), conv.weight.double(), conv.bias.double(), padding=1), LEAK)  # type: ignore[union-attr]
    head, tail = on_device(x[:, :64], kernels), on_device(x[:, 64:], kernels)
    target = target_of(shape.outputs, exact.shape[2], exact.shape[3], kernels)
    launch = convolution(layer, head, target, tail=tail, leaky=True)
    launch.use(shape)
    launch.arguments.upwards = size[0] % 2
    launch.start(kernels)
    assert_right(target, exact, kernels)
    assert kernels.bank_conflicts == 0


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize(("outputs", "shift"), [(32, 0), (64, 0), (64, 1)])
def test_block_shapes_are_equal_to_the_bit(outputs: int, shift: int, kernels: CpuKernels) -> None:
    _, layer = layer_of(64, outputs, kernels)
    x = on_device(features(64, (18, 20), kernels), kernels)
    results = []
    for shape in kernel_source.candidates(outputs, shift):
        target = target_of(outputs, 18 << shift, 20 << shift, kernels)
        launch = convolution(layer, x, target)
        launch.use(shape)
        launch.start(kernels)
        results.append(target.planes)
    assert len(results) >= 2
    assert all(torch.equal(result, results[0]) for result in results)


def test_both_residuals(kernels: CpuKernels) -> None:
    conv, layer = layer_of(64, 64, kernels)
    x, root = features(64, (9, 18), kernels), features(64, (9, 18), kernels, seed=1)
    source, outer = on_device(x, kernels), on_device(root, kernels)
    target = target_of(64, 9, 18, kernels)
    convolution(layer, source, target, inner=Residual(source, 0.2), outer=Residual(outer, 0.3)).start(kernels)
    product = F.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)  # type: ignore[union-attr]
    assert_right(target, root + 0.3 * (x + 0.2 * product), kernels)


def test_a_strip_of_rows_has_edges_of_its_own(kernels: CpuKernels) -> None:
    conv, layer = layer_of(64, 64, kernels)
    x = features(64, (12, 10), kernels)
    target = target_of(64, 12, 10, kernels)
    strip = FeatureMap(on_device(x, kernels).planes, 3, 8)
    convolution(layer, strip, FeatureMap(target.planes, 0, 5)).start(kernels)
    exact = F.conv2d(x[:, :, 3:8].double(), conv.weight.double(), conv.bias.double(), padding=1)  # type: ignore[union-attr]
    assert_right(target, exact, kernels, slice(5))
    assert bool(target.planes[:, 5:].isnan().all())


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("inputs", [3, 12])
def test_the_first_convolution(inputs: int, size: tuple[int, int], kernels: CpuKernels) -> None:
    conv = nn.Conv2d(inputs, 64, 3, padding=1).requires_grad_(False)
    picture = torch.rand(inputs, *size)
    target = target_of(64, *size, kernels)
    layer = PackedConvolution(conv, packing.first_weights(conv), kernels)
    first_convolution(layer, kernels.upload(picture), target).start(kernels)
    assert_right(target, conv.double()(picture.double()[None]), kernels)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_last_convolution(size: tuple[int, int], kernels: CpuKernels) -> None:
    conv = nn.Conv2d(64, 3, 3, padding=1).requires_grad_(False)
    x = features(64, size, kernels)
    out = kernels.empty((3, size[0] + 4, size[1]), torch.float32)
    source = on_device(x, kernels)
    rows = range(size[0] // 3, size[0])
    layer = PackedConvolution(conv, packing.last_weights(conv, kernels.parts), kernels)
    last_convolution(layer, source, out, rows, at=2).start(kernels)
    exact = conv.double()(x.double())[0]
    torch.testing.assert_close(
        out[:, 2 + rows.start : 2 + rows.stop].double(), exact[:, rows.start :], rtol=1e-5, atol=1e-5
    )
    assert bool(out[:, : 2 + rows.start].isnan().all())
    assert bool(out[:, 2 + rows.stop :].isnan().all())


def test_weights_are_a_permutation() -> None:
    conv = nn.Conv2d(64, 64, 3).requires_grad_(False)
    conv.weight.data = torch.arange(conv.weight.numel()).reshape(conv.weight.shape).remainder(2048).float()
    packed = packing.convolution_weights(conv, 1)
    assert packed.shape == (4, 3, 3, 4, 32, 8)
    assert torch.equal(packed.flatten().float().sort().values, conv.weight.flatten().sort().values)
    picture = torch.randn(1, 64, 3, 5).half()
    assert torch.equal(packing.from_planes(packing.to_planes(picture, 1), 1), picture)


@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30, 0.0])
def test_weights_are_two_halves_of_22_bits_whatever_their_size(size: float) -> None:
    conv = nn.Conv2d(64, 32, 3).requires_grad_(False)
    conv.weight.data *= size
    scale = packing.weight_scale(conv)
    assert math.frexp(scale)[0] == 0.5  # a power of two
    assert torch.tensor(1.0 / scale, dtype=torch.float32).double() == 1.0 / scale
    packed = packing.convolution_weights(conv, 2).double()
    packed = packed.reshape(-1, 2, *packed.shape[1:])  # planes and their chunks
    low, divided, high = packed[0:4:2], packed[1:4:2], packed[4:]
    assert bool(((divided * kernel_source.LOW - high).abs() <= 2.0**-14).all())  # high ones go up to 2**14
    found = ((low + high) / scale).flatten().sort().values
    expected = conv.weight.double().flatten().sort().values
    assert bool(((found - expected).abs() <= expected.abs().max() * 2.0**-23).all())


def test_features_are_two_halves_of_22_bits() -> None:
    picture = torch.randn(1, 64, 3, 5) * 10.0 ** torch.arange(-3.0, 2.0)
    planes = packing.to_planes(picture, 2)
    assert planes.shape == (4, 3, 5, 32)
    found = packing.from_planes(planes, 2)
    assert bool(((found.double() - picture).abs() <= picture.abs() * 2.0**-22 + 2.0**-36).all())


MUTATIONS = {
    "a tap beside its place": (1, "place((column + 1) >> SHIFT, unit)", "place((column + 2) >> SHIFT, unit)"),
    "rows of taps in another order": (1, "const int row = seen - down;", "const int row = seen - 2 + down;"),
    "no wait for a copy": (1, "wait_copies<STAGES - 2>();", ""),
    "no barrier": (1, "__syncthreads();  // this chunk", "// this chunk"),
    "no zeros beyond the edge": (1, "0 <= x && x < columns", "0 <= x && x <= columns"),
    "a residual of the wrong pixel": (1, "args.inner + at, args", "args.inner + at + 8, args"),
    "banks without the swap": (1, "((unit ^ (column >> 2)) & 1) * 16", "unit * 16"),
    "the high halves of another plane": (2, "(chunk - args.both) & ~1", "(chunk - args.both) | 1"),
    "residuals without their low halves": (
        2,
        "fmaf(low_half(lows[i]), 1.0f / LOW, values[2 * i])",
        "values[2 * i]",
    ),
    "the high half once more as the low one": (
        2,
        "(values[2 * i] - low_half(pairs[i])) * LOW",
        "values[2 * i]",
    ),
}
"""Parts of the program, what is right in it, what is wrong."""


def checks(body: str, parts: int, folder: Path) -> None:
    """Two of the tests above on kernels of that source, of which one shape is compiled, unoptimised."""
    (shape,) = (shape for shape in BLOCK_SHAPES if shape.name == "wide_16x16")
    lines = body.splitlines()
    kept = [line for line in lines if not line.startswith("CONVOLUTION(") or shape.name in line]
    library = build(folder, "\n".join(kept), optimised=False)
    test_both_residuals(CpuKernels(library, parts))
    test_a_convolution_of_two_buffers(shape, (17, 20) if parts == 1 else (5, 7), CpuKernels(library, parts))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 2])
def test_the_kernel_as_it_is_passes_them(parts: int, tmp_path: Path) -> None:
    checks(kernel_source.body(parts), parts, tmp_path)


@pytest.mark.parametrize("name", slow(*sorted(MUTATIONS)))
def test_an_error_in_the_kernel_is_found(name: str, tmp_path: Path) -> None:
    parts, right, wrong = MUTATIONS[name]
    body = kernel_source.body(parts)
    assert body.count(right) == 1
    with pytest.raises((AssertionError, KernelError)) as error:
        checks(body.replace(right, wrong), parts, tmp_path)
    assert "no such kernel" not in str(error.value)
