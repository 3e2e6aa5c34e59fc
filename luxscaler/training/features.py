"""The feature (perceptual) loss: the difference of two pictures in the activations of a VGG, before ReLU.

Layers and their weights are Real-ESRGAN's; of VGG16, their counterparts. Each difference is divided by the
mean magnitude of the true picture's activations, because these differ widely between networks and layers: one
weight beside the other losses then suits both networks.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from luxscaler.networks.vgg import VGG, VGG16_HED, VGG19, VGGConfig
from luxscaler.weights.feature_networks import HED_NAME, VGG19_NAME
from luxscaler.weights.namings import StateDict

NETWORKS: Mapping[str, VGGConfig] = {VGG19_NAME: VGG19, HED_NAME: VGG16_HED}
"""By name, the best one first."""
BLOCK_WEIGHTS = (0.1, 0.1, 1.0, 1.0, 1.0)
"""Weight of the last layer of each block."""
_LEAST = 1e-6


class FeatureLoss(nn.Module):
    """The loss, by a VGG with fixed weights."""

    def __init__(self, config: VGGConfig, state: StateDict, device: torch.device) -> None:
        super().__init__()
        vgg = VGG(config)
        vgg.load_state_dict(state)
        self._vgg = vgg.to(device).requires_grad_(False)
        self._weights = {
            f"conv{block}_{count}": BLOCK_WEIGHTS[block - 1] for block, count in enumerate(config.convs, 1)
        }

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """A scalar from two N×3×H×W float32 code values; 0 for equal pictures. Gradients flow to `made`."""
        with torch.no_grad():
            expected = self._vgg(true, self._weights.keys())
        seen = self._vgg(made, self._weights.keys())
        total = made.new_zeros(())
        for name, weight in self._weights.items():
            scale = expected[name].abs().mean((1, 2, 3)).clamp(min=_LEAST)
            difference = (seen[name] - expected[name]).abs().mean((1, 2, 3))
            total = total + weight * (difference / scale).mean()
        return total
