"""Memory is used again when, and only when, nobody holds it any more."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from luxscaler.io.reused_memory import ReusedMemory
from luxscaler.picture import FloatArray


def test_what_nobody_holds_is_used_again() -> None:
    memory = ReusedMemory()
    first = memory.empty((4, 8))
    assert first.shape == (4, 8)
    assert first.flags.writeable
    address = first.ctypes.data
    other = memory.empty((4, 8))
    assert other.ctypes.data != address
    del first
    assert memory.empty((8, 4)).ctypes.data == address


VIEWS: dict[str, Callable[[FloatArray], Any]] = {
    "slice": lambda array: array[1:3, ::2],
    "reshaped": lambda array: array[4:].reshape(-1)[3:],
    "tensor": torch.from_numpy,
    "buffer": lambda array: array.data,
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_of_any_kind_keeps_it(view: Callable[[FloatArray], Any]) -> None:
    memory = ReusedMemory()
    array = memory.empty((16, 16))
    array[:] = 7.0
    held = view(array.reshape(16, 16, 1)[..., 0])
    del array
    memory.empty((16, 16))[:] = 0.0
    assert bool((np.asarray(held) == 7.0).all())


def test_another_size_gets_memory_of_its_own() -> None:
    memory = ReusedMemory()
    small = memory.empty((64,))
    del small
    assert memory.empty((65,)).shape == (65,)
    assert memory.empty((0, 3)).shape == (0, 3)
