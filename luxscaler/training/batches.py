"""Batches as a function of seed and step, so that an interrupted training goes on with the same crops.

Crops with light outside [0, 1] get a random exposure, from 1 down to the one that brings their brightest
light to white: the network learns highlights in the range in which it sees pictures (code_values.py). What
still lies outside is clipped, as the upscaler clips it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from luxscaler.training.degradation import Recipe
from luxscaler.training.degrade import degraded
from luxscaler.training.pictures import CODES, TrainingPicture
from luxscaler.training.seeds import generator, integer, uniform
from luxscaler.upscaling import code_values

_MOST_STOPS = 6.0
"""Most stops by which a crop is darkened."""


@dataclass(frozen=True)
class Batches:
    """All batches of a training: crops, turned and mirrored at random, with their degraded versions."""

    pictures: Sequence[TrainingPicture]
    recipe: Recipe
    scale: int
    crop: int
    """Side of a small crop in pixels."""
    size: int
    """Crops in a batch."""
    seed: int

    def batch(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Small and large crops: N×3×c×c and N×3×(scale·c)×(scale·c), code values in [0, 1], float32."""
        items = [self._item(generator(self.seed, step, index), device) for index in range(self.size)]
        return torch.cat([small for small, _ in items]), torch.cat([large for _, large in items])

    def _item(self, source: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
        picture = self.pictures[integer(source, len(self.pictures))]
        rows, columns = picture.height // self.scale, picture.width // self.scale
        top, left = integer(source, rows - self.crop + 1), integer(source, columns - self.crop + 1)
        turn, flip = integer(source, 4), integer(source, 2)
        side = self.scale * self.crop
        stored = picture.region(self.scale * top, self.scale * left, side, side)
        exposure = _exposure(stored, source) if picture.is_hdr else 1.0
        large = _turned(_tensor(stored, exposure), turn, flip).to(device)
        if picture.small is None:
            return degraded(large, self.recipe, self.scale, source), large
        stored = picture.small.region(top, left, self.crop, self.crop)
        return _turned(_tensor(stored, exposure), turn, flip).to(device), large


def part_of(picture: TrainingPicture, top: int, left: int, height: int, width: int) -> Tensor:
    """1×3×height×width code values in [0, 1] of a part of a picture, at its own exposure."""
    return _tensor(picture.region(top, left, height, width), 1.0)


def _tensor(stored: NDArray[np.uint16] | NDArray[np.float32], exposure: float) -> Tensor:
    """Stored pixels (h, w, 3) → 1×3×h×w code values in [0, 1], float32."""
    planes = torch.from_numpy(np.ascontiguousarray(stored.transpose(2, 0, 1))[None].astype(np.float32))
    if stored.dtype == np.uint16:
        return planes / CODES
    return code_values.encode(planes * exposure).clamp(0.0, 1.0)


def _exposure(stored: NDArray[np.float32], source: torch.Generator) -> float:
    """A factor from 1 down to the one at which the crop's brightest light is white."""
    peak = max(1.0, float(stored.max()))
    return float(2.0 ** uniform(source, -min(math.log2(peak), _MOST_STOPS), 0.0))


def _turned(picture: Tensor, turn: int, flip: int) -> Tensor:
    turned = torch.rot90(picture, turn, (2, 3))
    return (turned.flip(3) if flip else turned).contiguous()
