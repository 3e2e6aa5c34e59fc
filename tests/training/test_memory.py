"""The ladder of what is given up when memory runs out."""

import pytest
import torch

from luxscaler.errors import TrainingError
from luxscaler.training.learner import Means
from luxscaler.training.memory import is_out_of_memory, smaller


def test_the_ladder_has_time_before_size_and_ends_with_advice() -> None:
    means, crop, rungs = Means(), 48, []
    for _ in range(4):
        means, crop, line = smaller(means, crop, batch=4, may_checkpoint=True, multiple=2)
        rungs.append((means.checkpointing, means.parts, crop))
        assert line.startswith("memory ran out: ")
    assert rungs == [(True, 1, 48), (True, 2, 48), (True, 4, 48), (True, 4, 24)]
    with pytest.raises(TrainingError, match=r"1\. give a smaller network.*2\. close other.*3\. on a GPU"):
        smaller(means, crop, batch=4, may_checkpoint=True, multiple=2)


def test_checkpointing_that_is_off_stays_off() -> None:
    means, _, _ = smaller(Means(), 48, batch=4, may_checkpoint=False, multiple=1)
    assert means == Means(parts=2)


def test_which_errors_say_that_memory_ran_out() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    cpu = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"
    assert is_out_of_memory(RuntimeError(cpu))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
