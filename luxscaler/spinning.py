"""How long PyTorch's threads spin before they sleep, chosen before PyTorch is imported.

PyTorch computes in the threads of GNU OpenMP (libgomp), which wait for one another by spinning: 300,000
rounds where there are no more threads than processors, milliseconds each time. On a machine that has other
work, whoever spins holds the very processor that the others wait for, and a picture takes many times as long.
Where a second thread of Python uses PyTorch too, libgomp counts more threads than processors and spins for
1000 rounds only: that is why masters suffered less than single tiles.

It belongs to the process, so entry points call it (the command, the container), not modules that are
imported.
"""

import os
from collections.abc import MutableMapping

ROUNDS = "1000"
"""What libgomp itself takes where there are more threads than processors: microseconds."""
_CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def spin_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Have OpenMP's threads sleep soon, unless `environ` says how they wait. Before PyTorch's import."""
    if not any(environ.get(name) for name in _CHOICES):
        environ["GOMP_SPINCOUNT"] = ROUNDS
