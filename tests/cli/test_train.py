"""`luxscaler train` at a terminal: figures, one line for what is wrong, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from luxscaler.cli.main import app
from luxscaler.training.run import Run
from tests.conftest import ROOT
from tests.support.training_files import write_base, write_pictures

TINY = ("--steps", 4, "--every", 2, "--crop", 16, "--batch", 2, "--rank", 2, "--degradation", "clean")


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["train", *map(str, arguments)], prog_name="luxscaler")


@pytest.mark.slow
def test_a_training_prints_its_figures_and_files(tmp_path: Path) -> None:
    folder, base = write_pictures(tmp_path / "p", 6), write_base(tmp_path / "base.safetensors")
    (folder / "bad.jpg").write_bytes(b"no picture")
    out = tmp_path / "out.safetensors"
    result = _run(folder, out, "--base", base, "--lr", 0.03, *TINY)
    assert result.exit_code == 0, result.output
    for word in ("cubic", "base", "trained", "PSNR dB", "held-out picture"):
        assert word in result.stdout
    assert f"{out}, {tmp_path / 'out.adapter.safetensors'}: the best network" in result.stdout
    assert "not used: bad.jpg: " in result.stderr
    assert out.is_file()
    small = tmp_path / "result.png"
    network = f"{base}+{tmp_path / 'out.adapter.safetensors'}"
    done = CliRunner().invoke(app, ["upscale", str(folder / "p0.png"), str(small), "--model", network])
    assert done.exit_code == 0, done.output
    assert small.is_file()


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    folder, base = write_pictures(tmp_path / "p", 3), write_base(tmp_path / "base.safetensors")
    (tmp_path / "none").mkdir()
    out = tmp_path / "o.safetensors"
    for arguments, words in (
        ((folder, out, "--base", base, "--crop", 16), "only 3 of 3 pictures can be used"),
        ((tmp_path / "none", out, "--base", base), "holds no file"),
        ((folder, out, "--base", base, "--rank", 0), "rank is 0"),
        ((folder, out, "--base", base, "--degradation", "mud"), "degradation is 'mud'"),
        ((folder, tmp_path / "o.pth", "--base", base), "suffix must be .safetensors"),
    ):
        result = _run(*arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert _run(folder, out, "--base", base, "--lr", "fast").exit_code == 2
    assert _run(folder, out, "--base", base, "--batch", "1.5").exit_code == 2
    assert {path.name for path in tmp_path.iterdir()} == {"p", "none", "base.safetensors"}


@pytest.mark.slow
def test_ctrl_c_saves_the_state_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes once there are samples, as from a terminal."""
    folder, base = write_pictures(tmp_path / "p", 6), write_base(tmp_path / "base.safetensors")
    out = tmp_path / "out.safetensors"
    true = Run._write_sheet

    def interrupted(*arguments: Any) -> None:
        true(*arguments)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Run, "_write_sheet", interrupted)
    result = _run(folder, out, "--base", base, "--steps", 100_000, *TINY[2:])
    assert result.exit_code == 130, result.output
    assert any((tmp_path / "out.train" / "samples").iterdir())
    assert "with --resume goes on from there" in result.stderr
    assert not out.exists()
    assert (tmp_path / "out.train" / "interrupted.safetensors").is_file()


@pytest.mark.slow
def test_ctrl_c_in_a_process_of_its_own(tmp_path: Path) -> None:
    folder, base = write_pictures(tmp_path / "p", 6), write_base(tmp_path / "base.safetensors")
    out = tmp_path / "out.safetensors"
    many = ("--steps", "100000", *map(str, TINY[2:]))
    command = [
        sys.executable,
        "-m",
        "luxscaler.cli.main",
        "train",
        str(folder),
        str(out),
        "--base",
        str(base),
    ]
    process = subprocess.Popen(
        [*command, *many],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        deadline = time.monotonic() + 120
        samples = tmp_path / "out.train" / "samples"
        while not (samples.is_dir() and any(samples.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "with --resume goes on from there" in said
    assert "Traceback" not in said
    assert not out.exists()
    assert (tmp_path / "out.train" / "interrupted.safetensors").is_file()
