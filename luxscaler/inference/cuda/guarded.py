"""The float32 kernels, with PyTorch as the fallback for a picture whose features exceed their range.

A number is stored as two halves, of which the high one ends at 65504; larger features become infinite, and
the result NaN. Features of published networks stay below 50, so this happens with unusual networks only.
"""

import copy
import threading
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.inference.eager import PlainNetwork
from luxscaler.networks.rrdb import RRDBNet


class GuardedRRDBNet:
    """An engine whose results are finite wherever the plain network's are; it keeps no state between
    pictures."""

    def __init__(self, engine: CudaRRDBNet, network: RRDBNet, device: torch.device) -> None:
        """network: float32, on the CPU; it is not changed."""
        self.config = network.config
        self.engine = engine
        self._network, self._device = network, device
        self._plain: PlainNetwork | None = None
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """Shapes, dtypes and errors as in CudaRRDBNet. Waits for the device, since the result is checked."""
        out = self.engine(x)
        if bool(torch.isfinite(torch.stack(out.aminmax())).all()):  # NaN is both minimum and maximum
            if step is not None:
                step(1.0)
            return out
        del out
        warnings.warn(
            "LuxScaler's own float32 kernels gave values that are not finite (their features end at 65504); "
            "PyTorch runs this picture, slower",
            stacklevel=2,
        )
        return self._of_pytorch()(x, step)

    def _of_pytorch(self) -> PlainNetwork:
        with self._lock:
            if self._plain is None:
                network = copy.deepcopy(self._network)
                self._plain = PlainNetwork(network, self._device, torch.float32)
            return self._plain
