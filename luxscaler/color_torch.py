"""The sRGB curve (IEC 61966-2-1) on tensors of any shape, float type and device; 1.0 = white.

`luxscaler.color` has the same curve, and every other transfer function, for NumPy arrays. Above 1 the power
segment is extended, below 0 the straight one (color.py mirrors the whole curve there).
"""

import torch
from torch import Tensor

LINEAR_END, CODE_END = 0.0031308, 0.04045
"""Linear value and code at which the straight segment ends."""
STRAIGHT_SLOPE = 12.92
"""Slope of the straight segment, code over light."""
SCALE, OFFSET, POWER = 1.055, 0.055, 2.4
"""code = SCALE · light^(1/POWER) − OFFSET above the straight segment."""


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear light → sRGB code, a new tensor."""
    power = encode_power_(linear.clamp(min=LINEAR_END))
    return torch.where(linear <= LINEAR_END, linear * STRAIGHT_SLOPE, power)


def encode_power_(linear: Tensor) -> Tensor:
    """`encode_srgb` in place, by the power segment alone: for light of at least LINEAR_END; returned."""
    return linear.pow_(1 / POWER).mul_(SCALE).sub_(OFFSET)


def decode_srgb(code: Tensor) -> Tensor:
    """sRGB code → linear light, a new tensor."""
    power = code.add(OFFSET).div_(SCALE).pow_(POWER)
    return torch.where(code <= CODE_END, code / STRAIGHT_SLOPE, power)


def decode_number(code: float) -> float:
    """`decode_srgb` of one number, computed in float64."""
    if code <= CODE_END:
        return code / STRAIGHT_SLOPE
    return float(((code + OFFSET) / SCALE) ** POWER)
