"""How much memory one prediction of the container's usual size holds at most."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.support.processor import needs_bf16

LIMITS_MIB = {"bf16": 930, "fp32": 960}
"""Beside the 64 MiB that the other 21 blocks' weights take: 1 GiB in all. On a busy machine the peak
varies by 70 MiB, as threads free what they held later."""
PREDICTION = r"""
import re, sys
from pathlib import Path
import numpy as np, torch
from PIL import Image
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.pipeline.stages import process
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.upscaling.upscaler import Upscaler, UpscalerOptions

torch.manual_seed(0)
network = build_network(RRDBNetConfig(blocks=2))
for parameter in network.parameters():
    parameter.data.mul_(0.5)
upscaler = Upscaler(network, UpscalerOptions(device="cpu", precision=sys.argv[2]))
folder = sys.argv[1]
noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
Image.fromarray(noise).save(f"{folder}/in.png", compress_level=0)
request = UpscaleRequest(f"{folder}/in.png", output_format="exr", hdr_boost=2.0, fractality=1.2)
result = process(request, lambda name: upscaler, f"{folder}/out.exr")
assert (result.width, result.height) == (4096, 4096)
# Not ru_maxrss, which begins with what the parent had when it forked.
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_prediction_of_1024_squared_stays_below_a_gigabyte(tmp_path: object, precision: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PREDICTION, str(tmp_path), precision],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) / 1024 <= LIMITS_MIB[precision]
