"""The CUDA program compiled for every kind of card in use, as far as that needs no card: nvcc or NVRTC."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from luxscaler.inference.cuda import kernel_source
from luxscaler.inference.cuda.driver import CompileError, compiled
from luxscaler.inference.cuda.kernel_source import BLOCK_SHAPES

ARCHITECTURES = ("sm_80", "sm_86", "sm_89", "sm_90")
"""A100; A40 and A10; L40S and L4; H100."""
PROGRAMS = [*((1, name) for name in ARCHITECTURES), (2, "sm_80"), (2, "sm_90")]
"""Halves of a number, architecture."""
SHARED_OF_BLOCK = {"sm_80": 163, "sm_86": 99, "sm_89": 99, "sm_90": 227}
"""KiB that a block may have (CUDA programming guide, table of technical specifications)."""
REGISTERS = 65536
"""Of a multiprocessor."""


@dataclass(frozen=True)
class Used:
    """What ptxas says of a kernel."""

    registers: int
    spilled: int


def ptxas(parts: int, architecture: str, folder: Path) -> dict[str, Used]:
    """By the kernel's name."""
    source = folder / "luxscaler.cu"
    source.write_text(kernel_source.source(parts), encoding="utf-8")
    options = [f"-arch={architecture}", "-cubin", "-std=c++17", "-Xptxas", "-v", "-Werror", "all-warnings"]
    command = ["nvcc", *options, "-o", str(folder / "luxscaler.cubin"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for part in (done.stdout + done.stderr).split("Compiling entry function")[1:]:
        name = re.search(r"'(\w+)'", part)
        spilled, registers = (
            re.search(r"(\d+) bytes spill stores", part),
            re.search(r"Used (\d+) registers", part),
        )
        assert name is not None
        assert spilled is not None
        assert registers is not None
        found[name[1]] = Used(int(registers[1]), int(spilled[1]))
    return found


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
@pytest.mark.parametrize(("parts", "architecture"), PROGRAMS)
def test_nothing_is_spilled_and_the_registers_suffice(parts: int, architecture: str, tmp_path: Path) -> None:
    found = ptxas(parts, architecture, tmp_path)
    assert set(found) == {"first_convolution", "last_convolution", *(shape.name for shape in BLOCK_SHAPES)}
    assert all(used.spilled == 0 for used in found.values()), found
    for shape in BLOCK_SHAPES:
        # Registers are given out 8 at a time to each thread.
        registers = -(-found[shape.name].registers // 8) * 8 * shape.threads
        assert registers * shape.blocks <= REGISTERS, shape


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_blocks_fit_into_shared_memory(architecture: str) -> None:
    for shape in BLOCK_SHAPES:
        assert shape.shared <= SHARED_OF_BLOCK[architecture] * 1024, shape


@pytest.mark.slow
@pytest.mark.parametrize(("parts", "architecture"), PROGRAMS)
def test_nvrtc_takes_the_same_source(parts: int, architecture: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="PyTorch without CUDA brings no NVRTC")
    assert compiled(kernel_source.source(parts), architecture)[:4] == b"\x7fELF"


def test_what_nvrtc_refuses_is_told() -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="PyTorch without CUDA brings no NVRTC")
    with pytest.raises(CompileError, match=r"NVRTC for sm_90: .*error"):
        compiled("__global__ void broken() { nonsense; }", "sm_90")


def test_the_block_shapes_are_those_that_the_plan_needs() -> None:
    assert {(shape.outputs, shape.shift) for shape in BLOCK_SHAPES} == {(32, 0), (64, 0), (64, 1)}
    assert len({shape.name for shape in BLOCK_SHAPES}) == len(BLOCK_SHAPES)
    assert all(len(kernel_source.candidates(*kind)) > 1 for kind in ((32, 0), (64, 0), (64, 1)))
    assert all(shape.threads <= 1024 and shape.threads % 32 == 0 for shape in BLOCK_SHAPES)
