"""Chooses how a loaded network runs on its device: the same results up to rounding, faster, in less memory.

RRDBNet on a CPU, whatever its number of ×2 steps: float32 by Winograd's filtering (cpu/winograd.py), bfloat16
by oneDNN's prepared convolutions (cpu/planes.py); on an NVIDIA card both float16 and float32 by cuda/.
SRVGGNetCompact on a CPU: in bands of rows (cpu/srvgg.py). Anything else runs as PyTorch runs it (eager.py).
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from luxscaler.inference.cpu.planes import PlaneTrunk
from luxscaler.inference.cpu.planes import usable as planes_usable
from luxscaler.inference.cpu.rrdb import FastRRDBNet
from luxscaler.inference.cpu.srvgg import FastSRVGG
from luxscaler.inference.cpu.winograd import WinogradTrunk
from luxscaler.inference.cuda import load
from luxscaler.networks.build import AnyNetwork
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.networks.srvgg import SRVGGNetCompact


class Prepared(Protocol):
    """A network that other code than its own `forward` runs."""

    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32; H, W multiples of `config.unshuffle`.

        `step` is called with the share of the work done, at least at the end.
        """


def prepared(network: AnyNetwork, device: torch.device, dtype: torch.dtype) -> Prepared | None:
    """The prepared network; None if eager.py should run it. network: float32, on the CPU; it is not
    changed."""
    if isinstance(network, SRVGGNetCompact):
        on_cpu = device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
        return FastSRVGG(network, dtype) if on_cpu else None
    if not isinstance(network, RRDBNet) or network.config.plus or network.config.step_factor != 2:
        return None
    if device.type == "cuda":
        return load.load(network, device, dtype)
    if device.type == "cpu" and dtype == torch.bfloat16 and planes_usable(network):
        return FastRRDBNet(network, PlaneTrunk(network), dtype)
    if device.type == "cpu" and dtype == torch.float32:
        return FastRRDBNet(network, WinogradTrunk(network), dtype)
    return None
