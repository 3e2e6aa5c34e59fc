"""A network of another library's architecture, called as ours are: padded to the size it wants, and cropped.

Weights and module come from weights/spandrel_loader.py; spandrel itself is not imported here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEAST = 8
"""Smallest side that is given to any network, in pixels: some mirror up to 3 pixels at an edge, for which
sides of 1 to 3 are too short."""
_GRID, _LARGEST_GRID = 32, 64
"""In pixels. Windows have mostly 8 or 16, and U-shaped networks halve a picture up to 4 or 5 times."""


@dataclass(frozen=True)
class ForeignConfig:
    """What has to be known of such a network to run it."""

    architecture: str
    """Its name in the library, e.g. "SwinIR"."""
    in_channels: int = 3
    out_channels: int = 3
    scale: int = 4
    """Output size / input size."""
    minimum: int = 0
    """Smallest side that it takes, in pixels."""
    multiple_of: int = 1
    """Number of pixels that each side must be a multiple of."""
    square: bool = False
    """Whether both sides must be equal."""
    fp16: bool = False
    """Whether the library holds it safe in float16."""
    bf16: bool = True
    """Whether the library holds it safe in bfloat16."""
    window: int = 1
    """The period of its attention windows, in pixels; 1: it has none."""
    step: int = 0
    """In pixels, after how many the network itself cuts what it sees into the next patch; 0: it does not."""
    context: int = 0
    """Pixels at the edge of what it sees that come out otherwise than inside, where that is known."""
    sees_all: bool = False
    """Whether its result depends on the whole picture so much that tiles differ visibly from one another."""

    @property
    def unshuffle(self) -> int:
        """Always 1: the network itself pads what it is given."""
        return 1

    @property
    def grid(self) -> int:
        """What tiles should begin at multiples of, in pixels: windows and strides repeat after so many."""
        if self.step:
            return self.step
        repeat = math.lcm(self.window, self.multiple_of)
        if repeat > _LARGEST_GRID:
            return max(_GRID, math.gcd(repeat, _LARGEST_GRID))
        return -(-_GRID // repeat) * repeat

    def padded(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that the network takes, no smaller than those given."""
        sides = (max(side, self.minimum, _LEAST) for side in (height, width))
        down, across = (-(-side // self.multiple_of) * self.multiple_of for side in sides)
        return (max(down, across),) * 2 if self.square else (down, across)


class ForeignNetwork(nn.Module):
    """Input and output as those of RRDBNet (rrdb.py), with pictures of any size."""

    def __init__(
        self, config: ForeignConfig, model: nn.Module, call: Callable[[nn.Module, Tensor], Any]
    ) -> None:
        """call: how the library calls the module: 1×in×H×W in [0, 1] → 1×out×(scale·H)×(scale·W)."""
        super().__init__()
        self.config = config
        self.model = model
        self._call = call

    def forward(self, x: Tensor) -> Tensor:
        """1×in×H×W → 1×out×(scale·H)×(scale·W), of the same dtype."""
        height, width = x.shape[2:]
        wanted = self.config.padded(height, width)
        made = self._call(self.model, _padded_copy(x, *wanted))
        # Swin2SR with auxiliary outputs returns a tuple that begins with the picture.
        out: Tensor = made[0] if isinstance(made, tuple) else made
        return out[:, :, : height * self.config.scale, : width * self.config.scale]


def _padded_copy(x: Tensor, height: int, width: int) -> Tensor:
    """Mirrored to the right and below as far as there are pixels, beyond that repeated.

    Always a copy, as some networks (RCAN) compute in the tensor that they are given, which the caller needs.
    """
    down, across = height - x.shape[2], width - x.shape[3]
    if not down and not across:
        return x.clone()
    mirrored = (0, min(across, x.shape[3] - 1), 0, min(down, x.shape[2] - 1))
    x = F.pad(x, mirrored, mode="reflect")
    return F.pad(x, (0, width - x.shape[3], 0, height - x.shape[2]), mode="replicate")


def gives_finite(run: Callable[[Tensor], Tensor], config: ForeignConfig, device: torch.device) -> bool:
    """Whether `run`, the network as it will be used, gives finite values of seeded noise."""
    side = max(32, config.minimum)
    noise = torch.rand((1, config.in_channels, side, side), generator=torch.Generator().manual_seed(1))
    try:
        with torch.inference_mode():
            return bool(torch.isfinite(run(noise.to(device))).all())
    except (RuntimeError, NotImplementedError, TypeError):  # an operator that a precision lacks
        return False
