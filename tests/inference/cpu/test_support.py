"""What the processor can do is asked of oneDNN, also where its instruction set is limited from outside."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from luxscaler.inference.cpu.support import has_bf16, has_onednn
from tests.conftest import ROOT

WITH_BF16 = """
import torch
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.cpu.rrdb import Convolution
conv = Convolution(torch.nn.Conv2d(5, 7, 3).requires_grad_(False), torch.bfloat16, leaky=True)
try:
    conv(torch.randn(1, 5, 6, 9).bfloat16(), (1, 0))
    runs = True
except RuntimeError:
    runs = False
print(has_bf16(), runs)
"""


def test_without_onednn_there_is_no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_onednn()
    assert not has_bf16()


@pytest.mark.slow
@pytest.mark.skipif(not has_onednn(), reason="PyTorch without oneDNN")
@pytest.mark.parametrize(
    "limits",
    [
        {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        {"ATEN_CPU_CAPABILITY": "avx2"},
        {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        {},
    ],
    ids=str,
)
def test_the_answer_is_whether_its_operators_run(limits: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITH_BF16],
        cwd=ROOT,
        env={**os.environ, **limits},
        capture_output=True,
        text=True,
        check=True,
    )
    answer, runs = done.stdout.split()
    assert answer == runs
    if "ONEDNN_MAX_CPU_ISA" in limits and platform.machine() == "x86_64":
        assert answer == "False"
