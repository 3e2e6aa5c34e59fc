"""SRVGGNetCompact, Real-ESRGAN's small network for video, with BasicSR's parameter names.

Input and output are N×C×H×W tensors as those of RRDBNet (rrdb.py).
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.networks.convolution import Convolution


@dataclass(frozen=True)
class SRVGGConfig:
    """Size of an SRVGGNetCompact; the defaults are realesr-animevideov3."""

    in_channels: int = 3
    out_channels: int = 3
    features: int = 64
    convs: int = 16
    """Convolutions between the first and the last one."""
    scale: int = 4
    activation: str = "prelu"
    """"prelu", "relu" or "leakyrelu" (slope 0.1)."""

    @property
    def unshuffle(self) -> int:
        """Always 1: this network takes its input as it is."""
        return 1

    @property
    def grid(self) -> int:
        """Always 1: tiles may begin anywhere."""
        return 1

    @property
    def receptive_radius(self) -> int:
        """How far, in input pixels, one pixel can influence the output at most."""
        return self.convs + 2


class SRVGGNetCompact(nn.Module):
    """A plain stack of convolutions at the input's size; the last one makes scale² pixels of each."""

    def __init__(self, config: SRVGGConfig) -> None:
        super().__init__()
        self.config = config
        features = config.features
        layers: list[nn.Module] = [
            Convolution(config.in_channels, features, 3, padding=1),
            self._activation(),
        ]
        for _ in range(config.convs):
            layers += [Convolution(features, features, 3, padding=1), self._activation()]
        layers.append(Convolution(features, config.out_channels * config.scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)

    def _activation(self) -> nn.Module:
        if self.config.activation == "prelu":
            return nn.PReLU(num_parameters=self.config.features)
        if self.config.activation == "leakyrelu":
            return nn.LeakyReLU(0.1, inplace=True)
        return nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×(scale·H)×(scale·W)."""
        detail = F.pixel_shuffle(self.body(x), self.config.scale)
        return detail + F.interpolate(x, scale_factor=float(self.config.scale), mode="nearest")
