"""Work that kill -9 ends at random moments, again and again, until it is left to finish.

One process loads everything and forks a child for each run, so that a life is as short as the work itself.
The work is a function of a test module; it gets the run's name, "whole" or "killed", and its arguments.

    python -m tests.support.killed_runs MODULE:FUNCTION KILLS LONGEST RESULT [ARGUMENT...]
"""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.conftest import ROOT

Work = Callable[..., object]
_TRIES = 20
"""Lives for each death: some get to the end before they are killed."""


def kill_over_and_over(
    work: Work, *arguments: str, kills: int, longest: float, result: Path | None = None
) -> None:
    """Run `work` as "whole" to its end; then as "killed" until it has died `kills` times, and to its end.

    longest: of a life, as a multiple of what the whole run took. result: what a run leaves that was faster
    than its killer; it is removed, so that the next one begins anew. Raises AssertionError where a run fails.
    """
    name = f"{work.__module__}:{work.__name__}"
    command = [sys.executable, "-m", __name__, name, str(kills), str(longest), str(result or ""), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr


def _main(name: str, kills: int, longest: float, result: str, arguments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    module, _, function = name.partition(":")
    work: Work = getattr(importlib.import_module(module), function)
    start = time.monotonic()
    assert _forked(partial(work, "whole", *arguments)) == 0
    whole = time.monotonic() - start
    rng, deaths = random.Random(11), 0
    for _ in range(_TRIES * kills):
        if deaths == kills:
            break
        status = _forked(partial(work, "killed", *arguments), rng.uniform(0, longest * whole))
        assert status in (0, -signal.SIGKILL), status
        deaths += status != 0
        if status == 0 and result:
            Path(result).unlink()
    assert deaths == kills, deaths
    assert _forked(partial(work, "killed", *arguments)) == 0


def _forked(work: Work, seconds: float | None = None) -> int:
    """The status of a child that does the work; it is killed after so many seconds, if they are given."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:  # the child must not go on as its parent
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5:])
