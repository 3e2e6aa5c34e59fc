"""RRDBNet by the kernels of this package, with numbers stored as one half or two and summed in float32.

The engine keeps a plan for each of the last sizes, with its launches recorded (on a card: a CUDA graph).
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.inference.cuda.autotune import autotune
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.launch_plan import LaunchPlan
from luxscaler.inference.cuda.packed_network import PackedNetwork
from luxscaler.networks.rrdb import RRDBNet

KEPT = 2
"""Sizes whose plans are kept: most tiles of a master have the same size."""


@dataclass(frozen=True)
class _RecordedPlan:
    """A plan, and the function that runs its recorded launches."""

    plan: LaunchPlan
    run: Callable[[], None]


class CudaRRDBNet:
    """An RRDBNet with 64 features and growth 32 on one device. Calls from several threads take turns."""

    def __init__(self, network: RRDBNet, kernels: Kernels) -> None:
        self.config = network.config
        self._kernels = kernels
        self._weights = PackedNetwork(network, kernels)
        self._plans: OrderedDict[tuple[int, int], _RecordedPlan] = OrderedDict()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; H, W multiples of `config.unshuffle`.

        Raises torch.OutOfMemoryError if the device lacks memory. step: called once, at the end, since all
        launches are started together. Threads that call it must use the same stream, as they do by default.
        """
        x = F.pixel_unshuffle(x, self.config.unshuffle) if self.config.unshuffle > 1 else x
        with self._lock:
            recorded = self._for((x.shape[2], x.shape[3]))
            recorded.plan.picture.copy_(x[0])
            recorded.run()
            out = recorded.plan.out.clone()[None]
        if step is not None:
            step(1.0)
        return out

    def _for(self, size: tuple[int, int]) -> _RecordedPlan:
        """The plan for this size, marked as the most recently used."""
        if size not in self._plans:
            while len(self._plans) >= KEPT:
                self._plans.popitem(last=False)
            self._plans[size] = self._made(size)
        self._plans.move_to_end(size)
        return self._plans[size]

    def _made(self, size: tuple[int, int]) -> _RecordedPlan:
        try:
            return self._make(size)
        except torch.OutOfMemoryError:
            if not self._plans:
                raise
        # Outside the except clause, because the exception's frames hold memory.
        self._plans.clear()
        return self._make(size)

    def _make(self, size: tuple[int, int]) -> _RecordedPlan:
        plan = LaunchPlan(self._weights, self._kernels, *size)
        autotune(plan, self._kernels)
        return _RecordedPlan(plan, self._kernels.record(plan.run))
