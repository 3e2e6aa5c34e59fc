"""The command as a new user meets it: order, help at 80 columns, odd names, folders that are closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from luxscaler.cli.commands import ORDER
from luxscaler.cli.main import app
from luxscaler.words import printable
from tests.conftest import ROOT
from tests.support.picture_files import noise, pillow
from tests.support.training_files import write_base


def run(*words: str) -> Result:
    environment = {"COLUMNS": "80", "NO_COLOR": "1"}
    return CliRunner().invoke(app, list(words), prog_name="luxscaler", env=environment)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("in.png").write_bytes(pillow(noise(8, 12), "PNG"))
    write_base(tmp_path / "base.safetensors")
    return tmp_path


def upscale(source: str, target: str, *more: str) -> Result:
    return run("upscale", source, target, "--model", "base.safetensors", "--device", "cpu", *more)


def test_the_help_begins_with_what_most_want_and_says_how_to_start() -> None:
    top = get_command(app)
    assert hasattr(top, "commands")
    assert set(ORDER) == set(top.commands)
    said = run("--help").stdout
    places = [said.index(f"│ {name} ") for name in ORDER]
    assert places == sorted(places)
    assert "luxscaler upscale photo.jpg big.png --fetch" in said


def test_the_options_have_room_at_80_columns() -> None:
    said = run("upscale", "--help").stdout
    assert "Usage: luxscaler upscale [OPTIONS] IN... OUT" in said
    assert "How far above white highlights may be raised, 1" in said
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "Address of a Cog container; several may" in run("gateway", "--help").stdout


def test_a_file_that_looks_like_an_option_is_told_from_an_unknown_option(here: Path) -> None:
    Path("in.png").rename("-dash.png")
    said = upscale("-dash.png", "out.png")
    assert said.exit_code == 2
    words = " ".join(said.stderr.replace("│", " ").split())
    assert "'-dash.png' is a file, and looks like an option: write ./-dash.png" in words
    assert upscale("./-dash.png", "out.png").exit_code == 0
    assert "No such option: --hdr-bost" in upscale("in.png", "o.png", "--hdr-bost", "4").stderr
    assert "'-dash.png' is a file" in run("info", "-dash.png").stderr


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", ["new\nline", "esc\x1b[2J", "sp ace", "ünï→日", "narrow\u202fspace"])
def test_names_are_on_one_line_and_move_no_cursor(here: Path, name: str) -> None:
    done = upscale("in.png", f"{name}.png")
    assert done.exit_code == 0, done.output
    assert Path(f"{name}.png").is_file()
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{printable(name)}.png: ")
    assert "()" not in line
    assert "\x1b" not in line
    absent = upscale(f"{name}.jpg", "out.png")
    assert absent.stderr.splitlines()[-1].startswith(f"error: {printable(name)}.jpg does not exist")


def test_printable_keeps_what_people_write() -> None:
    assert printable("Größe 日本 \u202f👩\u200d🎨\t") == "Größe 日本 \u202f👩\u200d🎨\t"
    assert printable("a\nb\x1b\x85\u2028\udc80") == r"a\nb\x1b\x85\u2028\udc80"


CLOSED = """
import ctypes, os, sys
from luxscaler.cli.main import main
if os.getuid() == 0:
    # Root reads everything: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH it does not.
    libc = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~6  # effective
    sets[1] &= ~6  # permitted
    assert libc.capset(header, sets) == 0
for words in {commands!r}:
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as end:
        print("exit status", end.code, file=sys.stderr)
"""


def closed(*commands: list[str]) -> list[str]:
    """What each says on standard error at last to somebody whom permissions bind; all have to fail."""
    done = subprocess.run(
        [sys.executable, "-c", CLOSED.format(commands=commands)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"},
    )
    lines = done.stderr.splitlines()
    ends = [number for number, line in enumerate(lines) if line == "exit status 1"]
    assert len(ends) == len(commands), done.stderr
    return [lines[number - 1] for number in ends]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="permissions and capabilities as Linux has them")
def test_closed_folders_and_files_are_named(here: Path) -> None:
    Path("pictures/inner").mkdir(parents=True)
    Path("pictures/inner/a.png").write_bytes(Path("in.png").read_bytes())
    Path("pictures/b.png").write_bytes(Path("in.png").read_bytes())
    Path("kept").mkdir()
    model = ["--format", "png", "--model", "base.safetensors", "--device", "cpu"]
    shut = {Path("kept"): 0o555, Path("pictures/b.png"): 0, Path("pictures/inner"): 0}
    try:
        for path, mode in shut.items():
            path.chmod(mode)
        said = closed(
            ["upscale", "in.png", "kept/new/", *model],
            ["upscale", "pictures/b.png", "out.png", *model],
            ["upscale", "pictures", "out/", "--recursive", *model],
        )
    finally:
        for path in shut:
            path.chmod(0o755)
    assert said == [
        "error: cannot make the folder 'kept/new': 'kept' is not writable",
        "error: 'pictures/b.png' cannot be opened: Permission denied",
        "error: the folder 'pictures/inner' cannot be read: Permission denied",
    ]


def test_a_dry_run_needs_no_folder_that_a_run_would_make(here: Path) -> None:
    done = upscale("in.png", "new/deep/{stem}.png", "--dry-run")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("new/deep/in.png: ")
    assert not Path("new").exists()
    Path("file").write_text("x")
    said = upscale("in.png", "file/{stem}.png").stderr.splitlines()[-1]
    assert "file" in said
    assert said.startswith("error: cannot ")
