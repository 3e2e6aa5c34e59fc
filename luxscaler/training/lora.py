"""Low-rank adapters in a network that learns (Hu et al. 2021, for convolutions as in peft).

Every convolution but the first and the last gets A (in → rank, 3×3) and B (rank → out, 1×1) beside it. B is
zero at first, so the network starts as exactly its base. The result is merged into the weights
(weights/adapter.py): names and shapes of the network stay, and every engine runs it.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.networks.build import Network
from luxscaler.training.seeds import generator
from luxscaler.weights.checkpoint import layer_names


class AdaptedConv(nn.Module):
    """A fixed convolution plus a low-rank change that learns."""

    def __init__(self, base: nn.Conv2d, rank: int, source: torch.Generator) -> None:
        super().__init__()
        self.base = base
        bound = math.sqrt(1 / (base.in_channels * 9))  # PyTorch's initial values of a convolution
        shape = (rank, base.in_channels, 3, 3)
        self.a = nn.Parameter((2 * torch.rand(shape, generator=source) - 1) * bound)
        self.b = nn.Parameter(torch.zeros(base.out_channels, rank, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×H×W. alpha is the rank, so the change has the factor 1."""
        made: Tensor = self.base(x)
        return made + F.conv2d(F.conv2d(x, self.a, padding=1), self.b)


def adapted_layers(network: Network) -> list[str]:
    """The names of the convolutions that get an adapter."""
    layers = [(name, network.get_submodule(name)) for name in layer_names(network.config)]
    return [name for name, layer in layers if isinstance(layer, nn.Conv2d)][1:-1]


def insert_adapters(network: Network, rank: int, seed: int) -> dict[str, AdaptedConv]:
    """Put adapters into a network, in place. Returns them by the names of their layers."""
    adapters = {}
    for name in adapted_layers(network):
        parent, _, child = name.rpartition(".")
        base = network.get_submodule(name)
        assert isinstance(base, nn.Conv2d)  # noqa: S101
        adapters[name] = AdaptedConv(base, rank, generator(seed, "lora", name))
        setattr(network.get_submodule(parent) if parent else network, child, adapters[name])
    return adapters
