"""Weights in the order in which the kernels read them, and pictures in planes.

Fragments are those of `mma.m16n8k16` (PTX ISA, "Matrix Fragments for mma.m16n8k16"): of the second factor
lane 4g + t holds the rows 2t, 2t + 1, 2t + 8, 2t + 9 of column g; of the sum, the columns 2t and 2t + 1.
Columns need not be channels in their order: column n of the j-th of four tiles is channel 8·⌊n/2⌋ + 2j + (n
mod 2) of its 32, so that the sums of lane 4g + t are the channels 8t to 8t + 7, neighbours in memory.
"""

import torch
from torch import Tensor, nn

from luxscaler.inference.cuda.kernel_source import CHUNK, PLANE


def convolution_weights(conv: nn.Conv2d) -> Tensor:
    """For `Convolution`: float16 (in/16, column of taps, row of taps, out/16, 32 lanes, 8)."""
    outputs, inputs = conv.weight.shape[:2]
    weight = conv.weight.detach().float()
    # channel = 32·group + 8·pair + 2·tile + odd; column of the fragment = 2·pair + odd
    weight = weight.reshape(outputs // PLANE, 4, 4, 2, inputs // CHUNK, 2, 4, 2, 3, 3)
    # dimensions: group, pair, tile, odd, chunk, half of k (register), t, e, row of taps, column of taps
    weight = weight.permute(4, 9, 8, 0, 2, 1, 3, 6, 5, 7)
    # chunk, column, row, group, tile, (pair, odd) = g, t, register, e; two tiles lie together in 16 bytes
    shape = (inputs // CHUNK, 3, 3, outputs // PLANE, 2, 2, 32, 4)
    return (
        weight.reshape(shape).transpose(5, 6).reshape(*shape[:3], outputs // CHUNK, 32, 8).half().contiguous()
    )


def first_weights(conv: nn.Conv2d) -> Tensor:
    """For `FirstConvolution`: float32 (in, column of taps, row of taps, out)."""
    return conv.weight.detach().float().permute(1, 3, 2, 0).contiguous()


def last_weights(conv: nn.Conv2d) -> Tensor:
    """For `LastConvolution`: float32 (in/16, column of taps, unit of 8, row of taps, out, 8)."""
    outputs, inputs = conv.weight.shape[:2]
    weight = conv.weight.detach().float().reshape(outputs, inputs // CHUNK, 2, 8, 3, 3)
    return weight.permute(1, 5, 2, 4, 0, 3).contiguous()


def bias_of(conv: nn.Conv2d) -> Tensor:
    """float32 (out,)."""
    return torch.zeros(conv.out_channels) if conv.bias is None else conv.bias.detach().float()


def to_planes(picture: Tensor) -> Tensor:
    """1×C×H×W → C/32 × H × W × 32 float16."""
    _, channels, rows, columns = picture.shape
    planes = picture[0].reshape(channels // PLANE, PLANE, rows, columns).permute(0, 2, 3, 1)
    return planes.to(torch.float16).contiguous()


def from_planes(planes: Tensor) -> Tensor:
    """The inverse of `to_planes`."""
    count, rows, columns, _ = planes.shape
    return planes.permute(0, 3, 1, 2).reshape(1, count * PLANE, rows, columns)
