"""The kernels' first run on a card, in a process of its own.

A kernel that accesses memory out of bounds breaks the CUDA context of its process for good, so PyTorch could
not take over there. Therefore a small network runs in a child process first, through every kernel and block
shape, once for float16 and once for float32; only if that succeeds are the kernels loaded here. Starting
Python with PyTorch takes seconds, so a passed trial is remembered on disk (kept.py) for the same card,
driver, PyTorch and kernels. A failed trial is repeated at the next start: the card may just have been full.
"""

import contextlib
import subprocess
import sys
from functools import cache

import torch

from luxscaler.inference.cuda import kept
from luxscaler.inference.cuda.validate import ValidationError, validated
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet, RRDBNetConfig

SECONDS = 60.0
"""Seconds after which a trial has failed; about 6 are usual, most of them for importing PyTorch."""
_PASSED = "passed"
_SIDE = 1024
"""Side of the larger of two pictures: the default of UpscalerOptions.tile, as offsets grow with the size."""


@cache
def trial_error(device: torch.device, parts: int) -> str | None:
    """The error of a trial on that device, in one line; None if it passed, now or earlier.

    parts: the number of halves that store a number, 1 or 2.
    """
    about = kept.identity(device)
    if about is None:
        return _tried(device, parts)
    name = f"trial-{about}-{parts}"
    if kept.recall(name) == _PASSED.encode():
        return None
    error = _tried(device, parts)
    if error is None:
        kept.keep(name, _PASSED.encode())
    return error


def _tried(device: torch.device, parts: int) -> str | None:
    # The child imports the package from where this process did.
    code = f"import sys; sys.path[:] = {sys.path!r}; from luxscaler.inference.cuda.trial import main; main()"
    command = [sys.executable, "-c", code, str(device), str(parts)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"their trial did not end within {SECONDS:.0f} s"
    except OSError as error:
        return f"their trial could not be started: {error}"
    if run.returncode == 0 and run.stdout.strip().endswith(_PASSED):
        return None
    words = (run.stderr.strip() or run.stdout.strip()).splitlines()
    return f"their trial ended with {run.returncode}: {words[-1] if words else 'no message'}"


def main() -> None:
    """The child process: one block with seeded weights, at two sizes. Errors end it, with their text on
    stderr."""
    torch.manual_seed(0)
    network = build_network(RRDBNetConfig(blocks=1)).eval().requires_grad_(False)
    assert isinstance(network, RRDBNet)  # noqa: S101 - for the type
    device = torch.device(sys.argv[1])
    engine = validated(network, device, int(sys.argv[2]))
    with contextlib.suppress(torch.OutOfMemoryError):  # a smaller card, or a busy one
        out = engine(torch.full((1, 3, _SIDE, _SIDE), 0.5, device=device))
        if not bool(torch.isfinite(out).all()):
            raise ValidationError(f"values that are not finite at {_SIDE}²")
    torch.cuda.synchronize()
    print(_PASSED)
