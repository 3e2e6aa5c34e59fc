"""Run by test_driver.py: CudaKernels through the real cuda.bindings, on the driver of driver.h."""

import contextlib
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from luxscaler.inference.cuda.driver import CudaKernels
from luxscaler.inference.cuda.engine import CudaRRDBNet
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig
from tests.support.cuda_on_cpu import CpuKernels


def main(library: Path, parts: int) -> None:
    """Print whether a network gives the same there as on the kernels alone, and how far PyTorch's is."""
    torch.set_num_threads(1)
    memory = CpuKernels(library, parts)
    stand_ins = {
        "current_device": lambda: 0,
        "get_device_capability": lambda *_: (9, 0),
        "synchronize": lambda *_: None,
        "device": lambda _: contextlib.nullcontext(),
        "current_stream": lambda _: types.SimpleNamespace(cuda_stream=0),
    }
    for name, stand_in in stand_ins.items():
        setattr(torch.cuda, name, stand_in)

    class OnCpu(CudaKernels):
        """Memory of this processor; neither graphs nor events."""

        def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
            return memory.empty(shape, dtype)

        def upload(self, tensor: Tensor) -> Tensor:
            return memory.upload(tensor)

        def record(self, run: Callable[[], None]) -> Callable[[], None]:
            return run

        def seconds(self, run: Callable[[], None]) -> float | None:
            return None

    torch.manual_seed(3)
    network = RRDBNet(RRDBNetConfig(blocks=1)).eval().requires_grad_(False)
    x = torch.rand(1, 3, 12, 10)
    found = CudaRRDBNet(network, OnCpu(torch.device("cuda"), parts))(x)
    print(torch.equal(found, CudaRRDBNet(network, memory)(x)), float((found - network(x)).abs().max()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
