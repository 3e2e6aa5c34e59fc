"""What goes into the assembly of a result and what comes out: lines of tiles, and strips of finished rows."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from luxscaler.picture import FloatArray
from luxscaler.tiling.overview import Regions


class Lines(NamedTuple):
    """Whole rows of a tile or of the result, on any device."""

    rgb: Tensor
    """(n, width, 3) float32, linear light."""
    alpha: Tensor | None
    """(n, width) float32 in [0, 1]."""


class UpscaledTile(Protocol):
    """An upscaled tile, wherever it is kept."""

    def lines(self, top: int, bottom: int) -> Lines:
        """Rows [top, bottom). They may be the tile's own memory, so they must not be changed."""


class HostTile:
    """An upscaled tile in the host's memory or on its disk."""

    def __init__(self, picture: Regions) -> None:
        self._picture = picture

    def lines(self, top: int, bottom: int) -> Lines:
        """Rows [top, bottom)."""
        part = self._picture.region(top, bottom, 0, self._picture.width)
        return Lines(as_tensor(part.rgb), None if part.alpha is None else as_tensor(part.alpha))


def as_tensor(array: FloatArray) -> Tensor:
    """A tensor that shares the array's memory, or a copy where PyTorch cannot (read-only, reversed)."""
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


class DeviceTile:
    """An upscaled tile where its network left it."""

    def __init__(self, rgb: Tensor, alpha: Tensor | None) -> None:
        """rgb: (H, W, 3) float32, linear light. alpha: (H, W) float32 in [0, 1], on the same device."""
        self._rgb, self._alpha = rgb, alpha

    def lines(self, top: int, bottom: int) -> Lines:
        """Rows [top, bottom)."""
        return Lines(self._rgb[top:bottom], None if self._alpha is None else self._alpha[top:bottom])


@dataclass(frozen=True)
class Strip:
    """Finished rows of the result. The arrays are used again: a receiver copies what it keeps."""

    top: int
    rgb: FloatArray
    """(n, width, 3) linear light, expanded."""
    sdr: FloatArray | None
    """(n, width, 3) linear light before the expansion; None where it was not asked for (shows_both)."""
    alpha: FloatArray | None
    """(n, width) in [0, 1]."""

    @property
    def unexpanded(self) -> FloatArray:
        """`sdr`. Raises ValueError where it was not asked for (shows_both)."""
        if self.sdr is None:
            raise ValueError("the light before the expansion was not asked for: shows_both")
        return self.sdr

    def within(self, height: int) -> "Strip | None":
        """The rows that lie in [0, height), without those of a border; None where there are none."""
        first, last = max(self.top, 0), min(self.top + len(self.rgb), height)
        if first >= last:
            return None
        rows = slice(first - self.top, last - self.top)
        sdr, alpha = (None if plane is None else plane[rows] for plane in (self.sdr, self.alpha))
        return Strip(first, self.rgb[rows], sdr, alpha)


class WholeRows:
    """Strips collected into whole arrays."""

    def __init__(self, height: int, width: int, *, has_alpha: bool, shows_both: bool) -> None:
        """height, width: of the result. shows_both: whether the light before the expansion is kept too."""
        self.rgb = np.empty((height, width, 3), np.float32)
        self.alpha = np.empty((height, width), np.float32) if has_alpha else None
        self.sdr = np.empty_like(self.rgb) if shows_both else None

    def take(self, strip: Strip) -> None:
        """Copy the rows of a strip into the arrays."""
        rows = slice(strip.top, strip.top + strip.rgb.shape[0])
        self.rgb[rows] = strip.rgb
        if self.alpha is not None and strip.alpha is not None:
            self.alpha[rows] = strip.alpha
        if self.sdr is not None:
            self.sdr[rows] = strip.unexpanded
