"""RRDBNet in PyTorch with the roundings of the kernels: float16 between layers, float32 within them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.networks.rrdb import LEAK, RESIDUAL_SCALE, RRDB, ResidualDenseBlock, RRDBNet


def half(x: Tensor) -> Tensor:
    """Rounded to float16, kept as float32."""
    return x.half().float()


def blocks(network: RRDBNet) -> list[tuple[ResidualDenseBlock, ...]]:
    """The dense blocks of each RRDB."""
    found = [block for block in network.body if isinstance(block, RRDB)]
    return [(block.rdb1, block.rdb2, block.rdb3) for block in found]


def _convolution(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, half(conv.weight), conv.bias, padding=1)


def _leaky(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return half(F.leaky_relu(_convolution(conv, x), LEAK))


def rounded(network: RRDBNet, x: Tensor) -> Tensor:
    """`network(x)`; the first and the last convolution have float32 weights, as the kernels' have."""
    x = F.pixel_unshuffle(x, network.config.unshuffle) if network.config.unshuffle > 1 else x
    first = y = half(network.conv_first(x))
    conv: nn.Conv2d
    for block in blocks(network):
        root = y
        for dense in block:
            seen = [y]
            for conv in (dense.conv1, dense.conv2, dense.conv3, dense.conv4):
                seen.append(_leaky(conv, torch.cat(seen, 1)))
            result = y + RESIDUAL_SCALE * _convolution(dense.conv5, torch.cat(seen, 1))
            y = half(result if dense is not block[-1] else root + RESIDUAL_SCALE * result)
    features = half(first + _convolution(network.conv_body, y))
    for conv in network.enlarging:
        features = _leaky(conv, F.interpolate(features, scale_factor=2.0, mode="nearest"))
    last: Tensor = network.conv_last(_leaky(network.conv_hr, features))
    return last


def assert_rounded(found: Tensor, exact: Tensor) -> None:
    """Within a rounding to float16 of the exact result (one and a half, where two of them meet)."""
    bound = exact.abs().clamp(min=2.0**-6) * 2.0**-11 * 1.5
    assert bool(((found.double() - exact).abs() <= bound).all())
