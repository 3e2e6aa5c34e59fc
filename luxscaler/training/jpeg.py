"""The loss of JPEG compression, computed on tensors without a file: 4:2:0 chroma, quantised DCT coefficients.

Tables are those of ITU-T T.81, annex K, scaled as libjpeg scales them.
"""

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""R, G, B to luma and chroma (JFIF, ITU-T T.871, section 7)."""
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def through_jpeg(picture: Tensor, quality: int) -> Tensor:
    """1×3×H×W sRGB code values in [0, 1] → the same shape and range after JPEG of that quality, 1 to 100."""
    height, width = picture.shape[2:]
    padded = F.pad(picture, (0, -width % 16, 0, -height % 16), mode="replicate")
    levels = (padded * 255.0).round()
    ycc = torch.einsum("kc,nchw->nkhw", levels.new_tensor(TO_YCC), levels).round()
    luma = _blocks_quantised(ycc[:, :1] - 128.0, _table(_LUMA, quality)) + 128.0
    chroma = _blocks_quantised(F.avg_pool2d(ycc[:, 1:], 2).round(), _table(_CHROMA, quality))
    chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear")
    rgb = torch.einsum("ck,nkhw->nchw", levels.new_tensor(_TO_RGB), torch.cat((luma, chroma), 1))
    return (rgb.round().clamp(0.0, 255.0) / 255.0)[:, :, :height, :width]


def _blocks_quantised(planes: Tensor, table: Tensor) -> Tensor:
    """Round the DCT coefficients of 8×8 blocks to multiples of the 8×8 table.

    planes: N×C×H×W, H and W multiples of 8; the result has the same shape.
    """
    n, c, height, width = planes.shape
    blocks = planes.reshape(n, c, height // 8, 8, width // 8, 8).transpose(3, 4)
    cosines, steps = _cosines().to(planes.device), table.to(planes.device)
    coefficients = cosines @ blocks @ cosines.T
    restored = (cosines.T @ ((coefficients / steps).round() * steps) @ cosines).round()
    return restored.transpose(3, 4).reshape(n, c, height, width)


@cache
def _cosines() -> Tensor:
    """The 8×8 orthonormal DCT-II."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None, :]
    matrix = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _table(base: tuple[int, ...], quality: int) -> Tensor:
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    scaled = (torch.tensor(base, dtype=torch.float32).reshape(8, 8) * percent + 50) // 100
    return scaled.clamp(1, 255)
