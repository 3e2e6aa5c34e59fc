"""Seconds by stage, the device's work included."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class Stopwatch:
    """Adds up the seconds of the stages of one tile."""

    device: torch.device
    """Where stages compute; the CPU for those that leave the device to others."""
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside, under that name."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            # Kernels run on after their call has returned. Waiting costs tens of microseconds of overlap:
            # every stage ends by reading a number or a picture from the device anyway.
            torch.cuda.synchronize(self.device)
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start
