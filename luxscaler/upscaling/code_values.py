"""The code values in which the networks see a picture, and the way back to linear light.

The networks were trained on sRGB-coded pictures in [0, 1], and in that range the code is sRGB (IEC
61966-2-1). Above 1 it goes on as a logarithm with the same slope at 1, so that equal steps are equal ratios
of light, as in the upper half of HLG (ITU-R BT.2100); below 0 it is mirrored. Both ways are exact inverses
and clip nothing.
"""

from torch import Tensor

from luxscaler.color_torch import POWER, SCALE, decode_srgb, encode_srgb

SLOPE_AT_WHITE = SCALE / POWER
"""Slope of the sRGB curve at 1.0, with which the logarithm goes on."""


def encode(linear: Tensor) -> Tensor:
    """Linear light (any shape, float32, 1.0 = SDR white, unbounded, finite) → code; [0, 1] ↔ [0, 1]."""
    code = encode_srgb(linear.abs().clamp_(max=1.0))
    code += linear.abs().clamp_(min=1.0).log_().mul_(SLOPE_AT_WHITE)
    return code.copysign_(linear)


def decode_(code: Tensor) -> Tensor:
    """The inverse of `encode`: code → linear light, in place and returned."""
    linear = decode_srgb(code.abs().clamp_(max=1.0))
    magnitude = code.abs()
    # To ask a device costs the wait for its answer, and the factor is exactly 1 where nothing is above 1.
    if code.device.type != "cpu" or bool((magnitude > 1.0).any()):
        linear *= magnitude.sub_(1.0).clamp_(min=0.0).div_(SLOPE_AT_WHITE).exp_()
    return code.copy_(linear.copysign_(code))
