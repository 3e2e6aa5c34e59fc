"""How far neighbouring tiles disagree where they share pixels: the step that a seam would show.

Blending spreads such a step over the overlap, so that no edge is left; a difference of brightness or colour
between two tiles stays. It is averaged along each seam, since that is what makes a seam visible: noise and
detail average out.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch

from luxscaler.picture import FloatArray
from luxscaler.tiling.overview import Regions
from luxscaler.tiling.plan import Plan
from luxscaler.upscaling import code_values

_LINES = 64
"""Most lines of a shared area that are compared."""


def tile_steps(plan: Plan, tile_of: Callable[[int], Regions]) -> float:
    """`SeamFigure.step` of a master. tile_of: gives the upscaled tile of a number; all must be there."""
    steps = [step for pair in _shared(plan) for step in _difference(tile_of, *pair)]
    return math.sqrt(sum(step * step for step in steps) / max(len(steps), 1))


Area = tuple[int, int, int, int, int]
"""Tile number; top, bottom, left, right in it."""


def _shared(plan: Plan) -> Iterator[tuple[Area, Area]]:
    """What each pair of neighbours shares, as areas of the one and of the other."""
    columns = len(plan.columns)
    for row, down in enumerate(plan.rows):
        height = down.stop - down.start
        for column, (left, right) in enumerate(pairwise(plan.columns)):
            number, width = row * columns + column, left.stop - right.start
            length = left.stop - left.start
            yield (number, 0, height, length - width, length), (number + 1, 0, height, 0, width)
    for column, across in enumerate(plan.columns):
        width = across.stop - across.start
        for row, (above, below) in enumerate(pairwise(plan.rows)):
            number, height = row * columns + column, above.stop - below.start
            length = above.stop - above.start
            yield (number, length - height, length, 0, width), (number + columns, 0, height, 0, width)


def _difference(tile_of: Callable[[int], Regions], one: Area, other: Area) -> list[float]:
    """Mean difference of the two areas, in code values: red, green, blue."""
    if one[1] == one[2] or one[3] == one[4]:
        return []
    means = [_mean(tile_of(area[0]), *area[1:]) for area in (one, other)]
    return [float(value) for value in means[0] - means[1]]


def _mean(tile: Regions, top: int, bottom: int, left: int, right: int) -> FloatArray:
    """Mean code of evenly spaced lines of an area: (3,)."""
    step = max(1, (bottom - top) // _LINES)
    lines = [tile.region(line, line + 1, left, right).rgb for line in range(top, bottom, step)]
    code = code_values.encode(torch.from_numpy(np.concatenate(lines)))
    return np.asarray(code.mean((0, 1)).numpy())
