"""Memory is used again when, and only when, nobody holds it any more."""

import numpy as np
import torch

from luxscaler.io.reused_memory import ReusedMemory


def test_what_nobody_holds_is_used_again() -> None:
    memory = ReusedMemory()
    first = memory.empty((4, 8))
    assert (first.shape, first.dtype, first.flags.writeable) == ((4, 8), np.float32, True)
    address = first.ctypes.data
    other = memory.empty((4, 8))
    assert other.ctypes.data != address
    del first
    assert memory.empty((8, 4)).ctypes.data == address


def test_a_view_of_any_kind_keeps_it() -> None:
    memory = ReusedMemory()
    views = [lambda a: a[1:3, ::2], lambda a: a.T.reshape(-1)[3:], torch.from_numpy, memoryview]
    for view in views:
        array = memory.empty((16, 16))
        array[:] = 7.0
        held = view(array.reshape(16, 16, 1)[..., 0])  # type: ignore[no-untyped-call]
        del array
        memory.empty((16, 16))[:] = 0.0
        assert bool((np.asarray(held) == 7.0).all())


def test_another_size_gets_memory_of_its_own() -> None:
    memory = ReusedMemory()
    small = memory.empty((64,))
    del small
    assert memory.empty((65,)).shape == (65,)
    assert memory.empty((0, 3)).shape == (0, 3)
