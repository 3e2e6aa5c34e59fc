"""kill -9 at random moments: a training that goes on ends in the same bytes."""

from pathlib import Path

import pytest

from luxscaler.training.train import train
from tests.support.killed_runs import kill_over_and_over
from tests.support.training_files import (
    Listener,
    tiny_settings,
    use_tiny_onlookers,
    write_base,
    write_pictures,
)


def a_training(name: str, folder: str, goal: str, steps: str) -> None:
    """Begin a training in a folder, or go on with the one of that name."""
    if goal == "detailed":
        use_tiny_onlookers()
    where = Path(folder)
    settings = tiny_settings(
        where / "base.safetensors", steps=int(steps), every=4, degradation="real-esrgan", goal=goal
    )
    begun = (where / f"{name}.train" / "settings.json").is_file()
    target = where / f"{name}.safetensors"
    train(where / "pictures", target, settings, Listener().events, resume=begun)


def _same_after(folder: Path, kills: int, goal: str = "faithful", steps: int = 40) -> bool:
    write_base(folder / "base.safetensors")
    write_pictures(folder / "pictures", 6)
    # Short lives, so that states, pictures and the last files are all met.
    kill_over_and_over(a_training, str(folder), goal, str(steps), kills=kills, longest=0.6)
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
