"""`--json` of every command that prints facts: one object a line on standard output, each with its event."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from luxscaler.cli.main import app
from luxscaler.cli.terminal import finite
from tests.cli.test_jobs import data
from tests.cli.test_models import server
from tests.cli.test_train import TINY
from tests.support.model_index import IndexServer
from tests.support.picture_files import noise, pillow
from tests.support.training_files import write_base, write_pictures

__all__ = ["data", "server"]  # fixtures
WITHOUT = {"completion", "gateway", "server"}
"""They print a script, or run until they are told to stop."""


def run(*words: object, status: int = 0) -> list[dict[str, Any]]:
    """The objects on standard output; nothing else is there."""
    result = CliRunner().invoke(app, [*map(str, words), "--json"], prog_name="luxscaler")
    assert result.exit_code == status, result.output
    assert result.stdout.isascii()
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(set(event) > {"event"} for event in events)
    assert result.stderr == ""
    return events


def test_every_command_has_it() -> None:
    top = get_command(app)
    assert hasattr(top, "commands")
    for name, command in top.commands.items():
        parts = command.commands.values() if hasattr(command, "commands") else [command]
        has = [any("--json" in parameter.opts for parameter in part.params) for part in parts]
        assert all(has) != (name in WITHOUT), name


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(tmp_path))
    (listed,) = run("weights", "list")
    assert listed["event"] == "result"
    assert listed["folder"] == str(tmp_path)
    photo = next(each for each in listed["weights"] if each["name"] == "photo")
    assert (photo["state"], photo["size"], photo["source"]) == ("absent", 0, "")
    (failed,) = run("weights", "verify", "photo", status=1)
    assert failed["event"] == "error"
    assert failed["kind"] == "WeightsError"
    assert "photo" in failed["message"]
    base = write_base(tmp_path / "base.safetensors")
    (made,) = run("weights", "convert", base, tmp_path / "new.safetensors")
    assert (made["event"], made["output"]) == ("result", str(tmp_path / "new.safetensors"))


def test_models(server: IndexServer) -> None:
    (found,) = run("models", "search", "--scale", 2, "--limit", 1)
    assert (found["total"], len(found["models"])) == (2, 1)
    (told,) = run("models", "info", "2x-Bound")
    assert (told["id"], told["licence"], told["commercial_use"]) == ("2x-Bound", "CC-BY-NC-4.0", False)
    assert told["files"][0]["urls"][0].startswith(server.base)
    note, made = run("models", "fetch", "2x-Free")
    assert note["event"] == "note"
    assert Path(made["path"]).is_file()
    assert len(made["sha256"]) == 64
    (failed,) = run("models", "info", "none", status=1)
    assert "no model called 'none'" in failed["message"]


def test_jobs(data: Path) -> None:
    (listed,) = run("jobs", "list", "--data", data)
    assert listed["total"] == 2
    failed = next(job for job in listed["jobs"] if job["status"] == "failed")
    assert (failed["dollars"], failed["error"], failed["created"][:4]) == (0.25, "E1001", "2001")
    (shown,) = run("jobs", "show", failed["id"], "--data", data)
    assert {**failed, "event": "result"} == shown
    (logs,) = run("jobs", "logs", failed["id"], "--search", "loss", "--data", data)
    assert logs["lines"] == ["loss 0.5"]
    (over,) = run("jobs", "cancel", failed["id"], "--data", data)
    assert (over["status"], over["canceling"]) == ("failed", False)
    (error,) = run("jobs", "show", "nothing", "--data", data, status=1)
    assert error["message"] == "no job with an id that begins with 'nothing'"


def test_info_and_its_error(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(pillow(noise(12, 16), "PNG"))
    (told,) = run("info", path)
    assert (told["event"], told["format"]) == ("result", "png")
    (failed,) = run("info", tmp_path / "absent.png", status=1)
    assert (failed["event"], failed["kind"]) == ("error", "PictureError")


@pytest.mark.slow
def test_a_training_and_its_publishing(tmp_path: Path) -> None:
    folder, base = write_pictures(tmp_path / "p", 6), write_base(tmp_path / "base.safetensors")
    out = tmp_path / "out.safetensors"
    events = run("train", folder, out, "--base", base, "--lr", 0.03, *TINY)
    result, steps = events[-1], [event for event in events if event["event"] == "progress"]
    assert {event["event"] for event in events} == {"note", "progress", "result"}
    assert steps[-1]["step"] == steps[-1]["steps"]
    assert steps[-1]["loss"] > 0
    assert (result["model"], result["adapter"]) == (str(out), str(tmp_path / "out.adapter.safetensors"))
    assert Path(result["report"]).is_file()
    assert result["scores"]["trained"]["psnr"] > 0
    assert any("held-out picture" in remark for remark in result["remarks"])
    (placed,) = run("publish", out, "--folder", tmp_path / "shelf")
    assert placed["event"] == "published"
    assert str(tmp_path / "shelf") in placed["place"]
    (failed,) = run("train", tmp_path / "absent", out, "--base", base, status=1)
    assert failed["event"] == "error"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("upscale", "a.png", "b.png", "--bogus"), "No such option: --bogus"),
        (("upscale", "a.png", "b.png", "--scale", "x"), "'x' is not a number"),
        (("info",), "Missing argument 'FILE'"),
        (("upsale",), "No such command 'upsale'"),
    ],
)
def test_wrong_usage_is_an_event_too(words: tuple[str, ...], said: str) -> None:
    (event,) = run(*words, status=2)
    assert event["event"] == "error"
    assert said in event["message"]


def test_so_is_a_bad_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUXSCALER_UPSCALE_MODLE", "fast")
    (event,) = run("info", "a.png", status=1)
    assert "stands for no option" in event["message"]


def test_numbers_that_json_lacks_are_null() -> None:
    assert finite({"a": float("nan"), "b": 1, "c": "x", "d": float("-inf")}) == {
        "a": None,
        "b": 1,
        "c": "x",
        "d": None,
    }
