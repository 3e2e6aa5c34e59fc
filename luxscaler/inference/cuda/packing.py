"""Weights in the order in which the kernels read them, and pictures in planes.

Fragments are those of `mma.m16n8k16` (PTX ISA, "Matrix Fragments for mma.m16n8k16"): of the second factor
lane 4g + t holds the rows 2t, 2t + 1, 2t + 8, 2t + 9 of column g; of the sum, the columns 2t and 2t + 1.
Columns need not be channels in their order: column n of the j-th of four tiles is channel 8·⌊n/2⌋ + 2j + (n
mod 2) of its 32, so that the sums of lane 4g + t are the channels 8t to 8t + 7, neighbours in memory.

Where `parts` is 2, a number is two halves, high + low / LOW, and a weight times `weight_scale` is high + low.
The dimension of chunks then covers all planes first, high and low alternating: low weights for the high
halves, high weights divided by LOW for the low halves; then the high halves again, with high weights. The
division is exact except for weights 2**16 times smaller than the largest, where its error does not matter.
"""

import math

import torch
from torch import Tensor, nn

from luxscaler.inference.cuda.kernel_source import CHUNK, LOW, PLANE

_LARGEST = 13
"""The largest weight of a layer is scaled to 2**_LARGEST or a little more: its low half is then far from the
numbers below 2**-14, which have fewer bits, and the sums far from the end of float32."""
_MOST_DOUBLINGS = 120
"""Largest exponent of a scale, whose inverse must be a normal float32."""


def convolution_weights(conv: nn.Conv2d, parts: int) -> Tensor:
    """For `Convolution`: float16 (chunks, column of taps, row of taps, out/16, 32 lanes, 8)."""
    if parts == 1:
        return _fragments(conv.weight.detach().float()).half().contiguous()
    weight = conv.weight.detach().double() * weight_scale(conv)
    high = weight.half()
    low = (weight - high).half()
    high, low = _fragments(high), _fragments(low)
    return torch.cat([_in_turns(low, high / LOW), high]).contiguous()


def weight_scale(conv: nn.Conv2d) -> float:
    """The power of two by which a layer's weights are multiplied before they are split into two halves."""
    largest = float(conv.weight.detach().abs().max())
    if largest == 0.0:
        return 1.0
    return 2.0 ** min(_LARGEST + 1 - math.frexp(largest)[1], _MOST_DOUBLINGS)


def _in_turns(one: Tensor, other: Tensor) -> Tensor:
    """Interleave two tensors of chunks plane by plane: a plane's chunks of the first, then of the other."""
    chunks = PLANE // CHUNK
    both = torch.stack([each.reshape(-1, chunks, *each.shape[1:]) for each in (one, other)], dim=1)
    return both.flatten(0, 2)


def _fragments(weight: Tensor) -> Tensor:
    """(out, in, 3, 3) → (in/16, column of taps, row of taps, out/16, 32 lanes, 8)."""
    outputs, inputs = weight.shape[:2]
    # channel = 32·group + 8·pair + 2·tile + odd; column of the fragment = 2·pair + odd
    weight = weight.reshape(outputs // PLANE, 4, 4, 2, inputs // CHUNK, 2, 4, 2, 3, 3)
    # dimensions: group, pair, tile, odd, chunk, half of k (register), t, e, row of taps, column of taps
    weight = weight.permute(4, 9, 8, 0, 2, 1, 3, 6, 5, 7)
    # chunk, column, row, group, tile, (pair, odd) = g, t, register, e; two tiles lie together in 16 bytes
    shape = (inputs // CHUNK, 3, 3, outputs // PLANE, 2, 2, 32, 4)
    return weight.reshape(shape).transpose(5, 6).reshape(*shape[:3], outputs // CHUNK, 32, 8)


def first_weights(conv: nn.Conv2d) -> Tensor:
    """For `FirstConvolution`: float32 (in, column of taps, row of taps, out)."""
    return conv.weight.detach().float().permute(1, 3, 2, 0).contiguous()


def last_weights(conv: nn.Conv2d, parts: int) -> Tensor:
    """For `LastConvolution`: float32 (chunks, column of taps, unit of 8, row of taps, out, 8)."""
    outputs, inputs = conv.weight.shape[:2]
    weight = conv.weight.detach().float().reshape(outputs, inputs // CHUNK, 2, 8, 3, 3)
    weight = weight.permute(1, 5, 2, 4, 0, 3)
    return (weight if parts == 1 else _in_turns(weight, weight / LOW)).contiguous()


def bias_of(conv: nn.Conv2d) -> Tensor:
    """The bias, (out,) float32; zeros for a convolution without one."""
    return torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().float()


def to_planes(picture: Tensor, parts: int) -> Tensor:
    """1×C×H×W float32 → parts·C/32 × H × W × 32 float16."""
    _, channels, rows, columns = picture.shape
    planes = picture[0].reshape(channels // PLANE, PLANE, rows, columns).permute(0, 2, 3, 1)
    high = planes.half()
    if parts == 1:
        return high.contiguous()
    low = ((planes.double() - high) * LOW).half()
    return torch.stack([high, low], dim=1).flatten(0, 1).contiguous()


def from_planes(planes: Tensor, parts: int) -> Tensor:
    """The inverse of `to_planes`: float16, or float32 where `parts` is 2."""
    if parts == 2:
        planes = planes[0::2].float() + planes[1::2].float() / LOW
    count, rows, columns, _ = planes.shape
    return planes.permute(0, 3, 1, 2).reshape(1, count * PLANE, rows, columns)
