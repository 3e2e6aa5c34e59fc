"""The code values in which the networks see a picture, and the way back to linear light.

The networks were trained on sRGB-coded pictures in [0, 1], and in that range the code is sRGB (IEC
61966-2-1). Above 1 it goes on as a logarithm with the same slope at 1, so that equal steps are equal ratios
of light, as in the upper half of HLG (ITU-R BT.2100); below 0 it is mirrored. Both ways are exact inverses
and clip nothing. This module knows tensors, no networks.
"""

import torch
from torch import Tensor

LINEAR_END = 0.0031308
"""Linear value at which sRGB's straight segment ends (IEC 61966-2-1)."""
CODE_END = 0.04045
SLOPE_AT_WHITE = 1.055 / 2.4
"""Slope of the sRGB curve at 1.0, with which the logarithm goes on."""


def encode(linear: Tensor) -> Tensor:
    """Linear light (any shape, float32, 1.0 = SDR white, unbounded, finite) → code; [0, 1] ↔ [0, 1]."""
    magnitude = linear.abs()
    code = torch.where(
        magnitude <= LINEAR_END,
        magnitude * 12.92,
        magnitude.clamp(LINEAR_END, 1.0).pow_(1 / 2.4).mul_(1.055).sub_(0.055),
    )
    code += magnitude.clamp_(min=1.0).log_().mul_(SLOPE_AT_WHITE)
    return code.copysign_(linear)


def decode_(code: Tensor) -> Tensor:
    """The inverse of `encode`, in place and returned."""
    magnitude = code.abs()
    linear = magnitude.clamp(max=1.0).add_(0.055).div_(1.055).pow_(2.4)
    linear = torch.where(magnitude <= CODE_END, magnitude / 12.92, linear)
    if bool((magnitude > 1.0).any()):
        linear *= magnitude.sub_(1.0).clamp_(min=0.0).div_(SLOPE_AT_WHITE).exp_()
    return code.copy_(linear.copysign_(code))
