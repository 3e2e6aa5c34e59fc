"""Whether this processor and this build of PyTorch support oneDNN's operators, and bfloat16 in them."""

import torch

_OPERATORS = (
    "_convolution_pointwise",
    "_convolution_pointwise_",
    "_reorder_convolution_weight",
    "_is_mkldnn_bf16_supported",
)
"""Private operators of PyTorch that its own compiler emits; another version may lack them."""


def has_onednn() -> bool:
    """Whether PyTorch was built with oneDNN, and has the operators that its compiler emits for it."""
    available = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return available and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def has_bf16() -> bool:
    """Whether oneDNN computes in bfloat16 here.

    oneDNN itself is asked, so ONEDNN_MAX_CPU_ISA counts: x86-64 needs AVX-512 (BW, VL and DQ) or
    AVX-NE-CONVERT, and ARM its BF16 instructions. It is also true for processors with AVX-512 but without
    AVX512_BF16 (Skylake-X, Cascade Lake): there oneDNN converts to float32 and back, which is slower but
    correct. `torch.cpu._is_avx512_bf16_supported()` would tell these apart.
    """
    return has_onednn() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
