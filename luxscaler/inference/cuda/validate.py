"""Makes an engine for a card, and checks that its results match PyTorch's to within its precision."""

import copy
import math

import torch

from luxscaler.inference.cuda.driver import CudaKernels
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.networks.rrdb import RRDBNet

LEAST_DB = {1: 65.0, 2: 100.0}
"""Least PSNR in dB to PyTorch's float32 result on noise, by the parts of a number. With the real weights it
is 79.6 in float16; in float32 an emulation has 123 on a crop (docs/experiments.md)."""
_COMPARED_SIZE = (48, 40)
"""Rows and columns of the picture on which they are compared."""


class ValidationError(RuntimeError):
    """The kernels' result differs from PyTorch's."""


def validated(network: RRDBNet, device: torch.device, parts: int) -> CudaRRDBNet:
    """The engine of a network (float32, on the CPU) on a card. parts: halves that store a number.

    Raises ValidationError where the results differ or leave the range of a half, CompileError, and what CUDA
    raises.
    """
    engine = CudaRRDBNet(network, CudaKernels(device, parts))
    found = psnr(engine, network, device)
    if not found >= LEAST_DB[parts]:  # so that NaN is caught
        raise ValidationError(f"their result is {found:.1f} dB from float32, less than {LEAST_DB[parts]:.0f}")
    return engine


@torch.inference_mode()
def psnr(engine: CudaRRDBNet, network: RRDBNet, device: torch.device) -> float:
    """PSNR in dB of the engine against the network in float32 on the device, on seeded noise in [0, 1]."""
    unshuffle = network.config.unshuffle
    size = (_COMPARED_SIZE[0] * unshuffle, _COMPARED_SIZE[1] * unshuffle)
    noise = torch.rand((1, network.config.in_channels, *size), generator=torch.Generator().manual_seed(1))
    x = noise.to(device)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        expected = copy.deepcopy(network).to(device)(x)
    error = float((engine(x) - expected).double().square().mean())
    return math.inf if error == 0.0 else -10.0 * math.log10(error) if error > 0.0 else math.nan
