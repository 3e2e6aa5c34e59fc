"""RRDBNet: the generator of ESRGAN, of any scale, with the additions of Real-ESRGAN and ESRGAN+.

Wang et al., "ESRGAN", ECCV workshops 2018, and "Real-ESRGAN", ICCV workshops 2021; Rakotonirina and
Rasoanaivo, "ESRGAN+", ICASSP 2020 (its noise is for training alone). Parameter names are BasicSR's, so its
state dicts load as they are. Activations are computed in place, which gradients survive.

Input and output are N×C×H×W tensors of any floating dtype, RGB, sRGB-coded, nominally in [0, 1] and not
clamped; the output is `scale` times as large.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.networks.convolution import Convolution

LEAK = 0.2
"""Negative slope of every LeakyReLU in RRDBNet."""
RESIDUAL_SCALE = 0.2
"""Factor of a residual branch before it is added (ESRGAN, section 3.1)."""
RECONSTRUCT_RADIUS = 2
"""Reach of RRDBNet's upsampling part in pixels of its input: 1/2 + 1/4 + 1/4 + 1/4, and one for rounding;
without steps 1 + 1."""


@dataclass(frozen=True)
class RRDBNetConfig:
    """Size of an RRDBNet; the defaults are RealESRGAN_x4plus."""

    in_channels: int = 3
    out_channels: int = 3
    scale: int = 4
    """Output size / input size. Less than `enlargement`: 2×2 or 4×4 input pixels are folded into channels
    first, as Real-ESRGAN's networks of scale 2 and 1 do."""
    features: int = 64
    """Channels of the trunk."""
    blocks: int = 23
    """Residual-in-residual dense blocks."""
    growth: int = 32
    """Channels that each convolution of a dense block adds."""
    steps: int = 2
    """Times that the trunk's output is enlarged."""
    step_factor: int = 2
    """How many times each step enlarges: 2, or 3 in networks of scale 3."""
    plus: bool = False
    """Whether dense blocks have ESRGAN+'s additional residuals."""

    @property
    def enlargement(self) -> int:
        """Output size / size of the trunk."""
        return int(self.step_factor**self.steps)

    @property
    def unshuffle(self) -> int:
        """Side of the square of input pixels that is folded into channels (1: none)."""
        return self.enlargement // self.scale

    @property
    def grid(self) -> int:
        """What tiles should begin at multiples of, in pixels of the input."""
        return self.unshuffle

    @property
    def is_common(self) -> bool:
        """Whether it has the two ×2 steps, and no more, of nearly every published network."""
        return (self.steps, self.step_factor, self.plus) == (2, 2, False)

    @property
    def receptive_radius(self) -> int:
        """How far, in input pixels, one pixel can influence the output at most (not: how far it does)."""
        return (15 * self.blocks + 4) * self.unshuffle


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each of which sees everything before it; the sum with the input is damped."""

    def __init__(self, features: int, growth: int, *, plus: bool = False) -> None:
        super().__init__()
        self.conv1x1 = Convolution(features, growth, 1, bias=False) if plus else None
        self.conv1 = Convolution(features, growth, 3, padding=1)
        self.conv2 = Convolution(features + growth, growth, 3, padding=1)
        self.conv3 = Convolution(features + 2 * growth, growth, 3, padding=1)
        self.conv4 = Convolution(features + 3 * growth, growth, 3, padding=1)
        self.conv5 = Convolution(features + 4 * growth, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N×features×H×W → the same shape."""
        x1 = F.leaky_relu_(self.conv1(x), LEAK)
        x2 = F.leaky_relu_(self.conv2(torch.cat((x, x1), 1)), LEAK)
        if self.conv1x1 is not None:
            x2 = x2 + self.conv1x1(x)
        x3 = F.leaky_relu_(self.conv3(torch.cat((x, x1, x2), 1)), LEAK)
        x4 = F.leaky_relu_(self.conv4(torch.cat((x, x1, x2, x3), 1)), LEAK)
        if self.conv1x1 is not None:
            x4 = x4 + x2
        x5: Tensor = self.conv5(torch.cat((x, x1, x2, x3, x4), 1))
        return torch.add(x, x5, alpha=RESIDUAL_SCALE)


class RRDB(nn.Module):
    """Three dense blocks inside one more damped residual."""

    def __init__(self, features: int, growth: int, *, plus: bool = False) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth, plus=plus)
        self.rdb2 = ResidualDenseBlock(features, growth, plus=plus)
        self.rdb3 = ResidualDenseBlock(features, growth, plus=plus)

    def forward(self, x: Tensor) -> Tensor:
        """N×features×H×W → the same shape."""
        return torch.add(x, self.rdb3(self.rdb2(self.rdb1(x))), alpha=RESIDUAL_SCALE)


class RRDBNet(nn.Module):
    """The generator of ESRGAN. Its trunk works at the input's size; nearest ×2 steps follow, mostly two."""

    def __init__(self, config: RRDBNetConfig) -> None:
        super().__init__()
        self.config = config
        features = config.features
        self.conv_first = Convolution(config.in_channels * config.unshuffle**2, features, 3, padding=1)
        blocks = (RRDB(features, config.growth, plus=config.plus) for _ in range(config.blocks))
        self.body = nn.Sequential(*blocks)
        self.conv_body = Convolution(features, features, 3, padding=1)
        for step in range(1, config.steps + 1):  # conv_up1, conv_up2, …
            self.add_module(f"conv_up{step}", Convolution(features, features, 3, padding=1))
        self.conv_hr = Convolution(features, features, 3, padding=1)
        self.conv_last = Convolution(features, config.out_channels, 3, padding=1)

    @property
    def enlarging(self) -> list[nn.Conv2d]:
        """The convolutions after each enlargement (or what a training put in their place), in their order."""
        found = [self.get_submodule(f"conv_up{step}") for step in range(1, self.config.steps + 1)]
        return cast(list[nn.Conv2d], found)

    def extract(self, x: Tensor, step: Callable[[float], None] | None = None) -> Tensor:
        """N×in×H×W → N×features×(H/u)×(W/u), u = `config.unshuffle`, of which H and W must be multiples.

        `step` is called after each block with the share of blocks done: nearly all time is spent here.
        """
        if self.config.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.config.unshuffle)
        first = x = self.conv_first(x)
        for index, block in enumerate(self.body):
            x = block(x)
            if step is not None:
                step((index + 1) / len(self.body))
        return torch.add(first, self.conv_body(x))

    def reconstruct(self, features: Tensor) -> Tensor:
        """N×features×h×w → N×out×(n·h)×(n·w), n = `config.enlargement`, in float32.

        Nearly all memory is needed here: the activations are n² times as large as those of `extract`. One
        output pixel depends on features at most `RECONSTRUCT_RADIUS` away, so rows can be done in strips.
        """
        x, times = features, float(self.config.step_factor)
        for layer in self.enlarging:
            x = F.leaky_relu_(layer(F.interpolate(x, scale_factor=times, mode="nearest")), LEAK)
        x = F.leaky_relu_(self.conv_hr(x), LEAK)
        # In half precision the rounding of this one output costs more than all the layers before it.
        last = self.conv_last
        bias = None if last.bias is None else last.bias.float()
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x.float(), last.weight.float(), bias, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×(scale·H)×(scale·W) in float32; H and W multiples of `config.unshuffle`."""
        return self.reconstruct(self.extract(x))
