"""`--dry-run`: what would be done, and nothing of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from luxscaler.cli.main import app
from tests.support.picture_files import exr, noise, pillow


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    path.write_bytes(pillow(noise(300, 500), "PNG"))
    return path


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["upscale", *map(str, arguments), "--dry-run"], env={"NO_COLOR": "1"})
    assert done.exit_code == 0, done.output
    return done.stdout


def test_size_and_tiles_here(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.exr"
    assert "2000 × 1200, 1 tile" in run(picture, out, "--model", "fast")
    assert "2000 × 1200, 15 tiles" in run(picture, out, "--model", "fast", "--tile", 128, "--overlap", 16)
    assert "1000 × 600" in run(picture, out, "--model", "fast", "--width", 1000)
    assert list(tmp_path.iterdir()) == [picture]


def test_the_size_is_that_of_the_window_that_is_read(tmp_path: Path) -> None:
    plate, out = tmp_path / "in.exr", tmp_path / "out.exr"
    windows = {"displayWindow": (np.array([2, 1], np.int32), np.array([7, 4], np.int32))}
    plate.write_bytes(exr({"RGB": np.ones((9, 10, 3), np.float32)}, **windows))
    assert "24 × 16, 1 tile" in run(plate, out, "--model", "fast")
    assert "40 × 36, 1 tile" in run(plate, out, "--model", "fast", "--overscan", "keep")


def test_seconds_and_dollars_at_replicate_without_a_token(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    said = run(picture, tmp_path / "out.exr", "--backend", "replicate", "--price", 0.001)
    assert "1 tile, about" in said
    assert "$" in said
    assert list(tmp_path.iterdir()) == [picture]


def test_one_that_cannot_be_planned_does_not_stop_the_others(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    arguments = ["upscale", str(tmp_path), f"{tmp_path}/{{stem}}_x4.exr", "--model", "fast", "--dry-run"]
    done = CliRunner().invoke(app, arguments, env={"NO_COLOR": "1"})
    assert done.exit_code == 3
    assert done.stdout == f"{tmp_path / 'in_x4.exr'}: 2000 × 1200, 1 tile\n"
    assert f"error: {tmp_path / 'broken.png'} is not a picture" in done.stderr


def test_no_preview_is_written(picture: Path, tmp_path: Path) -> None:
    look = str(tmp_path / "look.png")
    done = CliRunner().invoke(app, ["upscale", str(picture), "--preview", look, "--dry-run"])
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == [picture]


def test_as_json(picture: Path, tmp_path: Path) -> None:
    line = json.loads(run(picture, tmp_path / "out.exr", "--model", "fast", "--json").splitlines()[-1])
    assert (line["width"], line["height"], line["tiles"]) == (2000, 1200, 1)
    assert (line["seconds"], line["dollars"], line["dollars_at_most"]) == (None, 0.0, 0.0)


def test_what_it_costs_as_numbers(picture: Path, tmp_path: Path) -> None:
    place = ("--backend", "replicate", "--price", 0.0001, "--json")
    line = json.loads(run(picture, tmp_path / "out.exr", *place).splitlines()[-1])
    assert line["dollars"] == pytest.approx(line["seconds"] * 0.0001)
    assert line["dollars_at_most"] == pytest.approx(300 * 0.0001)
    assert f"${line['dollars']:.4f} (a guess; at most $0.0300 " in line["cost"]
