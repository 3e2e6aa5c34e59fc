"""Picks the block shapes of a plan's convolutions: the fastest of those with bit-identical results.

Each kind of launch is timed once on the device. A shape whose result differs from the default's is rejected,
however fast it is, since all shapes must compute the same sums.
"""

import torch

from luxscaler.inference.cuda.kernel_source import BlockShape
from luxscaler.inference.cuda.kernels import Kernels
from luxscaler.inference.cuda.launch_plan import LaunchPlan
from luxscaler.inference.cuda.launches import Launch


def autotune(plan: LaunchPlan, kernels: Kernels) -> dict[tuple[int, ...], str]:
    """Set the shape of every launch; returns kind → name of the shape. Feature maps hold noise afterwards."""
    chosen: dict[tuple[int, ...], BlockShape] = {}
    for feature_map in plan.maps:  # zeros would be equal whatever the kernels did, and NaN never
        feature_map.normal_()
    for launch in plan.launches:
        if launch.shapes:
            if launch.kind not in chosen:
                chosen[launch.kind] = _fastest(launch, kernels)
            launch.use(chosen[launch.kind])
    return {kind: shape.name for kind, shape in chosen.items()}


def _fastest(launch: Launch, kernels: Kernels) -> BlockShape:
    """The fastest shape for a launch; the launch itself keeps the shape that was tried last."""
    default, *others = launch.shapes
    best, least = default, _seconds(launch, default, kernels)
    if least is None or launch.target is None:
        return default
    result = launch.target.planes.clone()
    for shape in others:
        launch.target.planes.zero_()
        seconds = _seconds(launch, shape, kernels)
        if seconds is not None and seconds < least and _equal(launch.target.planes, result, launch):
            best, least = shape, seconds
    return best


def _seconds(launch: Launch, shape: BlockShape, kernels: Kernels) -> float | None:
    launch.use(shape)
    return kernels.seconds(lambda: launch.start(kernels))


def _equal(found: torch.Tensor, expected: torch.Tensor, launch: Launch) -> bool:
    """Whether the rows that the launch writes are equal to the bit."""
    rows = slice(launch.arguments.first, launch.arguments.last)
    return torch.equal(found[:, rows].view(torch.int16), expected[:, rows].view(torch.int16))
