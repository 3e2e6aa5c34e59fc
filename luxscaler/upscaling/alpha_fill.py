"""Colour under transparency: fills transparent pixels from their visible neighbours.

The colour of a pixel with alpha 0 is arbitrary (often black). A network looks at neighbourhoods, and would
draw that arbitrary colour into the visible edge as a fringe.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.inference_mode()
def fill_transparent(rgb: Tensor, alpha: Tensor) -> Tensor:
    """Replace colour in proportion to its transparency by the average of visible colour around it.

    rgb: (H, W, 3) float32, straight colour. alpha: (H, W) float32 in [0, 1]. Opaque pixels keep their colour;
    `rgb` itself is returned where all of it is opaque, or transparent. The averages come from a pyramid
    weighted by alpha (push and pull: Gortler et al., "The lumigraph", SIGGRAPH 1996, section 3.4).
    """
    if not bool((alpha > 0.0).any()) or bool((alpha >= 1.0).all()):
        return rgb
    weight = alpha[None, None]
    color = rgb.permute(2, 0, 1)[None] * weight
    filled = _pull(color, weight)
    opaque = weight[0, 0, :, :, None]
    return rgb * opaque + filled[0].permute(1, 2, 0) * (1.0 - opaque)


def _pull(color: Tensor, weight: Tensor) -> Tensor:
    """1×3×H×W premultiplied colour and its weight → colour everywhere, from coarser levels where needed."""
    own = color / weight.clamp(min=1e-30)
    if bool((weight >= 1.0).all()) or max(weight.shape[2:]) == 1:
        return own
    coarse_color = F.avg_pool2d(color, 2, ceil_mode=True, count_include_pad=False)
    coarse_weight = F.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
    coarse = _pull(coarse_color, coarse_weight)
    size = (weight.shape[2], weight.shape[3])
    spread = F.interpolate(coarse, size, mode="bilinear", align_corners=False)
    return own * weight + spread * (1.0 - weight)
