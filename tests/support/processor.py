"""What tests ask of the processor: a mark that skips where bfloat16 is missing, and says so."""

import pytest
import torch

from luxscaler.inference.cpu.support import has_bf16

needs_bf16 = pytest.mark.skipif(not has_bf16(), reason="oneDNN computes no bfloat16 on this processor")
DTYPES = (torch.float32, pytest.param(torch.bfloat16, marks=needs_bf16))
"""Parameters: the types in which networks run on a CPU."""
