"""Which tiles a plan's convolutions are made in: the fastest of those whose results are equal to the bit.

Each kind of step is timed once on the device. A tile whose result differs from the default's is not taken,
however fast: then the device does something that the kernels do not expect, and speed is no gain.
"""

import torch

from luxscaler.inference.cuda.kernel_source import Tile
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.launch_plan import Plan
from luxscaler.inference.cuda.launches import Step


def choose(plan: Plan, kernels: Kernels) -> dict[tuple[int, ...], str]:
    """Choose for all steps, and say what: kind → name of the tile. Feature maps hold noise afterwards."""
    chosen: dict[tuple[int, ...], Tile] = {}
    for feature_map in plan.maps:  # zeros would be equal whatever the kernels did, and NaN never
        feature_map.normal_()
    for step in plan.steps:
        if step.tiles:
            if step.kind not in chosen:
                chosen[step.kind] = _fastest(step, kernels)
            step.take(chosen[step.kind])
    return {kind: tile.name for kind, tile in chosen.items()}


def _fastest(step: Step, kernels: Kernels) -> Tile:
    """Leaves the step in whatever tile came last."""
    default, *others = step.tiles
    best, least = default, _seconds(step, default, kernels)
    if least is None or step.target is None:
        return default
    result = step.target.planes.clone()
    for tile in others:
        step.target.planes.zero_()
        seconds = _seconds(step, tile, kernels)
        if seconds is not None and seconds < least and _equal(step.target.planes, result, step):
            best, least = tile, seconds
    return best


def _seconds(step: Step, tile: Tile, kernels: Kernels) -> float | None:
    step.take(tile)
    return kernels.seconds(lambda: step.launch(kernels))


def _equal(found: torch.Tensor, expected: torch.Tensor, step: Step) -> bool:
    """To the bit, in the rows that the step writes."""
    rows = slice(step.job.first, step.job.last)
    return torch.equal(found[:, rows].view(torch.int16), expected[:, rows].view(torch.int16))
