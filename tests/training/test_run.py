"""The course of a training: the best counts, trouble is met, going on changes no bit."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from luxscaler.errors import InputError, StoppedError, TrainingError, WeightsError
from luxscaler.training import validator
from luxscaler.training.learner import Learner, Means, learning_rate
from luxscaler.training.prepare import prepared
from luxscaler.training.record import lines_of
from luxscaler.training.run import Run
from luxscaler.training.train import train
from luxscaler.training.validation import scores_of
from luxscaler.weights.namings import StateDict
from luxscaler.weights.store import load_network
from tests.support.training_files import Listener, picture, tiny_settings


@pytest.mark.sample(1)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_training_makes_a_better_network_that_loads(
    pictures: Path, rrdb: Path, tmp_path: Path, method: str
) -> None:
    base, listener = rrdb, Listener()
    out = tmp_path / "out.safetensors"
    made = train(pictures, out, tiny_settings(base, method=method), listener.events)
    trained = made.trained
    assert trained.best_scores is not None
    assert trained.best_scores.mean("psnr") > trained.base_scores.mean("psnr") + 0.01
    network, before = load_network(out), load_network(base)
    assert network.config == before.config
    assert network.module.state_dict().keys() == before.module.state_dict().keys()
    assert listener.steps == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines_of(made.folder) if "loss" in line] == [1, 2, 3, 4, 5, 6]
    assert {path.name for path in (made.folder / "samples").iterdir()} == {"0000003.png", "0000006.png"}
    with Image.open(made.folder / "samples" / "0000006.png") as sheet:
        assert sheet.width > 1000
    if method == "full":
        assert made.adapter is None
    else:
        assert made.adapter is not None
        adapted = load_network(f"{base}+{made.adapter}")
        states = network.module.state_dict(), adapted.module.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.slow
def test_what_is_not_better_than_the_base_is_not_delivered(
    pictures: Path, base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(TrainingError, match=r"no network of this training is better than its base"):
        train(pictures, out, tiny_settings(base, lr=1e-8), Listener().events)
    assert not out.exists()
    assert "No network of this training is better" in (tmp_path / "out.train" / "report.html").read_text()


def _bytes(pictures: Path, out: Path, settings: Any, **options: Any) -> bytes:
    train(pictures, out, settings, Listener().events, **options)
    return out.read_bytes()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("network", "method", "stop"),
    [
        ("base", "lora", 6),
        ("rrdb", "lora", 1),
        ("base", "full", 4),
        pytest.param("rrdb", "full", 1, marks=pytest.mark.slow),
        pytest.param("rrdb", "lora", 4, marks=pytest.mark.slow),
        pytest.param("rrdb", "full", 6, marks=pytest.mark.slow),
    ],
)
def test_stopped_and_resumed_is_the_same_to_the_bit(
    request: pytest.FixtureRequest, pictures: Path, tmp_path: Path, network: str, method: str, stop: int
) -> None:
    base = request.getfixturevalue(network)
    settings = tiny_settings(base, method=method, steps=7, degradation="real-esrgan", lr=2e-2)
    whole = _bytes(pictures, tmp_path / "whole.safetensors", settings)
    out = tmp_path / "out.safetensors"
    with pytest.raises(StoppedError, match=rf"stopped after step {stop}; .*--resume"):
        train(pictures, out, settings, Listener(stop).events)
    assert not out.exists()
    assert _bytes(pictures, out, settings, resume=True) == whole
    steps = [line["step"] for line in lines_of(tmp_path / "out.train") if "loss" in line]
    assert steps == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.slow
def test_more_steps_go_on_and_fewer_are_refused(pictures: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    first = _bytes(pictures, out, tiny_settings(base))
    assert _bytes(pictures, out, tiny_settings(base), resume=True) == first
    assert _bytes(pictures, out, tiny_settings(base, steps=12), resume=True) != first
    with pytest.raises(TrainingError, match="steps is 6, and 12 are done"):
        _bytes(pictures, out, tiny_settings(base), resume=True)


def test_what_must_not_change_is_refused_by_name(pictures: Path, base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    with pytest.raises(TrainingError, match="nothing to resume"):
        _bytes(pictures, out, tiny_settings(base), resume=True)
    with pytest.raises(StoppedError):
        train(pictures, out, tiny_settings(base), Listener(1).events)
    with pytest.raises(TrainingError, match="go on with --resume, or remove"):
        _bytes(pictures, out, tiny_settings(base))
    with pytest.raises(TrainingError, match="begun with batch 2, and now it is 3"):
        _bytes(pictures, out, tiny_settings(base, batch=3), resume=True)
    picture(99).save(pictures / "p3.png")
    with pytest.raises(TrainingError, match=r"^p3\.png has changed"):
        _bytes(pictures, out, tiny_settings(base), resume=True)
    picture(3).save(pictures / "p3.png")
    picture(98).save(pictures / "new.png")
    with pytest.raises(TrainingError, match=r"^new\.png is new"):
        _bytes(pictures, out, tiny_settings(base), resume=True)
    (pictures / "new.png").unlink()
    (pictures / "p1.png").unlink()
    with pytest.raises(TrainingError, match=r"^p1\.png is gone"):
        _bytes(pictures, out, tiny_settings(base), resume=True)


def test_wrong_targets_and_bases_are_one_line(pictures: Path, base: Path, tmp_path: Path) -> None:
    for out, message in (
        (tmp_path / "out.pth", "suffix must be .safetensors"),
        (tmp_path / "absent" / "out.safetensors", "there is no folder"),
        (base, "is the base"),
    ):
        with pytest.raises(InputError, match=message):
            train(pictures, out, tiny_settings(base), Listener().events)
    with pytest.raises(WeightsError, match="no weights called 'nothing'"):
        train(pictures, tmp_path / "o.safetensors", tiny_settings(Path("nothing")), Listener().events)
    assert not list(tmp_path.glob("*.train"))


def test_a_training_that_never_began_leaves_nothing(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, folder, before = tmp_path / "o.safetensors", tmp_path / "o.train", set(tmp_path.iterdir())
    stopped = Listener()
    stopped.stop.set()
    with pytest.raises(StoppedError, match="nothing was learned"):
        train(pictures, out, tiny_settings(base), stopped.events)
    for changes in ({"crop": 64}, {"pairs": tmp_path / "absent"}):
        with pytest.raises((InputError, TrainingError)):
            train(pictures, out, tiny_settings(base, **changes), Listener().events)
    _Faulty(monkeypatch, set(range(1, 50)), MemoryError())
    with pytest.raises(TrainingError, match="even at the smallest step"):
        train(pictures, out, tiny_settings(base), Listener().events)
    assert set(tmp_path.iterdir()) == before
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(TrainingError):
        train(pictures, out, tiny_settings(base, crop=64), Listener().events)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_refused_resume_removes_nothing(pictures: Path, base: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "o.safetensors", tmp_path / "o.train"
    with pytest.raises(StoppedError):
        train(pictures, out, tiny_settings(base), Listener(stop_after=1).events)
    there = {path.relative_to(folder) for path in folder.rglob("*")}
    for resume, changes in ((True, {"seed": 5}), (False, {})):
        with pytest.raises(TrainingError):
            train(pictures, out, tiny_settings(base, **changes), Listener().events, resume=resume)
    assert {path.relative_to(folder) for path in folder.rglob("*")} == there


class _Faulty:
    """Replaces Learner.gradients: the calls of these numbers, from 1, fail as `fault` says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, calls: set[int], fault: Any) -> None:
        self.means: list[Means] = []
        true = Learner.gradients

        def gradients(
            learner: Learner, small: Any, large: Any, means: Means, **more: Any
        ) -> tuple[float, float]:
            self.means.append(means)
            if len(self.means) in calls:
                if isinstance(fault, Exception):
                    raise fault
                return float(fault), float(fault)
            return true(learner, small, large, means, **more)

        monkeypatch.setattr(Learner, "gradients", gradients)


@pytest.mark.slow
def test_a_step_that_is_not_finite_is_skipped(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Faulty(monkeypatch, {3}, math.nan)  # the first is the probe
    listener = Listener()
    made = train(pictures, tmp_path / "o.safetensors", tiny_settings(base), listener.events)
    assert any("step 2: the loss is not finite" in line for line in listener.said)
    assert (made.trained.position.step, made.trained.position.updates) == (6, 5)
    assert [line["loss"] for line in lines_of(made.folder) if line.get("step") == 2] == [None]


@pytest.mark.slow
def test_three_in_a_row_go_back_once_and_then_stop(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    _Faulty(monkeypatch, {5, 6, 7}, math.inf)
    settings = tiny_settings(base, steps=9, precision="fp32")
    made = train(pictures, tmp_path / "o.safetensors", settings, listener.events)
    assert any("back to step 3, with half the learning rate" in line for line in listener.said)
    assert made.trained.position.rolled_back
    rates = {line["step"]: line["lr"] for line in lines_of(made.folder) if "lr" in line}
    assert rates[9] == pytest.approx(learning_rate(8, 9, settings.lr or 0) / 2)
    _Faulty(monkeypatch, {*range(5, 30)}, math.nan)
    with pytest.raises(TrainingError, match=r"not finite, and were before; try --lr 0.003"):
        train(pictures, tmp_path / "p.safetensors", settings, Listener().events)
    assert (tmp_path / "p.train" / "state.safetensors").is_file()


@pytest.mark.slow
def test_out_of_memory_is_met_step_by_step(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    faulty = _Faulty(monkeypatch, {1, 4}, torch.OutOfMemoryError("CUDA out of memory"))
    made = train(pictures, tmp_path / "o.safetensors", tiny_settings(base), listener.events)
    assert [line for line in listener.said if "memory" in line] == [
        "memory ran out: activations are computed again instead of kept (a third more time)",
        "memory ran out: a batch is computed in 2 parts",
    ]
    assert faulty.means[1] == Means(checkpointing=True)
    assert made.trained.position.means == Means(checkpointing=True, parts=2)
    assert made.trained.position.updates == 6
    _Faulty(monkeypatch, set(range(1, 50)), MemoryError())
    with pytest.raises(TrainingError, match="even at the smallest step"):
        train(pictures, tmp_path / "p.safetensors", tiny_settings(base), listener.events)


@pytest.mark.slow
def test_out_of_memory_in_the_first_step(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Faulty(monkeypatch, {2}, torch.OutOfMemoryError("CUDA out of memory"))  # after the probe
    made = train(pictures, tmp_path / "o.safetensors", tiny_settings(base), Listener().events)
    assert (made.trained.position.step, made.trained.position.means) == (6, Means(checkpointing=True))


class _FaultyCalls:
    """Calls a function, but raises `fault` in the calls of these numbers, from 1."""

    def __init__(self, true: Any, calls: set[int], fault: Exception) -> None:
        self._true, self._calls, self._fault, self.count = true, calls, fault, 0

    def __call__(self, *values: Any, **more: Any) -> Any:
        self.count += 1
        if self.count in self._calls:
            raise self._fault
        return self._true(*values, **more)


@pytest.mark.slow
def test_out_of_memory_in_an_update_goes_back_to_the_last_saved_state(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = torch.optim.AdamW.step
    count = 0

    def step(optimiser: torch.optim.AdamW) -> None:
        nonlocal count
        count += 1
        if count == 5:  # in the middle of it
            with torch.no_grad():
                optimiser.param_groups[0]["params"][0].fill_(math.nan)
            raise torch.OutOfMemoryError("CUDA out of memory")
        true(optimiser)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    listener = Listener()
    made = train(pictures, tmp_path / "o.safetensors", tiny_settings(base), listener.events)
    assert "back to step 3, which was saved" in listener.said
    assert (made.trained.position.step, made.trained.position.updates) == (6, 6)
    assert made.trained.position.means == Means(checkpointing=True)
    assert all(math.isfinite(line["loss"]) for line in lines_of(made.folder) if "loss" in line)


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 2])  # the base's own, and that of a step
def test_out_of_memory_in_a_validation_makes_it_on_the_processor(
    call: int, pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = _FaultyCalls(scores_of, {call}, torch.OutOfMemoryError("CUDA out of memory"))
    monkeypatch.setattr(validator, "scores_of", scores)
    listener = Listener()
    made = train(pictures, tmp_path / "o.safetensors", tiny_settings(base), listener.events)
    assert listener.said.count("memory ran out in a validation: the processor makes it from now on") == 1
    assert made.trained.position.step == 6


def test_out_of_memory_in_every_validation_is_one_line(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validator, "scores_of", _FaultyCalls(None, {1, 2}, MemoryError()))
    with pytest.raises(TrainingError, match="give a smaller network"):
        train(pictures, tmp_path / "o.safetensors", tiny_settings(base), Listener().events)


@pytest.mark.slow
def test_a_network_that_makes_no_numbers_is_not_better(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / "out.safetensors", Learner.whole

    def broken(learner: Learner, values: StateDict) -> StateDict:
        return {name: 1e37 * torch.randn_like(value) for name, value in whole(learner, values).items()}

    monkeypatch.setattr(Learner, "whole", broken)
    with pytest.raises(TrainingError, match=r"no network .* is better than its base: 0\.00 dB at best"):
        train(pictures, out, tiny_settings(base), Listener().events)
    assert not out.exists()


@pytest.mark.slow
def test_the_result_may_lie_among_the_pictures(pictures: Path, base: Path) -> None:
    out, listener = pictures / "out.safetensors", Listener(stop_after=4)
    with pytest.raises(StoppedError):
        train(pictures, out, tiny_settings(base), listener.events)
    samples = list((pictures / "out.train" / "samples").iterdir())
    with Image.open(samples[0]) as sheet:
        assert min(sheet.size) >= 64  # it could serve as a picture
    assert train(pictures, out, tiny_settings(base), Listener().events, resume=True).model == out
    again = Listener()
    train(pictures, pictures / "next.safetensors", tiny_settings(base), again.events)
    assert not [line for line in again.said if ".train" in line]
    used = json.loads((pictures / "next.train" / "settings.json").read_text())["pictures"]
    assert sorted(used) == [f"p{number}.png" for number in range(6)]


@pytest.mark.slow
def test_time_that_is_over_ends_it_and_changes_nothing_for_going_on(
    pictures: Path, base: Path, tmp_path: Path
) -> None:
    settings = tiny_settings(base, steps=7)
    whole = _bytes(pictures, tmp_path / "whole.safetensors", settings)
    limited = tiny_settings(base, steps=7, max_minutes=0.05)
    out = tmp_path / "out.safetensors"
    seconds = iter(range(100))
    listener = Listener()
    with prepared(limited, pictures, out, listener.events, resume=False) as job:
        trained = Run(job, listener.events, lambda: float(next(seconds))).to_end()
    assert 0 < trained.position.step < 7
    assert trained.position.history[-1]["step"] == trained.position.step
    assert trained.ended.startswith("0.05 minutes are over")
    assert _bytes(pictures, out, settings, resume=True) == whole


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(
    pictures: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny_settings(base, steps=500, every=2, patience=2, method="full")
    monkeypatch.setattr("luxscaler.training.steps.learning_rate", lambda step, *_: 3e-3 if step < 4 else 0.0)
    monkeypatch.setattr("luxscaler.training.steps.ema_decay", lambda *_: 0.0)
    made = train(pictures, tmp_path / "o.safetensors", settings, Listener().events)
    assert made.trained.position.step == 8
    assert made.trained.position.best_step == 4
    assert made.trained.ended == "no better network came in 2 validations (step 8)"


@pytest.mark.slow
def test_own_pairs_are_learned_from(pictures: Path, base: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for path in pictures.iterdir():
        Image.open(path).resize((20, 20), Image.Resampling.BICUBIC).save(small / path.name)
    out = tmp_path / "out.safetensors"
    made = train(pictures, out, tiny_settings(base, pairs=small), Listener().events)
    assert made.trained.best_scores is not None
    assert "forgetting" in made.trained.best_scores.means()
