"""The prepared convolutions: the plain ones' numbers, and really prepared."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.inference.cpu import onednn_graph
from luxscaler.inference.cpu.onednn_graph import leaky_convolution
from luxscaler.networks.rrdb import LEAK
from tests.support.processor import needs_bf16

pytestmark = needs_bf16


def layer(depth: int, rows: int, width: int, channels: int = 32) -> tuple[Tensor, Tensor, Tensor]:
    """(input, weight, bias), as planes lie in memory."""
    generator = torch.Generator().manual_seed(depth * 100 + rows)
    x = torch.randn(depth, rows + 2, width + 2, channels, generator=generator).bfloat16()
    weight = torch.randn(32, channels, depth, 3, 3, generator=generator).mul_(0.1).bfloat16()
    bias = torch.randn(32, generator=generator).bfloat16()
    return x.permute(3, 0, 1, 2)[None], weight.contiguous(memory_format=torch.channels_last_3d), bias


@pytest.mark.parametrize(("depth", "rows", "width"), [(1, 1, 1), (2, 5, 3), (5, 16, 24)])
@torch.inference_mode()
def test_the_plain_convolution_rounded_once(depth: int, rows: int, width: int) -> None:
    x, weight, bias = layer(depth, rows, width)
    exact = F.conv3d(x.double(), weight.double(), bias.double())
    expected = F.leaky_relu(exact, LEAK)
    found = leaky_convolution(x, weight, bias)
    assert found.dtype == torch.bfloat16
    assert found.shape == (1, 32, 1, rows, width)
    # Half a unit of the last of bfloat16's eight bits, and float32's sums.
    assert bool(((found.double() - expected).abs() <= expected.abs() * 2.0**-8 * 1.01 + 1e-4).all())


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, ...], onednn_graph.Function]:
    """None prepared yet."""
    result: dict[tuple[int, ...], onednn_graph.Function] = {}
    monkeypatch.setattr(onednn_graph, "_functions", result)
    return result


@torch.inference_mode()
def test_the_kernel_is_prepared_and_kept(functions: dict[tuple[int, ...], onednn_graph.Function]) -> None:
    x, weight, bias = layer(2, 8, 8)
    first = leaky_convolution(x, weight, bias)
    (function,) = functions.values()
    assert "oneDNNFusionGroup" in str(function.graph_for(x, weight, bias))  # type: ignore[attr-defined]
    assert torch.equal(leaky_convolution(x, weight, bias), first)
    leaky_convolution(x, -weight, bias)  # other weights, the same function
    assert list(functions.values()) == [function]


@torch.inference_mode()
def test_sizes_that_come_too_late_give_the_same_numbers(
    functions: dict[tuple[int, ...], onednn_graph.Function], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [(2, 8, 8), (3, 9, 7), (2, 8, 8), (4, 5, 5)]
    early = [leaky_convolution(*layer(*size)) for size in sizes]
    assert len(functions) == 3
    functions.clear()
    monkeypatch.setattr(onednn_graph, "MOST_FUNCTIONS", 1)
    late = [leaky_convolution(*layer(*size)) for size in sizes]
    assert len(functions) == 1
    for a, b in zip(early, late, strict=True):
        assert torch.equal(a, b)


@torch.inference_mode()
def test_the_switch_of_the_whole_process_is_left_as_it_was() -> None:
    before = torch.jit.onednn_fusion_enabled()  # type: ignore[no-untyped-call]
    leaky_convolution(*layer(2, 4, 4))
    assert torch.jit.onednn_fusion_enabled() == before  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings("error")
@torch.inference_mode()
def test_no_deprecation_warning_reaches_the_caller() -> None:
    leaky_convolution(*layer(4, 4, 4))
