"""A CUDA device: compiles the kernels with NVRTC, launches them on PyTorch's stream, records CUDA graphs.

The only module that calls CUDA. NVRTC and the driver are called through cuda.bindings; both cuda.bindings and
NVRTC are dependencies of PyTorch's CUDA wheels, so no toolkit and no compiler have to be installed.
"""

import ctypes
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from luxscaler.inference.cuda import kept, kernel_source
from luxscaler.inference.cuda.abi import KernelArguments

FREE_SHARED = 48 * 1024
"""Bytes of shared memory that a kernel may use without setting an attribute (CUDA programming guide)."""
TIMED = 3
"""Timed runs, of which the shortest counts."""


class CompileError(RuntimeError):
    """The program could not be compiled, loaded or started."""


class CudaKernels:
    """`Kernels` on a CUDA device of compute capability 8.0 or above. Raises CompileError if they do not
    run."""

    def __init__(self, device: torch.device, parts: int) -> None:
        from cuda.bindings import driver  # noqa: PLC0415 - only machines with a card have it

        self.parts = parts
        self._driver = driver
        self._device = torch.device(
            "cuda", torch.cuda.current_device() if device.index is None else device.index
        )
        major, minor = torch.cuda.get_device_capability(self._device)
        binary = machine_code(kernel_source.source(parts), f"sm_{major}{minor}")
        with torch.cuda.device(self._device):
            torch.cuda.synchronize()  # makes PyTorch create the context
            self._module = _checked(driver.cuModuleLoadData(binary))
            self._functions = {name: self._function(name, shared) for name, shared in _shared_bytes().items()}

    def _function(self, name: str, shared: int) -> Any:
        function = _checked(self._driver.cuModuleGetFunction(self._module, name.encode()))
        if shared > FREE_SHARED:
            most = self._driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            _checked(self._driver.cuFuncSetAttribute(function, most, shared))
        return function

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Uninitialised memory of the device. Raises torch.OutOfMemoryError."""
        return torch.empty(shape, dtype=dtype, device=self._device)

    def upload(self, tensor: Tensor) -> Tensor:
        """A contiguous copy on the device."""
        return tensor.to(self._device, copy=True).contiguous()

    def launch(
        self, name: str, grid: tuple[int, int], threads: int, shared: int, arguments: KernelArguments
    ) -> None:
        """Start a kernel on the current stream; the device must be the current one."""
        stream = torch.cuda.current_stream(self._device).cuda_stream
        parameters = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        where = ctypes.addressof(parameters)
        _checked(
            self._driver.cuLaunchKernel(
                self._functions[name],
                *grid,
                1,
                threads,
                1,
                1,
                shared,
                self._driver.CUstream(stream),
                where,
                0,
            )
        )

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that repeats the launches of `run` as a CUDA graph.

        For a small picture, launching the kernels one by one takes longer than running them.
        """
        with torch.cuda.device(self._device):
            run()  # kernels are loaded at their first run, which a recording must not contain
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                run()

        def replay() -> None:
            with torch.cuda.device(self._device):
                graph.replay()

        return replay

    def seconds(self, run: Callable[[], None]) -> float | None:
        """Seconds of the shortest of TIMED runs, by CUDA events."""
        times: list[float] = []
        with torch.cuda.device(self._device):
            run()
            for _ in range(TIMED):
                start = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                end = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                start.record()
                run()
                end.record()
                end.synchronize()
                times.append(start.elapsed_time(end) / 1e3)
        return min(times)


def _shared_bytes() -> dict[str, int]:
    """Bytes of shared memory that a block takes, by kernel."""
    ends = {"first_convolution": 0, "last_convolution": kernel_source.LAST_SHARED}
    return ends | {shape.name: shape.shared for shape in kernel_source.BLOCK_SHAPES}


def machine_code(source: str, architecture: str) -> bytes:
    """The result of `compiled`, from the cache on disk if it is there. Raises CompileError."""
    from cuda.bindings import nvrtc  # noqa: PLC0415

    error, *version = nvrtc.nvrtcVersion()
    _checked((error,))
    digest = sha256(f"{architecture} {version}\n{source}".encode()).hexdigest()
    return kept.remembered(f"kernels-{digest}", lambda: compiled(source, architecture))


def compiled(source: str, architecture: str) -> bytes:
    """CUDA C++ → machine code (cubin) for an architecture, e.g. sm_90. Raises CompileError with NVRTC's
    log."""
    from cuda.bindings import nvrtc  # noqa: PLC0415

    text = _checked(nvrtc.nvrtcCreateProgram(source.encode(), b"luxscaler.cu", 0, [], []))
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17"]
    (result,) = nvrtc.nvrtcCompileProgram(text, len(options), options)
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        words = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(text))
        _checked(nvrtc.nvrtcGetProgramLog(text, words))
        raise CompileError(f"NVRTC for {architecture}: {words.decode(errors='replace').strip()}")
    binary: bytes = b" " * _checked(nvrtc.nvrtcGetCUBINSize(text))
    _checked(nvrtc.nvrtcGetCUBIN(text, binary))
    nvrtc.nvrtcDestroyProgram(text)
    return binary


def _checked(answer: tuple[Any, ...]) -> Any:
    """The value, if any, of a call of cuda.bindings: (error, value). Raises CompileError for an error."""
    error, *values = answer
    if error.name == "CUDA_ERROR_OUT_OF_MEMORY":
        raise torch.OutOfMemoryError("CUDA out of memory")
    if int(error) != 0:
        raise CompileError(f"{error.name} ({int(error)})")
    return values[0] if values else None
