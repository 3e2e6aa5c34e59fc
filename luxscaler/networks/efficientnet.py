"""EfficientNet-Lite0 (Tan and Le 2019; without squeeze-and-excitation, with ReLU6) up to its last blocks.

Names of parameters are those of the package `efficientnet_lite_pytorch`. Pictures are N×3×H×W sRGB code
values, nominally in [0, 1], float32, of any size. For inference only: batch norms use what they learned.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.networks.convolution import Convolution

_MEAN, _SPREAD = 127 / 255, 128 / 255
_EPSILON = 1e-3
STEM = 32
BLOCKS = (
    *((3, 1, 1, 16),),
    *((3, 2, 6, 24), (3, 1, 6, 24)),
    *((5, 2, 6, 40), (5, 1, 6, 40)),
    *((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)),
    *((5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
)
"""Kernel, stride, expansion and channels of each block; those for parts of 1/32 of the size are left out."""
STAGES = (0, 2, 4, 10)
"""The last blocks at 1/2, 1/4, 1/8 and 1/16 of the size."""


class _Conv(Convolution):
    """Padded as TensorFlow pads: what is odd goes to the right and below."""

    def __init__(self, channels: int, made: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels, made, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×⌈H/stride⌉×⌈W/stride⌉."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = [max(0, (-(-side // stride) - 1) * stride + kernel - side) for side in x.shape[2:]]
        edges = (pads[1] // 2, pads[1] - pads[1] // 2, pads[0] // 2, pads[0] - pads[0] // 2)
        return super().forward(F.pad(x, edges))


class _Block(nn.Module):
    """Widen, filter each channel, narrow; with a way around it where sizes allow."""

    def __init__(self, channels: int, kernel: int, stride: int, expansion: int, made: int) -> None:
        super().__init__()
        wide = channels * expansion
        self._has_way_around = stride == 1 and channels == made
        if expansion > 1:
            self._expand_conv = _Conv(channels, wide, 1)
            self._bn0 = nn.BatchNorm2d(wide, _EPSILON)
        self._expands = expansion > 1
        self._depthwise_conv = _Conv(wide, wide, kernel, stride, wide)
        self._bn1 = nn.BatchNorm2d(wide, _EPSILON)
        self._project_conv = _Conv(wide, made, 1)
        self._bn2 = nn.BatchNorm2d(made, _EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×⌈H/stride⌉×⌈W/stride⌉."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        narrow: Tensor = self._bn2(self._project_conv(y))
        return narrow + x if self._has_way_around else narrow


class EfficientNetLite0(nn.Module):
    """The blocks down to 1/16 of the size."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _Conv(3, STEM, 3, 2)
        self._bn0 = nn.BatchNorm2d(STEM, _EPSILON)
        channels, blocks = STEM, []
        for kernel, stride, expansion, made in BLOCKS:
            blocks.append(_Block(channels, kernel, stride, expansion, made))
            channels = made
        self._blocks = nn.ModuleList(blocks)

    def forward(self, picture: Tensor) -> list[Tensor]:
        """What the blocks of STAGES make of the pictures, the largest first."""
        x = F.relu6(self._bn0(self._conv_stem((picture - _MEAN) / _SPREAD)))
        found = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in STAGES:
                found.append(x)
        return found


def parameter_names() -> list[str]:
    """Names of all tensors that are needed, in a fixed order."""
    with torch.device("meta"):
        network = EfficientNetLite0()
    return [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
