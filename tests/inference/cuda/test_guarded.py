"""float32 on a card: the kernels, or PyTorch and a warning where features leave their range."""

import warnings
from pathlib import Path

import pytest
import torch

from luxscaler.inference.cuda import load, validate
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.cuda.guarded import GuardedRRDBNet
from luxscaler.inference.eager import PlainNetwork
from luxscaler.inference.prepare import prepared
from luxscaler.networks.rrdb import RRDBNet
from tests.inference.cuda.test_engine import CPU, CUDA, network, on_this_processor, picture
from tests.support.cuda_on_cpu import CpuKernels, needs_compiler

pytestmark = needs_compiler


def beyond_halves() -> RRDBNet:
    """Bright pixels give features of up to 10**6, black ones none."""
    plain = network(blocks=0)
    plain.conv_first.weight.data.mul_(1e6)
    plain.conv_last.weight.data.mul_(1e-6)
    return plain


@pytest.mark.slow
def test_float32_is_prepared_and_runs(cpu_library_of_float32: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_this_processor(monkeypatch, lambda _, parts: CpuKernels(cpu_library_of_float32, parts))
    monkeypatch.setattr(validate, "_COMPARED_SIZE", (8, 6))
    plain, x = network(blocks=0), picture(4, 5)
    found, told = prepared(plain, CUDA, torch.float32), list[float]()
    assert isinstance(found, GuardedRRDBNet)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = found(x, told.append)
    torch.testing.assert_close(result, plain(x), rtol=1e-5, atol=1e-5)
    assert told == [1.0]


@pytest.mark.slow
def test_a_network_beyond_the_range_is_not_taken(
    cpu_library_of_float32: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_this_processor(monkeypatch, lambda _, parts: CpuKernels(cpu_library_of_float32, parts))
    monkeypatch.setattr(validate, "_COMPARED_SIZE", (8, 6))
    with pytest.warns(UserWarning, match=r"kernels are not used.*their result is nan dB"):
        assert load.load(beyond_halves(), CUDA, torch.float32) is None


@pytest.mark.slow
def test_a_picture_beyond_the_range_is_run_by_pytorch(float32_kernels: CpuKernels) -> None:
    plain = beyond_halves()
    guarded = GuardedRRDBNet(CudaRRDBNet(plain, float32_kernels), plain, CPU)
    black, bright = torch.zeros(1, 3, 4, 5), picture(4, 5)
    before = guarded(black)
    with pytest.warns(UserWarning, match=r"not finite.*end at 65504.*PyTorch runs this picture"):
        found = guarded(bright)
    assert torch.equal(found, PlainNetwork(beyond_halves(), CPU, torch.float32)(bright))
    with warnings.catch_warnings():  # nothing is remembered of it
        warnings.simplefilter("error")
        assert torch.equal(guarded(black), before)


@pytest.mark.slow
def test_values_that_are_not_finite_with_pytorch_either_are_given_back(float32_kernels: CpuKernels) -> None:
    plain = network(blocks=0)
    plain.conv_body.weight.data[0, 0, 0, 0] = float("nan")
    guarded = GuardedRRDBNet(CudaRRDBNet(plain, float32_kernels), plain, CPU)
    with pytest.warns(UserWarning, match="not finite"):
        assert bool(guarded(picture(4, 5)).isnan().any())
