"""Keeps an upscaled coverage between the least and the most that its source has around each pixel.

A network rings beside edges and drifts in flat areas, which leaves a veil in what was clear and holes in what
was opaque. Within the range of the 3 × 3 source pixels around it a pixel keeps what the network drew: edges
stay as sharp as it makes them, and a flat area stays flat exactly.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

NEIGHBOURHOOD = 3
"""Source pixels a side."""
ROWS = 256
"""Rows done at once, so that temporaries stay small beside the picture."""


@torch.inference_mode()
def limit_to_source(alpha: Tensor, source: Tensor) -> Tensor:
    """Clamp `alpha` to the range of `source` around each pixel, in place, and return it.

    alpha: (H, W), source: (h, w) float32, one device, h ≤ H and w ≤ W. Where the 3 × 3 source pixels around a
    pixel are equal, the result is that value to the bit.
    """
    plane = source[None, None]
    high, low = (sign * F.max_pool2d(sign * plane, NEIGHBOURHOOD, 1, 1)[0, 0] for sign in (1.0, -1.0))
    rows, columns = (_source_index(*sizes, source) for sizes in zip(alpha.shape, source.shape, strict=True))
    for start in range(0, alpha.shape[0], ROWS):
        band, near = alpha[start : start + ROWS], rows[start : start + ROWS]
        band.clamp_(low[near][:, columns], high[near][:, columns])
    return alpha


def _source_index(length: int, source_length: int, like: Tensor) -> Tensor:
    """(length,): the source pixel that the middle of each pixel lies in."""
    position = (torch.arange(length, device=like.device, dtype=torch.float64) + 0.5) * source_length / length
    return position.long().clamp_(max=source_length - 1)
