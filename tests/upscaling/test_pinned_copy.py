"""From the device into host memory: no copy on the CPU, one from a device, into memory that is used again."""

import numpy as np
import pytest
import torch
from torch import Tensor

from luxscaler.upscaling import pinned_copy
from luxscaler.upscaling.pinned_copy import to_host


class FakeEdge:
    """A device on the CPU: its copies are done when they were waited for, and not before."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.pinned: list[Tensor] = []

    def pinned_like(self, tensor: Tensor) -> Tensor:
        """Memory full of what no copy has put there."""
        self.calls.append("pinned")
        self.pinned.append(torch.full_like(tensor, 7.0))
        return self.pinned[-1]

    def copy(self, source: Tensor, target: Tensor) -> None:
        """Copy."""
        assert source.is_contiguous()
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        self.calls.append("copy")
        target.copy_(source)


class NoPinnedMemory(FakeEdge):
    """A system that gives none."""

    def pinned_like(self, tensor: Tensor) -> Tensor:
        """Fails like PyTorch."""
        raise RuntimeError(f"CUDA error: out of memory for {tensor.nbytes} bytes")


def test_on_the_cpu_the_array_is_the_tensors_own_memory() -> None:
    tensor = torch.rand(5, 7, 3)
    array = to_host(tensor)
    tensor[2, 3, 1] = 9.0
    assert array[2, 3, 1] == 9.0
    assert array.dtype == np.float32


def test_a_tensor_of_the_inference_mode_is_none_the_worse() -> None:
    with torch.inference_mode():
        tensor = torch.rand(4, 4, 3)
    assert to_host(tensor).shape == (4, 4, 3)


def test_from_a_device_there_is_one_copy_and_it_is_the_array() -> None:
    edge, tensor = FakeEdge(), torch.rand(5, 7, 3)
    array = to_host(tensor, edge)
    assert edge.calls == ["pinned", "copy"]
    np.testing.assert_array_equal(array, tensor.numpy())
    assert array.ctypes.data == edge.pinned[0].data_ptr()


def test_the_array_holds_its_memory() -> None:
    edge, tensor = FakeEdge(), torch.rand(64, 64, 3)
    view = to_host(tensor, edge)[3:5]
    edge.pinned.clear()
    torch.full((64, 64, 3), 3.0)  # would take the memory if it were free
    np.testing.assert_array_equal(view, tensor.numpy()[3:5])


def test_a_view_arrives_contiguous() -> None:
    tensor = torch.rand(3, 5, 7).permute(1, 2, 0)
    for edge in (None, FakeEdge()):
        array = to_host(tensor, edge)
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, tensor.numpy())


@pytest.mark.parametrize("shape", [(9, 9, 3), (0, 9, 3)])
def test_what_is_too_large_or_empty_goes_the_ordinary_way(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr(pinned_copy, "MAX_PINNED_BYTES", 9 * 9 * 3 * 4 - 1)
    edge, tensor = FakeEdge(), torch.rand(shape)
    np.testing.assert_array_equal(to_host(tensor, edge), tensor.numpy())
    assert edge.calls == []


def test_without_pinned_memory_the_picture_arrives_all_the_same() -> None:
    edge, tensor = NoPinnedMemory(), torch.rand(5, 7, 3)
    np.testing.assert_array_equal(to_host(tensor, edge), tensor.numpy())
    assert edge.calls == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
def test_from_cuda_it_is_pinned_and_right_while_other_kernels_run() -> None:
    tensor = torch.rand(1024, 1024, 3, device="cuda")
    expected = tensor.cpu().numpy()
    for _ in range(3):
        other = torch.rand(4096, 4096, device="cuda")
        with torch.cuda.stream(torch.cuda.Stream()):  # type: ignore[no-untyped-call]
            other @ other
        array = to_host(tensor * 2.0)
        np.testing.assert_array_equal(array, expected * 2.0)
        assert torch.from_numpy(array).is_pinned()
