"""driver.py without a card: real cuda.bindings and NVRTC above a driver that runs the emulation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from luxscaler.inference.cuda import kernel_source
from tests.conftest import ROOT
from tests.support.cuda_on_cpu import build, needs_compiler


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("parts", "most"), [(1, 1e-3), (2, 1e-6)])
def test_a_network_runs_through_the_bindings(parts: int, most: float, tmp_path: Path) -> None:
    pytest.importorskip("cuda.bindings.driver", reason="PyTorch without CUDA brings no cuda.bindings")
    library = build(tmp_path, kernel_source.body(parts), after="driver.h").rename(tmp_path / "libcuda.so.1")
    command = [sys.executable, "-m", "tests.support.cuda_on_cpu.driver_run", str(library), str(parts)]
    environment = {**os.environ, "LUXSCALER_CACHE": str(tmp_path / "cache")}
    for name, first in (("LD_LIBRARY_PATH", tmp_path), ("PYTHONPATH", ROOT)):
        environment[name] = os.pathsep.join([str(first), *filter(None, [os.environ.get(name)])])
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    same, error = done.stdout.split()
    assert same == "True"
    assert float(error) < most
