"""Prepares a network for a card, if the kernels run there (trial.py) and match PyTorch (validate.py).

If anything goes wrong, the result is None with a warning, and PyTorch runs the network: slower, as good. In
float32 a number is two halves, which end at 65504; PyTorch runs pictures beyond that range (guarded.py).
"""

import os
import warnings

import torch

from luxscaler.inference.cuda import trial
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.cuda.guarded import GuardedRRDBNet
from luxscaler.inference.cuda.packed_network import is_supported
from luxscaler.inference.cuda.validate import validated
from luxscaler.networks.rrdb import RRDBNet

LEAST_CAPABILITY = (8, 0)
"""The kernels use cp.async and matrix instructions that Ampere (8.0) introduced."""
SWITCH = "LUXSCALER_CUDA_KERNELS"
"""Environment variable; 0: use PyTorch's kernels."""
PARTS = {torch.float16: 1, torch.float32: 2}
"""The dtypes that the kernels support, and the number of halves that store a number."""


def load(network: RRDBNet, device: torch.device, dtype: torch.dtype) -> CudaRRDBNet | GuardedRRDBNet | None:
    """The network (float32, on the CPU) on a CUDA device; None if PyTorch should run it."""
    if dtype not in PARTS:
        return None
    if not is_supported(network) or torch.version.hip is not None:  # PyTorch calls AMD cards CUDA too
        return None
    if os.environ.get(SWITCH) == "0" or torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        return None
    parts = PARTS[dtype]
    reason = trial.trial_error(device, parts)
    if reason is None:
        try:
            engine = validated(network, device, parts)
            return engine if parts == 1 else GuardedRRDBNet(engine, network, device)
        except Exception as error:  # PyTorch can still run the network
            reason = f"{type(error).__name__}: {error}"
    warnings.warn(f"LuxScaler's own CUDA kernels are not used, PyTorch's are, slower: {reason}", stacklevel=2)
    return None
