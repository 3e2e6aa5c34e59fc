"""What TensorBoard gets: every figure, the samples, and nothing twice after going on."""

import builtins
import struct
from pathlib import Path
from typing import Any

import pytest

from luxscaler.errors import InputError, StoppedError
from luxscaler.training.record import lines_of
from luxscaler.training.train import train
from tests.support.training_files import Listener, tiny_settings


def _events(path: Path) -> list[Any]:
    from tensorboardX.proto.event_pb2 import Event

    data, place, found = path.read_bytes(), 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        found.append(Event.FromString(data[place + 12 : place + 12 + length]))
        place += 16 + length
    return found


def _values(events: list[Any]) -> dict[tuple[str, int], Any]:
    return {(value.tag, event.step): value for event in events for value in event.summary.value}


@pytest.mark.slow
def test_figures_and_samples(pictures: Path, base: Path, tmp_path: Path) -> None:
    out, settings = tmp_path / "out.safetensors", tiny_settings(base, tensorboard=True)
    with pytest.raises(StoppedError):
        train(pictures, out, settings, Listener(4).events)
    made = train(pictures, out, settings, Listener().events, resume=True)
    first, second = (_events(path) for path in sorted((made.folder / "tensorboard").iterdir()))
    assert [event.step for event in second if event.HasField("session_log")] == [5]
    values = _values(first) | _values(second)
    logged = lines_of(made.folder)
    for line in logged:
        for name, number in (line.get("validation") or {"loss": line.get("loss")}).items():
            tag = f"{'validation' if 'validation' in line else 'step'}/{name}"
            assert values[tag, line["step"]].simple_value == pytest.approx(number)
    samples = [step for tag, step in values if tag == "samples"]
    assert samples == [3, 6]
    assert values["samples", 3].image.encoded_image_string.startswith(b"\x89PNG")


@pytest.mark.slow
def test_it_may_be_turned_on_later(pictures: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    made = train(pictures, out, tiny_settings(base), Listener().events)
    assert not (made.folder / "tensorboard").exists()
    train(pictures, out, tiny_settings(base, steps=9, tensorboard=True), Listener().events, resume=True)
    (path,) = (made.folder / "tensorboard").iterdir()
    assert ("step/loss", 9) in _values(_events(path))


def test_without_the_package_it_is_one_line(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name.startswith("tensorboardX"):
            raise ModuleNotFoundError(name)
        return true(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InputError, match=r"needs the package tensorboardX: pip install 'luxscaler\[train\]'"):
        train(
            pictures,
            tmp_path / "o.safetensors",
            tiny_settings(base, tensorboard=True),
            Listener().events,
        )
