"""kill -9 at random moments: a training that goes on ends in the same bytes."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.training_files import write_base, write_pictures

_DRIVER = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
from pathlib import Path
from luxscaler.training.train import train
from tests.support.training_files import Listener, tiny_settings, use_tiny_onlookers

folder, kills, goal = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if goal == "detailed":
    use_tiny_onlookers()
settings = tiny_settings(
    folder / "base.safetensors", steps=int(sys.argv[4]), every=4, degradation="real-esrgan", goal=goal
)

def forked(name, seconds):
    child = os.fork()
    if child == 0:
        try:
            target = folder / f"{name}.safetensors"
            begun = (folder / f"{name}.train" / "settings.json").is_file()
            train(folder / "pictures", target, settings, Listener().events, resume=begun)
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

start = time.monotonic()
assert forked("whole", None) == 0
whole = time.monotonic() - start
rng, deaths = random.Random(11), 0
for attempt in range(20 * kills):
    if deaths == kills:
        break
    # Short lives, so that states, pictures and the last files are all met.
    status = forked("killed", rng.uniform(0, 0.6 * whole))
    assert status in (0, -signal.SIGKILL), status
    deaths += status == -signal.SIGKILL
assert deaths == kills, deaths
assert forked("killed", None) == 0
"""


def _same_after(folder: Path, kills: int, goal: str = "faithful", steps: int = 40) -> bool:
    write_base(folder / "base.safetensors")
    write_pictures(folder / "pictures", 6)
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, str(folder), str(kills), goal, str(steps)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = ("safetensors", "adapter.safetensors")
    return all(
        (folder / f"killed.{name}").read_bytes() == (folder / f"whole.{name}").read_bytes() for name in names
    )


@pytest.mark.slow
def test_a_few_kills(tmp_path: Path) -> None:
    assert _same_after(tmp_path, 5, steps=20)


@pytest.mark.slow
@pytest.mark.long
def test_fifty_kills(tmp_path: Path) -> None:
    assert _same_after(tmp_path, 50)


@pytest.mark.slow
@pytest.mark.long
def test_kills_with_an_adversary(tmp_path: Path) -> None:
    assert _same_after(tmp_path, 20, "detailed")
