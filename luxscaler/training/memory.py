"""What a training does when memory runs out: it trades time for memory, then makes crops smaller."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from luxscaler.errors import TrainingError
from luxscaler.training.learner import Means
from luxscaler.training.settings import MIN_CROP

_WORDS = ("out of memory", "can't allocate memory", "not enough memory")
ADVICE = (
    "memory runs out even at the smallest step: 1. give a smaller network (--base fast), or --method "
    "lora with a smaller --rank; 2. close other programs, or take a GPU or machine with more memory; "
    "3. on a GPU, take --precision bf16 or fp16"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


@contextmanager
def advised() -> Iterator[None]:
    """Turn an out-of-memory error of the block, where nothing can be made smaller, into a TrainingError."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(ADVICE) from error


def smaller(
    means: Means, crop: int, *, batch: int, may_checkpoint: bool, multiple: int
) -> tuple[Means, int, str]:
    """The next smaller way to compute a step, the crop, and a line that says so.

    may_checkpoint: whether activations may be computed again. multiple: what crops are multiples of. Raises
    TrainingError, with advice, if there is none.
    """
    if may_checkpoint and not means.checkpointing:
        line = "memory ran out: activations are computed again instead of kept (a third more time)"
        return replace(means, checkpointing=True), crop, line
    if 2 * means.parts <= batch:
        parts = 2 * means.parts
        return replace(means, parts=parts), crop, f"memory ran out: a batch is computed in {parts} parts"
    half = crop // 2 // multiple * multiple
    if half >= MIN_CROP:
        return means, half, f"memory ran out: crops are {half} pixels instead of {crop}"
    raise TrainingError(ADVICE)
