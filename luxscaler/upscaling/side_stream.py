"""Work on a card beside a network that keeps it busy.

Kernels of one stream run in order, and a network's take a tenth of a second: a small kernel queued behind
them would wait as long. On a stream of its own, of higher priority, it runs as soon as some of the card's
processors are free.
"""

from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import torch

_HIGH = -1


class SideStream:
    """A context in which CUDA's work goes into a stream of its own; on other devices it changes nothing.

    Tensors that are read inside must be complete before. Leaving the context waits for the work done inside.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = None
        self._inside: AbstractContextManager[Any] = nullcontext()

    def __enter__(self) -> None:
        if self._device.type == "cuda":
            if self._stream is None:
                self._stream = torch.cuda.Stream(self._device, priority=_HIGH)  # type: ignore[no-untyped-call]
            self._inside = torch.cuda.stream(self._stream)
        self._inside.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._stream is not None:
                self._stream.synchronize()
        finally:
            self._inside.__exit__(kind, error, trace)
