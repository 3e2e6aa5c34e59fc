"""A convolution and its leaky ReLU as one prepared function for each size, by oneDNN's graph interface.

PyTorch's own operators look up their kernel in every call, which takes 0.1 ms when the convolutions have
evicted the lookup's data from the caches: a fifth of the time of small pictures. A traced function keeps its
kernel. Weights are arguments, so all layers of a size share one function. PyTorch has deprecated tracing but
still ships it; its version is pinned, and where oneDNN fuses nothing the function runs PyTorch's own
operators.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.networks.rrdb import LEAK

MOST_FUNCTIONS = 128
"""PyTorch never frees a traced function (0.5 MB each): further sizes take the slower operator."""
_RUNS = 3
"""First calls of a new function: the first records sizes, the second fuses, the third prepares the kernel."""
_ONES = [1, 1, 1]
"""Strides and dilations."""

Function = Callable[[Tensor, Tensor, Tensor], Tensor]

_functions: dict[tuple[int, ...], Function] = {}
"""Functions by size, shared by the whole process."""


def leaky_convolution(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A 3-D convolution without padding, followed by its leaky ReLU.

    1×C×n×(rows + 2)×(W + 2), O×C×n×3×3, O → 1×O×1×rows×W; bfloat16, channels last in memory. The
    result is rounded to bfloat16 once, after the activation.
    """
    size = (*weight.shape[:3], *x.shape[3:])
    function = _functions.get(size)
    if function is None and len(_functions) < MOST_FUNCTIONS:
        function = _functions[size] = _prepared(x, weight, bias)
    return (function or _operator)(x, weight, bias)


def _operator(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(
        x, weight, bias, [0, 0, 0], _ONES, _ONES, 1, "leaky_relu", [LEAK], None
    )
    return out


def _plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.leaky_relu(F.conv3d(x, weight, bias), LEAK)


def _prepared(x: Tensor, weight: Tensor, bias: Tensor) -> Function:
    """`_plain`, traced and prepared for tensors of these sizes."""
    fusing = torch.jit.onednn_fusion_enabled()  # type: ignore[no-untyped-call]
    torch.jit.enable_onednn_fusion(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            function: Function = torch.jit.trace(  # type: ignore[no-untyped-call]
                _plain, (x, weight, bias), check_trace=False
            )
        for _ in range(_RUNS):
            function(x, weight, bias)
    finally:
        torch.jit.enable_onednn_fusion(fusing)
    return function
