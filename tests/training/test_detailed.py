"""`--goal detailed` from end to end: what it chooses, what it needs, going on to the same bytes."""

from pathlib import Path
from typing import Any

import pytest

from luxscaler.errors import InputError, StoppedError, TrainingError, WeightsError
from luxscaler.training import onlookers as looking
from luxscaler.training.prepare import prepared
from luxscaler.training.record import lines_of
from luxscaler.training.result import lines
from luxscaler.training.settings import TrainingSettings
from luxscaler.training.train import train
from luxscaler.training.validation import Scores, gain_text, is_better, rank
from luxscaler.weights.feature_networks import HED_NAME, JUDGE_NAME, VGG19_NAME
from tests.support.training_files import Listener, tiny_settings


def _detailed(base: Path, **changes: Any) -> TrainingSettings:
    return tiny_settings(base, **{"goal": "detailed", "steps": 5, **changes})


def _bytes(pictures: Path, out: Path, settings: TrainingSettings, **options: Any) -> bytes:
    train(pictures, out, settings, Listener().events, **options)
    return out.read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("onlookers")
def test_a_detailed_training_is_chosen_by_the_judge(pictures: Path, rrdb: Path, tmp_path: Path) -> None:
    listener = Listener()
    made = train(pictures, tmp_path / "out.safetensors", _detailed(rrdb), listener.events)
    assert f"features for the loss: {VGG19_NAME}" in listener.said
    trained = made.trained
    assert trained.best_scores is not None
    assert trained.best_scores.mean("judge") <= 0.99 * trained.base_scores.mean("judge")
    judged = {entry["step"]: entry["mean"]["judge"] for entry in trained.position.history}
    assert trained.position.best_step == min(judged, key=lambda step: judged[step])
    assert "judge" in trained.cubic_scores.means()
    steps = [line for line in lines_of(made.folder) if "loss" in line]
    assert "adversary" not in steps[0]  # it only learns
    assert all("adversary" in line for line in steps[1:])
    for line in steps:
        parts = line["faithful"] + line["features"] + line.get("adversary", 0.0)
        assert line["loss"] == pytest.approx(parts)
        assert line["discriminator"] > 0
    assert any("judge" in line for line in lines(trained))
    assert f"features: {VGG19_NAME}; chosen by the judge" in (made.folder / "card.md").read_text()
    assert "% of the judge" in (made.folder / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("onlookers")
@pytest.mark.parametrize(("method", "stop"), [("lora", 2), pytest.param("full", 4, marks=pytest.mark.slow)])
def test_stopped_and_resumed_is_the_same_to_the_bit(
    pictures: Path, rrdb: Path, tmp_path: Path, method: str, stop: int
) -> None:
    settings = _detailed(rrdb, method=method, degradation="real-esrgan", lr=2e-2)
    whole = _bytes(pictures, tmp_path / "whole.safetensors", settings)
    out = tmp_path / "out.safetensors"
    with pytest.raises(StoppedError):
        train(pictures, out, settings, Listener(stop).events)
    assert _bytes(pictures, out, settings, resume=True) == whole
    states = [(tmp_path / f"{name}.train" / "state.safetensors").read_bytes() for name in ("out", "whole")]
    assert states[0] == states[1]
    assert b"adversary/now/conv1.u" in states[0]


def _scores(psnr: float, judge: float) -> Scores:
    return Scores({"p": {"psnr": psnr, "judge": judge}})


def test_better_is_nearer_for_the_judge_at_little_cost() -> None:
    base = _scores(25.0, 0.5)
    for psnr, judge, expected in (
        (25.0, 0.494, True),
        (25.0, 0.496, False),  # not by 1 %
        (24.6, 0.4, True),
        (24.4, 0.4, False),  # costs too much
        (26.0, 0.5, False),  # PSNR alone does not count
    ):
        assert is_better(_scores(psnr, judge), base, "detailed") is expected
    assert is_better(_scores(26.0, 0.9), base, "faithful")
    assert not is_better(_scores(25.0, 0.1), base, "faithful")
    assert rank({"psnr": 1.0, "judge": 0.2}, "detailed") > rank({"psnr": 9.0, "judge": 0.3}, "detailed")
    assert rank({"psnr": 1.0, "judge": 0.2}, "faithful") < rank({"psnr": 9.0, "judge": 0.3}, "faithful")
    text = gain_text({"psnr": 24.5, "judge": 0.4}, {"psnr": 25.0, "judge": 0.5}, "detailed")
    assert text == "-20.0 % of the judge's distance, -0.50 dB"


@pytest.mark.slow
@pytest.mark.usefixtures("onlookers")
def test_what_the_judge_finds_no_better_is_not_delivered(pictures: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(TrainingError, match=r"better than its base: the judge's distance is \d\.\d+ at best"):
        train(pictures, out, _detailed(base, lr=1e-8), Listener().events)
    assert not out.exists()


def test_what_is_needed_and_absent_is_one_line(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.safetensors"
    there: set[str] = set()
    monkeypatch.setattr(looking, "is_there", lambda name, _: name in there)
    with pytest.raises(WeightsError, match=r"needs a feature network, and .* holds none: .*fetch vgg16-hed"):
        train(pictures, out, _detailed(base), Listener().events)
    with pytest.raises(WeightsError, match=r"weights 'vgg19' are not in .*weights fetch vgg19"):
        train(pictures, tmp_path / "b.safetensors", _detailed(base, features=VGG19_NAME), Listener().events)
    there.add(HED_NAME)
    monkeypatch.setattr(looking, "load_features", lambda *_: None)
    with pytest.raises(WeightsError, match=r"chooses by the judge: weights 'judge' are not in"):
        train(pictures, tmp_path / "c.safetensors", _detailed(base), Listener().events)
    with pytest.raises(InputError, match="features is 'vgg19', which only the goal detailed uses"):
        tiny_settings(base, features=VGG19_NAME)


@pytest.mark.slow
def test_without_a_judge_a_faithful_training_says_so(pictures: Path, base: Path, tmp_path: Path) -> None:
    listener = Listener()
    made = train(pictures, tmp_path / "out.safetensors", tiny_settings(base), listener.events)
    said = [line for line in listener.said if "judge" in line]
    assert len(said) == 1
    assert said[0].startswith("the judge's distance is not measured: weights 'judge' are not in")
    assert "judge" not in made.trained.base_scores.means()


@pytest.mark.slow
def test_going_on_uses_the_networks_it_began_with(
    pictures: Path, base: Path, tmp_path: Path, onlookers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {HED_NAME, JUDGE_NAME}
    monkeypatch.setattr(looking, "is_there", lambda name, _: name in there)
    out = tmp_path / "out.safetensors"
    with pytest.raises(StoppedError):
        train(pictures, out, _detailed(base), Listener(2).events)
    there.add(VGG19_NAME)
    listener = Listener()
    with prepared(_detailed(base), pictures, out, listener.events, resume=True) as job:
        assert job.onlookers.used == {"features": HED_NAME, "judge": "here"}
    assert f"features for the loss: {HED_NAME}" in listener.said
    # And one that began without a judge goes on without it.
    there.clear()
    other = tmp_path / "other.safetensors"
    with pytest.raises(StoppedError):
        train(pictures, other, tiny_settings(base), Listener(2).events)
    there.add(JUDGE_NAME)
    with prepared(tiny_settings(base), pictures, other, Listener().events, resume=True) as job:
        assert job.onlookers.judge is None
