"""The judge: a perceptual distance between two pictures by a network that is never part of a loss.

Features of EfficientNet-Lite0 at four sizes, each pixel's scaled to length 1; the distance is the squared
difference, summed over channels and averaged over pixels and sizes. This is the construction of LPIPS (Zhang
et al. 2018) without its learned weights: values are comparable with one another, not with LPIPS.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.networks.efficientnet import EfficientNetLite0
from luxscaler.weights.namings import StateDict


class Judge:
    """The network of the perceptual distance, with fixed weights."""

    def __init__(self, state: StateDict, device: torch.device) -> None:
        network = EfficientNetLite0()
        # strict=False: counters of batches, which nothing reads, are not in the file.
        missing, unexpected = network.load_state_dict(state, strict=False)
        wrong = [*unexpected, *(name for name in missing if not name.endswith("num_batches_tracked"))]
        if wrong:
            raise ValueError(f"not the judge's weights: {wrong[0]}")
        self._network = network.to(device).eval().requires_grad_(False)
        self._device = device

    @torch.inference_mode()
    def distance(self, made: Tensor, true: Tensor) -> float:
        """0 for equal pictures, at most 4; both 1×3×H×W code values."""
        pair = self._network(torch.cat((made, true)).to(self._device))
        distances = []
        for features in pair:
            a, b = F.normalize(features, dim=1)
            distances.append((a - b).square().sum(0).mean())
        return float(torch.stack(distances).double().mean())
