"""The machine's own rates of matrix products and copies, measured in the same run as the networks."""

import platform
import time
from pathlib import Path

import torch

MATMUL_SIDE = {"cpu": 2048, "cuda": 8192}
COPY_BYTES = {"cpu": 2**28, "cuda": 2**31}


def describe(device: str, threads: int) -> str:
    """One line: processor or GPU, threads, PyTorch."""
    if device == "cuda":
        return f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}"
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {threads} threads, PyTorch {torch.__version__}"


def matmul_rate(device: str, dtype: torch.dtype, tries: int = 3) -> float:
    """TFLOP/s of a square matrix product, the best of some."""
    side = MATMUL_SIDE[device]
    a = torch.randn(side, side, device=device).to(dtype)
    return 2.0 * side**3 / _best(lambda: a @ a, device, tries) / 1e12


def copy_rate(device: str, tries: int = 3) -> float:
    """GB/s of a copy, bytes read and bytes written."""
    a = torch.zeros(COPY_BYTES[device] // 4, device=device)
    b = torch.zeros_like(a)
    return 2.0 * COPY_BYTES[device] / _best(lambda: b.copy_(a), device, tries) / 1e9


def _best(work, device: str, tries: int) -> float:  # type: ignore[no-untyped-def]
    seconds = []
    for _ in range(tries + 1):  # the first one warms up
        synchronize(device)
        start = time.perf_counter()
        work()
        synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def synchronize(device: str) -> None:
    """Wait until the device has finished."""
    if device == "cuda":
        torch.cuda.synchronize()
