"""How alike two pictures are: PSNR, SSIM, MS-SSIM, shift of colour.

ms_ssim and colour_difference can be differentiated, for the losses.

Pictures are N×3×H×W sRGB code values, nominally in [0, 1]. SSIM is that of Wang et al. 2004 (Gaussian window,
11×11, σ 1.5), MS-SSIM that of Wang et al. 2003 with as many of its five scales as the size allows.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.training.jpeg import TO_YCC

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (Wang et al. 2003)."""
COLOUR_CELL = 16
"""Side of the cells over which colours are averaged, in pixels."""


def psnr(made: Tensor, true: Tensor) -> float:
    """PSNR in dB over all channels and pixels, with 1.0 as the peak; at most 100."""
    error = float((made.double() - true.double()).square().mean())
    return min(100.0, -10.0 * math.log10(error)) if error > 0.0 else 100.0


def ssim(made: Tensor, true: Tensor) -> float:
    """Mean SSIM over all channels and pixels; 1 for equal pictures. Sides must be at least 11."""
    contrast, whole = _maps(made, true)
    del contrast
    return float(whole.mean())


def ms_ssim(made: Tensor, true: Tensor) -> Tensor:
    """Mean MS-SSIM over pictures and channels, a scalar; 1 for equal pictures. Sides must be at least 11."""
    scales = max(1, min(len(_WEIGHTS), 1 + int(math.log2(min(made.shape[2:]) / _WINDOW))))
    total = sum(_WEIGHTS[:scales])
    product = made.new_ones(made.shape[:2])
    for scale in range(scales):
        contrast, whole = _maps(made, true)
        factor = (whole if scale == scales - 1 else contrast).mean((2, 3))
        product = product * factor.clamp(min=1e-6) ** (_WEIGHTS[scale] / total)
        made, true = F.avg_pool2d(made, 2), F.avg_pool2d(true, 2)
    return product.mean()


def colour_shift(made: Tensor, true: Tensor) -> float:
    """Mean difference of the cells' average colours, in 1/255."""
    cell = min(COLOUR_CELL, *made.shape[2:])
    return 255.0 * float((F.avg_pool2d(made, cell) - F.avg_pool2d(true, cell)).abs().mean())


def colour_difference(made: Tensor, true: Tensor) -> Tensor:
    """Mean difference of luma and chroma of the cells' averages, a scalar that can be differentiated."""
    cell = min(COLOUR_CELL, *made.shape[2:])
    difference = F.avg_pool2d(made, cell) - F.avg_pool2d(true, cell)
    return torch.einsum("kc,nchw->nkhw", difference.new_tensor(TO_YCC), difference).abs().mean()


def _maps(made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Maps of SSIM's contrast–structure term, and of SSIM itself (with its luminance term)."""
    axis = torch.arange(_WINDOW, device=made.device, dtype=made.dtype) - _WINDOW // 2
    line = torch.exp(-0.5 * (axis / _SIGMA) ** 2)
    line = line / line.sum()

    def blurred(x: Tensor) -> Tensor:
        channels = x.shape[1]
        rows = F.conv2d(x, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
        return F.conv2d(rows, line.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)

    a, b = blurred(made), blurred(true)
    var_a, var_b = blurred(made * made) - a * a, blurred(true * true) - b * b
    covariance = blurred(made * true) - a * b
    contrast = (2 * covariance + _C2) / (var_a + var_b + _C2)
    return contrast, contrast * (2 * a * b + _C1) / (a * a + b * b + _C1)
