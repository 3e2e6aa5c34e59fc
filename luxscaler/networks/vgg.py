"""VGG's convolutions (Simonyan and Zisserman 2015): what its layers see in a picture, before ReLU.

Pictures are N×3×H×W sRGB code values, nominally in [0, 1], float32, of any size from 16 × 16 on.
"""

from collections.abc import Collection
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

NORMAL = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and spread of ImageNet's pictures in [0, 1], as torchvision has them."""
CAFFE = ((122.67892 / 255, 116.66877 / 255, 104.00699 / 255), (1 / 255, 1 / 255, 1 / 255))
"""The same for networks that were trained by Caffe: levels from 0 to 255 less their mean."""


@dataclass(frozen=True)
class VGGConfig:
    """Which VGG, and what it was trained to see."""

    convs: tuple[int, ...] = (2, 2, 4, 4, 4)
    """Convolutions of each block; blocks are half as large as those before."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of each block."""
    mean: tuple[float, float, float] = NORMAL[0]
    spread: tuple[float, float, float] = NORMAL[1]
    reversed_channels: bool = False
    """Whether it takes blue, green, red."""


VGG19 = VGGConfig()
VGG16_HED = VGGConfig((2, 2, 3, 3), (64, 128, 256, 512), *CAFFE, reversed_channels=True)


class VGG(nn.Module):
    """The convolutions, named conv1_1 to conv5_4."""

    def __init__(self, config: VGGConfig) -> None:
        super().__init__()
        self.config = config
        channels = 3
        for block, (count, width) in enumerate(zip(config.convs, config.widths, strict=True), 1):
            for number in range(1, count + 1):
                self.add_module(f"conv{block}_{number}", nn.Conv2d(channels, width, 3, padding=1))
                channels = width

    def forward(self, picture: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """What these layers make of the pictures; layers after the last of them are not computed."""
        mean, spread = (
            picture.new_tensor(values)[:, None, None] for values in (self.config.mean, self.config.spread)
        )
        x = (picture - mean) / spread
        if self.config.reversed_channels:
            x = x.flip(1)
        found: dict[str, Tensor] = {}
        for name, layer in self.named_children():
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2, ceil_mode=True)
            x = layer(x)
            if name in layers:
                found[name] = x
                if len(found) == len(layers):
                    break
            x = F.relu(x)
        return found
