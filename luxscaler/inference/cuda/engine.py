"""RRDBNet by the kernels of this package: `network(x)` in float16, float32 where it is summed.

Holds a plan for each of the last sizes, its launches recorded (on a card: a CUDA graph). It knows no CUDA, no
tiles of a picture and no colour.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.inference.cuda.autotune import choose
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.launch_plan import Plan
from luxscaler.inference.cuda.layers import Layers
from luxscaler.networks.rrdb import RRDBNet

KEPT = 2
"""Sizes whose plans are kept: most tiles of a master are of one size."""


@dataclass(frozen=True)
class _Ready:
    """A plan and how it is run."""

    plan: Plan
    run: Callable[[], None]


class CudaRRDBNet:
    """A network of 64 features that grow by 32, on one device. Calls from several threads take turns."""

    def __init__(self, network: RRDBNet, kernels: Kernels) -> None:
        self.config = network.config
        self._kernels = kernels
        self._layers = Layers(network, kernels)
        self._ready: OrderedDict[tuple[int, int], _Ready] = OrderedDict()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; H, W multiples of `config.unshuffle`.

        torch.OutOfMemoryError where the device has not the memory. `step` is told of the end only: all is
        started at once. Threads that call it must be on one stream, as they are unless told otherwise.
        """
        x = F.pixel_unshuffle(x, self.config.unshuffle) if self.config.unshuffle > 1 else x
        with self._lock:
            ready = self._for((x.shape[2], x.shape[3]))
            ready.plan.picture.copy_(x[0])
            ready.run()
            out = ready.plan.out.clone()[None]
        if step is not None:
            step(1.0)
        return out

    def _for(self, size: tuple[int, int]) -> _Ready:
        """The plan for this size, as the newest of those kept."""
        if size not in self._ready:
            while len(self._ready) >= KEPT:
                self._ready.popitem(last=False)
            self._ready[size] = self._made(size)
        self._ready.move_to_end(size)
        return self._ready[size]

    def _made(self, size: tuple[int, int]) -> _Ready:
        try:
            return self._make(size)
        except torch.OutOfMemoryError:
            if not self._ready:
                raise
        # Outside of the except clause: the exception's frames hold memory.
        self._ready.clear()
        return self._make(size)

    def _make(self, size: tuple[int, int]) -> _Ready:
        plan = Plan(self._layers, self._kernels, *size)
        choose(plan, self._kernels)
        return _Ready(plan, self._kernels.record(plan.run))
