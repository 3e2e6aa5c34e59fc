"""The kernels' first run on a card, in a process of its own.

A kernel that touches memory beyond its own breaks the CUDA context of its process for good: PyTorch could not
take over there. So a small network runs in a child first, through every kernel and size of tile, and only
where it comes back well are the kernels loaded for the work. It costs the start of a Python with PyTorch; to
be dropped once the kernels have a record on cards (docs/performance.md).
"""

import contextlib
import subprocess
import sys
from functools import cache

import torch

from luxscaler.inference.cuda.validate import DisagreementError, agreeing
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig

SECONDS = 60.0
"""A trial that takes longer has failed; some 6 are expected, most of them PyTorch's start."""
_PASSED = "passed"
_SIDE = 1024
"""Of the larger of two pictures that are tried: the default's largest tile, for offsets that grow with it."""


@cache
def failure(device: torch.device) -> str | None:
    """What went wrong in a trial on that device, in a line; None if nothing did. Tried once in a process."""
    # Where this process found the package, whatever folder it is in.
    code = f"import sys; sys.path[:] = {sys.path!r}; from luxscaler.inference.cuda.trial import main; main()"
    command = [sys.executable, "-c", code, str(device)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"their trial did not end within {SECONDS:.0f} s"
    except OSError as error:
        return f"their trial could not be started: {error}"
    if run.returncode == 0 and run.stdout.strip().endswith(_PASSED):
        return None
    words = (run.stderr.strip() or run.stdout.strip()).splitlines()
    return f"their trial ended with {run.returncode}: {words[-1] if words else 'without a word'}"


def main() -> None:
    """One block with PyTorch's seeded weights; an exception ends the process with its words."""
    torch.manual_seed(0)
    network = build_network(RRDBNetConfig(blocks=1)).eval().requires_grad_(False)
    assert isinstance(network, RRDBNet)  # noqa: S101 - for the type
    device = torch.device(sys.argv[1])
    engine = agreeing(network, device)
    with contextlib.suppress(torch.OutOfMemoryError):  # a smaller card, or a busy one
        out = engine(torch.full((1, 3, _SIDE, _SIDE), 0.5, device=device))
        if not bool(torch.isfinite(out).all()):
            raise DisagreementError(f"values that are not finite at {_SIDE}²")
    torch.cuda.synchronize()
    print(_PASSED)
