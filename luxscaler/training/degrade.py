"""Applies a recipe (degradation.py) to a crop: from a large picture to a small one that it could stand for.

Random numbers are drawn on the CPU, so that a crop is the same on every device; pixels stay on the device.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.training.degradation import Recipe, Stage
from luxscaler.training.jpeg import through_jpeg
from luxscaler.training.seeds import happens, integer, uniform

_MAX_RADIUS = 10
"""Kernels are at most 21 × 21 pixels, as in Real-ESRGAN."""
_MIN_SIDE = 8


def degraded(large: Tensor, recipe: Recipe, scale: int, source: torch.Generator) -> Tensor:
    """1×3×H×W code values in [0, 1] → 1×3×(H/scale)×(W/scale) in [0, 1], rounded to 8 bits if there is a
    stage.

    source: of all random choices, on the CPU.
    """
    height, width = large.shape[2] // scale, large.shape[3] // scale
    picture = large
    for stage in recipe.stages[:-1]:
        picture = _with_jpeg(_worn(picture, stage, recipe, source), stage, source)
    last = recipe.stages[-1] if recipe.stages else Stage()
    picture = _worn(picture, last, recipe, source)
    sinc_first = happens(source, 0.5)
    if not sinc_first:
        picture = _resized(picture, height, width, _mode(recipe, source))
        picture = _with_jpeg(picture, last, source)
    if happens(source, recipe.final_sinc):
        picture = _filtered(picture, _sinc(source))
    if sinc_first:
        picture = _resized(picture, height, width, _mode(recipe, source))
        picture = _with_jpeg(picture, last, source)
    picture = picture.clamp(0.0, 1.0)
    return (picture * 255.0).round() / 255.0 if recipe.stages else picture


def _worn(picture: Tensor, stage: Stage, recipe: Recipe, source: torch.Generator) -> Tensor:
    """Blur, resize and noise of one stage."""
    if happens(source, stage.blur):
        kernel = _sinc(source) if happens(source, stage.sinc) else _gaussian(stage, source)
        picture = _filtered(picture, kernel)
    factor = _factor(stage, source)
    if factor != 1.0:
        height, width = (max(_MIN_SIDE, round(factor * side)) for side in picture.shape[2:])
        picture = _resized(picture, height, width, _mode(recipe, source))
    if happens(source, stage.noise):
        picture = _noisy(picture, stage, source)
    return picture


def _factor(stage: Stage, source: torch.Generator) -> float:
    """A factor from the range; one that spans 1 gives 0.1 of the cases 1, 0.2 more, 0.7 less (Real-
    ESRGAN)."""
    low, high = stage.resize
    if low == high:
        return low
    if low < 1.0 < high:
        choice = uniform(source, 0.0, 1.0)
        if choice < 0.1:
            return 1.0
        return uniform(source, 1.0, high) if choice < 0.3 else uniform(source, low, 1.0)
    return uniform(source, low, high)


def _mode(recipe: Recipe, source: torch.Generator) -> str:
    return recipe.modes[integer(source, len(recipe.modes))]


def _resized(picture: Tensor, height: int, width: int, mode: str) -> Tensor:
    if (height, width) == tuple(picture.shape[2:]):
        return picture
    if mode == "antialiased":
        return F.interpolate(picture, (height, width), mode="bicubic", antialias=True).clamp(0.0, 1.0)
    return F.interpolate(picture, (height, width), mode=mode).clamp(0.0, 1.0)


def _with_jpeg(picture: Tensor, stage: Stage, source: torch.Generator) -> Tensor:
    if stage.jpeg is None:
        return picture
    return through_jpeg(picture.clamp(0.0, 1.0), round(uniform(source, *stage.jpeg)))


def _noisy(picture: Tensor, stage: Stage, source: torch.Generator) -> Tensor:
    is_poisson, is_grey = happens(source, 0.5), happens(source, stage.grey)
    channels = 1 if is_grey else 3
    noise = torch.randn((1, channels, *picture.shape[2:]), generator=source).to(picture.device)
    if not is_poisson:
        return (picture + noise * (uniform(source, *stage.gaussian) / 255.0)).clamp(0.0, 1.0)
    # Shot noise at 255 photons for white, by its normal approximation.
    signal = picture.mean(1, keepdim=True) if is_grey else picture
    deviation = (signal.clamp(min=0.0) / 255.0).sqrt()
    return (picture + noise * deviation * uniform(source, *stage.poisson)).clamp(0.0, 1.0)


def _filtered(picture: Tensor, kernel: Tensor) -> Tensor:
    radius = kernel.shape[-1] // 2
    weight = kernel.to(picture.device, picture.dtype).expand(3, 1, -1, -1)
    mode = "reflect" if min(picture.shape[2:]) > radius else "replicate"
    return F.conv2d(F.pad(picture, (radius,) * 4, mode=mode), weight, groups=3)


def _gaussian(stage: Stage, source: torch.Generator) -> Tensor:
    """A k×k kernel, round or elliptic, that sums to 1."""
    across = uniform(source, *stage.sigma)
    along = across if happens(source, stage.isotropic) else uniform(source, *stage.sigma)
    angle = uniform(source, -math.pi, math.pi)
    radius = min(_MAX_RADIUS, max(1, math.ceil(3 * max(across, along))))
    axis = torch.arange(-radius, radius + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    kernel: Tensor = torch.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
    return kernel / kernel.sum()


def _sinc(source: torch.Generator) -> Tensor:
    """An ideal low-pass in two dimensions, 21×21, with a random cutoff (Wang et al. 2021, equation 5)."""
    cutoff = uniform(source, math.pi / 3, math.pi)
    axis = torch.arange(-_MAX_RADIUS, _MAX_RADIUS + 1, dtype=torch.float64)
    distance = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    kernel: Tensor = cutoff * torch.special.bessel_j1(cutoff * distance) / (2 * math.pi * distance)
    kernel[_MAX_RADIUS, _MAX_RADIUS] = cutoff**2 / (4 * math.pi)
    return (kernel / kernel.sum()).float()
