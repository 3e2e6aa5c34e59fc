"""The way in: a network made ready for a card, if its kernels compile there and agree with PyTorch.

Where anything is wrong the answer is None with a warning, and the plain network runs: speed is lost, never
quality.
"""

import copy
import math
import warnings

import torch

from luxscaler.cuda.card import Card
from luxscaler.cuda.engine import CudaRRDBNet
from luxscaler.cuda.layers import suits
from luxscaler.network import RRDBNet

LEAST_CAPABILITY = (8, 0)
"""cp.async and the matrix products that the kernels are written in came with Ampere."""
LEAST_DB = 65.0
"""PSNR to the plain network in float32 on noise; with the real weights and these roundings it is 79.6."""
_TRIED = (48, 40)
"""Rows, columns of the picture on which they are compared."""


def load(network: RRDBNet, device: torch.device) -> CudaRRDBNet | None:
    """The network (float32, on the CPU) on a CUDA device, or None where it is to be run as it is."""
    if not suits(network) or torch.version.hip is not None:  # PyTorch calls AMD's cards CUDA too
        return None
    if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return None
    try:
        engine = CudaRRDBNet(network, Card(device))
        found = agreement(engine, network, device)
    except Exception as error:  # whatever it is, the plain network is there
        _warn(f"{type(error).__name__}: {error}")
        return None
    if not found >= LEAST_DB:  # so that NaN is caught
        _warn(f"their result is {found:.1f} dB from float32, less than {LEAST_DB:.0f}")
        return None
    return engine


@torch.inference_mode()
def agreement(engine: CudaRRDBNet, network: RRDBNet, device: torch.device) -> float:
    """PSNR in code values, dB, of the engine to the network in float32 on the device, on seeded noise."""
    unshuffle = network.config.unshuffle
    size = (_TRIED[0] * unshuffle, _TRIED[1] * unshuffle)
    noise = torch.rand((1, network.config.in_channels, *size), generator=torch.Generator().manual_seed(1))
    x = noise.to(device)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = copy.deepcopy(network).to(device)(x)
    error = float((engine(x) - expected).double().square().mean())
    return math.inf if error == 0.0 else -10.0 * math.log10(error) if error > 0.0 else math.nan


def _warn(reason: str) -> None:
    warnings.warn(f"LuxScaler's own CUDA kernels are not used, PyTorch's are, slower: {reason}", stacklevel=3)
