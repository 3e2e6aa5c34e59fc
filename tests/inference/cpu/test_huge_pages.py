"""Zeros in huge pages: what torch.zeros gives, and an error that says what did not fit."""

import mmap

import pytest
import torch

from luxscaler.inference.cpu.huge_pages import HUGE_PAGE, huge_zeros


@pytest.mark.parametrize("size", [(3, 5), (3, 1000, 1000), (0, 4)], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_zeros_that_can_be_written_to(size: tuple[int, ...], dtype: torch.dtype) -> None:
    found = huge_zeros(size, dtype)
    assert torch.equal(found, torch.zeros(size, dtype=dtype))
    assert found.is_contiguous()
    found += 1.5
    assert torch.equal(found, torch.full(size, 1.5, dtype=dtype))


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system has no huge pages to ask for")
def test_large_ones_begin_with_a_huge_page() -> None:
    assert huge_zeros((HUGE_PAGE,), torch.bfloat16).data_ptr() % HUGE_PAGE == 0


def test_a_view_keeps_the_memory() -> None:
    last = huge_zeros((2, HUGE_PAGE), torch.bfloat16).add_(2.0)[1]
    assert float(last.float().mean()) == 2.0


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="torch.zeros is taken")
def test_too_much_is_a_memory_error() -> None:
    with pytest.raises(MemoryError, match=f"out of memory: {1 << 60} bytes"):
        huge_zeros((1 << 59,), torch.bfloat16)
