"""Ctrl-C, `kill` and a closed terminal: the shell's status, one line, and no unfinished file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from luxscaler.cli.stopping import stoppable
from luxscaler.cli.upscale_run import session_of
from luxscaler.cli.voice import Manner
from tests.conftest import ROOT
from tests.support.picture_files import noise, pillow
from tests.support.small_weights import make_small_weights

_SLOW = (
    "import threading, time, sys\n"
    "from luxscaler.upscaling import upscaler\n"
    "def slow(*_, progress, **__):\n"
    "    print('running', flush=True)\n"
    "    for done in range(300):\n"
    "        time.sleep(0.1)\n"
    "        progress(done, 300)\n"
    "upscaler.Upscaler.upscale = slow\n"
    "from luxscaler.cli.entry import main\n"
    "main()"
)


def test_the_first_signal_interrupts_and_says_its_status() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    with stoppable() as stopping, pytest.raises(KeyboardInterrupt):
        end()
    assert stopping.event.is_set()
    assert stopping.status == 143
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("stopped", [True, False])
def test_an_import_that_a_signal_breaks_is_an_interruption(
    stopped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A C extension says "initialization failed" when a signal arrives while it is imported."""

    def run() -> None:
        with session_of(Manner()) as session:
            if stopped:
                session.stopping.event.set()
            raise ImportError("initialization failed")

    with pytest.raises(typer.Exit if stopped else ImportError) as error:
        run()
    assert getattr(error.value, "exit_code", None) == (130 if stopped else None)
    assert capsys.readouterr().err == ("interrupted: nothing was written\n" if stopped else "")


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable() as stopping:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stopping.event.wait(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status", "options"),
    [
        (signal.SIGINT, 130, ()),
        (signal.SIGTERM, 143, ("--report", "page.html")),
    ],
)
def test_a_picture_of_one_tile_ends_cleanly(
    tmp_path: Path, number: signal.Signals, status: int, options: tuple[str, ...]
) -> None:
    (tmp_path / "tile.png").write_bytes(pillow(noise(12, 16), "PNG"))
    (tmp_path / "tiny.pth").write_bytes(make_small_weights(tmp_path).release)
    before = sorted(tmp_path.iterdir())
    arguments = ("upscale", "tile.png", "a.exr", "--model", "tiny.pth", "--progress", "none", *options)
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert stderr in ("interrupted: nothing was written\n", "stopped: nothing was written\n")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_a_signal_while_modules_are_imported_is_one_line_too() -> None:
    code = (
        "import sys, time, types\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': print('importing', flush=True); time.sleep(30)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from luxscaler.cli.entry import main\n"
        "main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "--help"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (130, b"interrupted: nothing was written\n")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_command_line_is_read_is_one_line_too(
    tmp_path: Path, number: signal.Signals, status: int
) -> None:
    code = (
        "import os, sys, typer.main\n"
        "def slow(*_, wrapped=typer.main.get_params_from_function):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
        "    return wrapped(*_)\n"
        "typer.main.get_params_from_function = slow\n"
        "from luxscaler.cli.entry import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "info", "a.png"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, b"interrupted: nothing was written\n")
