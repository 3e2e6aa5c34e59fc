"""How long the stages of a tile take, the device's own work included."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class Stopwatch:
    """Adds up the seconds of each stage. One for each tile; not for several threads."""

    device: torch.device
    """Where stages compute; the CPU for those that leave the device to others."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by name of the stage."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block, waiting at its end for the device; an error leaves no entry."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            # Kernels run on after their call has returned. Waiting costs tens of microseconds of overlap:
            # every stage ends by reading a number or a picture from the device anyway.
            torch.cuda.synchronize(self.device)
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start
