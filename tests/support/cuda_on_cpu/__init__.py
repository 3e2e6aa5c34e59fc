"""The CUDA kernels on a processor: the same sources, compiled by g++ behind functions that do what PTX does.

Threads are fibers; shared memory is filled with NaN before each block and checked for bounds, order and
banks; copies are performed when they are waited for and not sooner; global memory is checked against the
tensors that were made here. It is slow, exact, and names the error.
"""

import ctypes
import platform
import shutil
import subprocess
import weakref
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from torch import Tensor

from luxscaler.inference.cuda import kernel_source
from luxscaler.inference.cuda.abi import KernelArguments

HERE = Path(__file__).parent
ALL_BITS = 24
"""Guard bits with which only results are cut off, always in one sense: real networks lose the most by it."""
_MISSING = (
    "no g++"
    if shutil.which("g++") is None
    else "fibers.h is for x86-64"
    if platform.machine() != "x86_64"
    else ""
)
needs_compiler = pytest.mark.skipif(bool(_MISSING), reason=_MISSING)


class KernelError(Exception):
    """What a card might not have noticed."""


def build(folder: Path, body: str, *, optimised: bool = True, after: str = "exports.h") -> Path:
    """The shared library with the kernels; `body`: their sources, kernel_source.body's."""
    text = "\n".join([f'#include "{HERE / "machine.h"}"', body, f'#include "{HERE / after}"', ""])
    source, library = folder / "kernels.cpp", folder / "kernels.so"
    source.write_text(text, encoding="utf-8")
    # Without -fno-gnu-unique a second library would run the kernels of the first.
    options = [
        "-O2" if optimised else "-O0",
        "-march=native",
        "-std=c++17",
        "-shared",
        "-fPIC",
        "-fno-gnu-unique",
        "-Wall",
        "-Wno-unknown-pragmas",
    ]
    subprocess.run(["g++", *options, "-o", str(library), str(source)], check=True)
    return library


def build_key(parts: int) -> str:
    """A name for what `build` makes here of a program, of the sources, the compiler and the processor."""
    compiler = subprocess.run(["g++", "--version"], capture_output=True, check=True).stdout
    cpuinfo = Path("/proc/cpuinfo")
    flags = [line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")][:1]
    sources = [path.read_bytes() for path in (*sorted(HERE.glob("*.h")), Path(__file__))]
    body = kernel_source.body(parts).encode()
    about = [compiler, "".join(flags).encode(), body, str(HERE).encode(), *sources]
    return sha256(b"\0".join(about)).hexdigest()[:32]


class CpuKernels:
    """`Kernels` on this processor. `times`: what `seconds` says of each kernel; nothing if empty.

    guard_bits: sums of products are rounded toward zero as tensor cores do, products aligned with as many
    bits beyond float32's; None: once and to nearest.
    """

    def __init__(self, library: Path, parts: int = 1, *, guard_bits: int | None = None) -> None:
        self.parts = parts
        self._library = ctypes.CDLL(str(library))
        self._guard_bits = -1 if guard_bits is None else guard_bits
        self._library.launch.restype = ctypes.c_char_p
        self._library.bank_conflicts.restype = ctypes.c_long
        self._library.add_memory.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        self._library.drop_memory.argtypes = [ctypes.c_size_t]
        self.launched: list[str] = []
        self.times: dict[str, float] = {}

    @property
    def bank_conflicts(self) -> int:
        """Of ldmatrix, so far."""
        return int(self._library.bank_conflicts())

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return self._known(torch.full(shape, float("nan"), dtype=dtype))

    def upload(self, tensor: Tensor) -> Tensor:
        return self._known(tensor.clone(memory_format=torch.contiguous_format))

    def _known(self, tensor: Tensor) -> Tensor:
        self._library.add_memory(tensor.data_ptr(), tensor.nbytes)
        weakref.finalize(tensor.untyped_storage(), self._library.drop_memory, tensor.data_ptr())
        return tensor

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, shared: int, arguments: KernelArguments
    ) -> None:
        self.launched.append(name)
        self._library.set_guard_bits(self._guard_bits)
        error = self._library.launch(name.encode(), *grid, threads, shared, ctypes.byref(arguments))
        if error is not None:
            raise KernelError(f"{name}: {error.decode()}")

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        return run

    def seconds(self, run: Callable[[], None]) -> float | None:
        if not self.times:
            return None
        run()
        return self.times.get(self.launched[-1], 1.0)
