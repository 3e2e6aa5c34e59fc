"""Odd names and odd streams: one line, and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.picture_files import noise, png
from tests.support.slow import slow
from tests.support.small_weights import make_small_weights

INFO = """
import sys
from luxscaler.cli.main import main
for path in sys.argv[1:]:
    sys.argv = ["luxscaler", "info", path]
    try:
        main()
    except SystemExit as ended:
        status = ended.code or 0
    if (status == 0) != path.endswith("good.png"):
        sys.exit(9)
sys.exit(status)
"""
"""Describes files in one process; good.png has to be described, others have to be refused."""


def info(*paths: Path, shell: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    command = f'exec "{sys.executable}" -c "$@" {shell}'
    return subprocess.run(
        ["/bin/sh", "-c", command, "sh", INFO, *map(str, paths)],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.slow
def test_an_ascii_terminal_shows_a_question_mark(tmp_path: Path) -> None:
    path = tmp_path / "größe good.png"
    path.write_bytes(png(noise()))
    done = info(path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "32 ? 24" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["2>&-", "1>&-", "1>&- 2>&-", "0<&-"])
def test_closed_streams(stream: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(png(noise()))
    bad.write_bytes(b"hello")
    done = info(good, bad, shell=stream)
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (1, False)


UPSCALE = (
    "import sys, torch; torch.set_num_threads(1)\n"
    "name = sys.argv[1]\n"
    "sys.argv = ['luxscaler', 'upscale', name, name + '.png', '--verbose', '--progress', 'lines']\n"
    "from luxscaler.cli.entry import main; main()"
)


@pytest.mark.slow
@pytest.mark.parametrize("stream", ["", "0<&- 1>&- 2>&-"])
def test_upscale_at_an_ascii_terminal_and_with_closed_streams(stream: str, tmp_path: Path) -> None:
    path, model = tmp_path / "größe.png", tmp_path / "tiny.pth"
    path.write_bytes(png(noise(6, 8)))
    model.write_bytes(make_small_weights(tmp_path).release)
    command = f'exec "{sys.executable}" -c "$1" "$2" {stream}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, "sh", UPSCALE, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C", "LUXSCALER_UPSCALE_MODEL": str(model)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr + done.stdout) == (0, False), done.stderr
    assert path.with_name("größe.png.png").is_file()
    assert stream or "gr??e.png.png: 32 ? 24, peak " in done.stdout


@pytest.mark.slow
def test_a_result_for_closed_standard_output_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(noise(6, 8)))
    code = "import sys\nsys.argv = ['luxscaler', 'upscale', sys.argv[1], '-', '--format', 'png']\n"
    code += "from luxscaler.cli.entry import main; main()"
    command = ["/bin/sh", "-c", f'exec "{sys.executable}" -c "$1" "$2" 1>&-', "sh", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "error: OUT is standard output, which is closed: send it to a file or a program" in done.stderr


@pytest.mark.slow
def test_odd_names_are_one_line(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("n" * 252, "a\nb.png", "\x1b[31m.png")]
    for path in paths:
        path.write_bytes(b"hello")
    done = info(*paths)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == len(paths)
    assert all(line.startswith("error: ") for line in lines)
    assert "\x1b" not in done.stderr


@pytest.mark.slow
def test_the_end_of_the_command_prints_nothing_of_libraries() -> None:
    """OpenImageIO, which writes large EXRs, would list what was not collected at the interpreter's end."""
    program = (
        "import OpenImageIO, sys; sys.argv = ['luxscaler', '--version']\n"
        "from luxscaler.cli.entry import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("luxscaler ")
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [("--version",), *slow(("info", "good.png", "--json"))])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(noise()))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "luxscaler.cli.entry", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: No space left on device\n"


@pytest.mark.slow
def test_a_limit_of_files_is_told_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(png(noise()))
    done = subprocess.run(
        ["/bin/sh", "-c", f'ulimit -f 1; exec "{sys.executable}" -m luxscaler.cli.entry info "{path}"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: picture.png cannot be read: files may have ")
    assert "bytes at most here (ulimit -f)" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "stream"), [("good.png -", "1>&-"), ("- out.png", "0<&-")])
def test_a_closed_stream_holds_no_picture(arguments: str, stream: str, tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(noise(6, 8)))
    (tmp_path / "tiny.pth").write_bytes(make_small_weights(tmp_path).release)
    code = "from luxscaler.cli.entry import main; main()"
    options = "--format png --model tiny.pth --progress none"
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{sys.executable}" -c "{code}" upscale {arguments} {options} {stream}'],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    name = "OUT is standard output" if stream == "1>&-" else "IN is standard input"
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {name}, which is closed: ")
    assert not (tmp_path / "out.png").exists()


@pytest.mark.slow
def test_info_of_closed_standard_input_is_one_line() -> None:
    done = info(Path("-"), shell="0<&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: FILE is standard input, which is closed: send it a picture\n"
