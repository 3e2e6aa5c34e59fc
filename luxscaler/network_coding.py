"""The coding in which the networks see a picture, and its way back.

The networks were trained on sRGB-coded pictures in [0, 1]. For a picture in that range the coding is sRGB
(IEC 61966-2-1) itself. Above 1 it goes on as a logarithm with the same slope at 1, so that a step there is a
step in relative luminance as an eye sees it (as in the upper half of HLG, ITU-R BT.2100); below 0 it is
mirrored. All is divided by the code of the picture's headroom, a power of two, so that the network still
sees [0, 1]. Both ways are exact inverses: nothing is clipped here. This module knows tensors, no networks.
"""

import math

import torch
from torch import Tensor

LINEAR_END = 0.0031308
"""Linear value at which sRGB's straight segment ends (IEC 61966-2-1)."""
CODE_END = 0.04045
SLOPE_AT_WHITE = 1.055 / 2.4
"""Slope of the sRGB curve at 1.0, with which the logarithm goes on."""
MAX_HEADROOM = 65536.0
"""More than a half float can hold; a larger value means a broken picture."""


def headroom_for(peak: float) -> float:
    """The smallest power of two, at least 1, that is not below `peak` (linear, 1.0 = SDR white).

    Powers of two, so that tiles of one picture whose peaks differ a little get the same coding.
    """
    if peak <= 1.0:
        return 1.0
    return min(2.0 ** math.ceil(math.log2(peak)), MAX_HEADROOM)


def _code_of(headroom: float) -> float:
    return 1.0 + SLOPE_AT_WHITE * math.log(headroom)


def encode(linear: Tensor, headroom: float = 1.0) -> Tensor:
    """Linear light (any shape, float32, 1.0 = SDR white, unbounded) → code, [0, headroom] → [0, 1]."""
    magnitude = linear.abs()
    code = torch.where(
        magnitude <= LINEAR_END,
        magnitude * 12.92,
        magnitude.clamp(LINEAR_END, 1.0).pow_(1 / 2.4).mul_(1.055).sub_(0.055),
    )
    if headroom > 1.0:
        code += magnitude.clamp_(min=1.0).log_().mul_(SLOPE_AT_WHITE)
        code /= _code_of(headroom)
    return code.copysign_(linear)


def decode_(code: Tensor, headroom: float = 1.0) -> Tensor:
    """The inverse of `encode`, in place and returned. Codes above 1 go on beyond the headroom."""
    if headroom > 1.0:
        code *= _code_of(headroom)
    magnitude = code.abs()
    linear = magnitude.clamp(max=1.0).add_(0.055).div_(1.055).pow_(2.4)
    if headroom > 1.0:
        linear *= magnitude.clamp(min=1.0).sub_(1.0).div_(SLOPE_AT_WHITE).exp_()
    linear = torch.where(magnitude <= CODE_END, magnitude.div_(12.92), linear)
    return code.copy_(linear.copysign_(code))
