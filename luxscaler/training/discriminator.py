"""The U-Net discriminator of Real-ESRGAN (Wang et al. 2021) with spectral norm (Miyato et al. 2018).

Its output says for each pixel how real the surroundings look. Each normed weight is divided by its largest
singular value, which power iteration with one vector a layer estimates. The vectors move with `advance`
alone, not with every forward pass as in torch.nn.utils: a pass that is given up changes nothing, so a
training that goes on from a saved state computes the same.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 64
"""Channels at full size, as in Real-ESRGAN."""
_LEAK = 0.2
_FIRST_ROUNDS = 15
"""Power iterations at the beginning."""


class NormedConv(nn.Module):
    """A convolution without bias whose weight, as a matrix, has the largest singular value 1."""

    u: Tensor

    def __init__(self, channels: int, made: int, kernel: int, stride: int, source: torch.Generator) -> None:
        super().__init__()
        self._stride, self._padding = stride, 1
        bound = (channels * kernel**2) ** -0.5  # PyTorch's initial values of a convolution
        shape = (made, channels, kernel, kernel)
        self.weight = nn.Parameter((2 * torch.rand(shape, generator=source) - 1) * bound)
        self.register_buffer("u", F.normalize(torch.randn(made, generator=source), dim=0))
        for _ in range(_FIRST_ROUNDS):
            self.advance()

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W → N×out×H'×W'."""
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = F.normalize(matrix.T @ self.u, dim=0)
        norm = self.u @ (matrix @ v)
        return F.conv2d(x, self.weight / norm, stride=self._stride, padding=self._padding)

    @torch.no_grad()
    def advance(self) -> None:
        """Improve the estimate of the largest singular value by one power iteration."""
        matrix = self.weight.flatten(1)
        self.u.copy_(F.normalize(matrix @ F.normalize(matrix.T @ self.u, dim=0), dim=0))


class Discriminator(nn.Module):
    """N×3×H×W code values → N×1×H×W: above 0 where a picture looks real, below where it looks made."""

    def __init__(self, features: int, source: torch.Generator) -> None:
        super().__init__()
        f = features
        self.conv0 = _plain(nn.Conv2d(3, f, 3, padding=1), source)
        self.conv1 = NormedConv(f, 2 * f, 4, 2, source)
        self.conv2 = NormedConv(2 * f, 4 * f, 4, 2, source)
        self.conv3 = NormedConv(4 * f, 8 * f, 4, 2, source)
        self.conv4 = NormedConv(8 * f, 4 * f, 3, 1, source)
        self.conv5 = NormedConv(4 * f, 2 * f, 3, 1, source)
        self.conv6 = NormedConv(2 * f, f, 3, 1, source)
        self.conv7 = NormedConv(f, f, 3, 1, source)
        self.conv8 = NormedConv(f, f, 3, 1, source)
        self.conv9 = _plain(nn.Conv2d(f, 1, 3, padding=1), source)

    def forward(self, picture: Tensor) -> Tensor:
        """Down to an eighth of the size and up again, with skip connections."""
        ways = [F.leaky_relu(self.conv0(picture), _LEAK)]
        for down in (self.conv1, self.conv2, self.conv3):
            ways.append(F.leaky_relu(down(ways[-1]), _LEAK))
        x = ways.pop()
        for up in (self.conv4, self.conv5, self.conv6):
            way = ways.pop()
            x = F.interpolate(x, size=way.shape[2:], mode="bilinear", align_corners=False)
            x = F.leaky_relu(up(x), _LEAK) + way
        for conv in (self.conv7, self.conv8):
            x = F.leaky_relu(conv(x), _LEAK)
        verdict: Tensor = self.conv9(x)
        return verdict

    def normed(self) -> Iterator[NormedConv]:
        """The layers with spectral norm."""
        return (each for each in self.children() if isinstance(each, NormedConv))


def _plain(conv: nn.Conv2d, source: torch.Generator) -> nn.Conv2d:
    """The convolution with initial values from the generator."""
    bound = (conv.in_channels * 9) ** -0.5
    with torch.no_grad():
        for value in conv.parameters():
            value.copy_((2 * torch.rand(value.shape, generator=source) - 1) * bound)
    return conv
