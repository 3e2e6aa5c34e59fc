"""The `luxscaler` command: results, one line per error, exit statuses, nothing left after Ctrl-C."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from luxscaler import __version__
from luxscaler.cli.main import app
from luxscaler.options import MAX_BOOST
from luxscaler.pipeline.request import DEFAULT_MAX_MASTER_PIXELS, DEFAULT_TILE
from tests.conftest import ROOT, SAMPLE
from tests.support.picture_files import exr, noise, pillow, raw_png
from tests.support.small_weights import make_small_weights


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder, and no colours: what a test does not bring is not there."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(folder))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LUXSCALER_UPSCALE_PROGRESS", "none")  # what takes longer than a second would say so
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    """A tiny network's checkpoint, which serves as the model."""
    path = tmp_path / "tiny.pth"
    path.write_bytes(make_small_weights(tmp_path).release)
    return str(path)


@pytest.fixture
def tile(tmp_path: Path) -> str:
    path = tmp_path / "tile.png"
    path.write_bytes(pillow(noise(12, 16), "PNG"))
    return str(path)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="luxscaler")


def _error(*arguments: str) -> str:
    """The line of a command that has to fail with status 1."""
    result = _run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return str(lines[0])


def _size(path: Path) -> tuple[int, int]:
    """(width, height) by a reader that did not write the file."""
    if path.suffix in (".webp", ".avif", ".jpg", ".jpeg"):
        with Image.open(path) as picture:
            return picture.size
    if path.suffix == ".png":
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.dtype == np.uint16
        return pixels.shape[1], pixels.shape[0]
    spec = oiio.ImageBuf(str(path)).spec()
    assert str(spec.format) == "float"
    return spec.width, spec.height


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "name", ["a.exr", "a.tif", "a.tiff", "a.png", "a.webp", "a.avif", "a.jxl", "a.jpg", "a.jpeg"]
)
def test_the_format_follows_the_suffix(tile: str, checkpoint: str, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    result = _run("upscale", tile, str(target), "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert _size(target) == (64, 48)
    assert result.stdout.startswith(f"{target}: 64 × 48, peak ")
    assert len(result.stdout.splitlines()) == 1


def test_capital_suffixes_count(tile: str, checkpoint: str, tmp_path: Path) -> None:
    assert _run("upscale", tile, str(tmp_path / "A.EXR"), "--model", checkpoint).exit_code == 0


def test_a_format_by_name_needs_no_suffix(tile: str, checkpoint: str, tmp_path: Path) -> None:
    target = tmp_path / "result"
    result = _run("upscale", tile, str(target), "--format", "tiff", "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert target.read_bytes()[:2] in (b"II", b"MM")


def test_a_suffix_of_another_format_is_told(tile: str, checkpoint: str, tmp_path: Path) -> None:
    target = tmp_path / "out.jpg"
    result = _run("upscale", tile, str(target), "--format", "tiff16", "--model", checkpoint)
    assert result.exit_code == 0, result.output
    assert "'out.jpg' holds tiff16, as asked for; its suffix says jpg" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["upscale", "a.png", "b.png", "--hdr-boost", "much"], "'--hdr-boost': 'much' is not a number"),
        (["upscale", "a.png", "b.png", "--width", "12.5"], "'--width': '12.5' is not a whole number"),
        (["jobs", "list", "--limit", "0"], "'--limit': '0' is below the least, 1"),
        (["info"], "Missing argument 'FILE'."),
    ],
)
def test_wrong_usage_names_the_value(arguments: list[str], words: str) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for {words} " in result.stderr or f"│ {words} " in result.stderr


@pytest.mark.parametrize("command", [["upscale"], ["weights", "fetch"], ["doctor"]])
def test_help_shows_no_type_behind_a_flag(command: list[str]) -> None:
    text = _run(*command, "--help").stdout
    assert "--json" in text
    assert "bool" not in text


def test_options_reach_the_file(tile: str, checkpoint: str, tmp_path: Path) -> None:
    target = tmp_path / "a.exr"
    options = (
        "--hdr-boost",
        "2",
        "--fractality",
        "0.9",
        "--scale",
        "2.5",
        "--tile",
        "256",
        "--overlap",
        "16",
    )
    assert _run("upscale", tile, str(target), "--model", checkpoint, *options).exit_code == 0
    spec = oiio.ImageBuf(str(target)).spec()
    assert (spec.width, spec.height) == (40, 30)
    assert spec.getattribute("luxscaler:hdr_boost") == pytest.approx(2)
    assert spec.getattribute("luxscaler:fractality") == pytest.approx(0.9)
    assert spec.getattribute("luxscaler:model") == "tiny.pth"


def test_notices_go_to_the_standard_error(checkpoint: str, tmp_path: Path) -> None:
    flat = tmp_path / "flat.png"
    flat.write_bytes(pillow(np.full((16, 16, 3), 99, np.uint8), "PNG"))
    result = _run(
        "upscale", str(flat), str(tmp_path / "a.exr"), "--model", checkpoint, "--reference", str(flat)
    )
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"note: .*ambiguous.*\n", result.stderr)


BAD_UPSCALES: dict[str, tuple[list[str], str]] = {
    "absent input": (["{folder}/absent.png", "{out}.exr"], "error: .*absent.png does not exist"),
    "folder as input": (["{folder}", "{out}.exr"], "2 pictures cannot all be written to"),
    "text as input": (["{text}", "{out}.exr"], "error: text.png is not a picture.*text"),
    "too large": (["{tile}", "{out}.exr", "--max-pixels", "191"], "192 pixels .*the limit is 191"),
    "unknown suffix": (
        ["{tile}", "{out}.gif"],
        r"out.gif' has no suffix of a known format \(.*\.exr",
    ),
    "no suffix": (["{tile}", "{out}"], "has no suffix of a known format"),
    "unknown format": (["{tile}", "{out}", "--format", "bmp"], "output_format is 'bmp'"),
    "no such folder": (["{tile}", "{folder}/absent/out.exr"], "cannot write .*absent"),
    "hdr_boost": (
        ["{tile}", "{out}.exr", "--hdr-boost", "50"],
        "hdr_boost is 50.0; it must be from 1.0 to 49.0",
    ),
    "hdr_boost nan": (["{tile}", "{out}.exr", "--hdr-boost", "nan"], "hdr_boost is nan"),
    "fractality": (["{tile}", "{out}.exr", "--fractality", "3"], "fractality is 3.0"),
    "scale": (["{tile}", "{out}.exr", "--scale", "0.5"], "scale is 0.5"),
    "tile_box": (["{tile}", "{out}.exr", "--reference", "{tile}", "--tile-box", "1,2"], "tile_box is '1,2'"),
    "box alone": (
        ["{tile}", "{out}.exr", "--tile-box", "0,0,1,1"],
        "--tile-box .* by --reference",
    ),
    "bad reference": (["{tile}", "{out}.exr", "--reference", "{text}"], "reference: .*not a picture"),
    "device": (["{tile}", "{out}.exr", "--device", "tpu"], "device is 'tpu'; it must be one of auto, cpu"),
    "precision": (["{tile}", "{out}.exr", "--precision", "int8"], "precision is 'int8'"),
    "half on the CPU": (
        ["{tile}", "{out}.exr", "--device", "cpu", "--precision", "fp16"],
        "precision is 'fp16'",
    ),
    "no tile": (["{tile}", "{out}.exr", "--tile", "0"], "tile is 0; it must be from 64 to 8192"),
    "wide overlap": (
        ["{tile}", "{out}.exr", "--tile", "64", "--overlap", "17"],
        "overlap is 17; .*the tile, 16",
    ),
    "quality": (["{tile}", "{out}.webp", "--webp-quality", "101"], "webp_quality .*101"),
    "unknown model": (["{tile}", "{out}.exr", "--model", "nope"], "no weights called 'nope'"),
    "picture as model": (["{tile}", "{out}.exr", "--model", "{tile}"], "tile.png"),
    "absent weights": (["{tile}", "{out}.exr", "--model", "fast"], "luxscaler weights fetch fast"),
    "markup": (["{folder}/[bold]x[/bold].png", "{out}.exr"], r"\[bold\]x\[/bold\].png does not exist"),
}


@pytest.mark.sample(7)
@pytest.mark.parametrize("name", BAD_UPSCALES)
def test_a_bad_upscale_is_one_line_and_no_file(tile: str, checkpoint: str, tmp_path: Path, name: str) -> None:
    text = tmp_path / "text.png"
    text.write_text("This is no picture.")
    before = sorted(tmp_path.iterdir())
    arguments, message = BAD_UPSCALES[name]
    values = {"tile": tile, "folder": tmp_path, "text": text, "out": tmp_path / "out"}
    filled = [argument.format(**values) for argument in arguments]
    model = [] if "--model" in filled else ["--model", checkpoint]
    assert re.search(message, _error("upscale", *filled, *model))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "arguments",
    [
        ["upscale"],
        ["upscale", "a.png"],
        ["upscale", "a.png", "b.exr", "c.exr"],
        ["upscale", "a.png", "b.exr", "--hdr-boost", "abc"],
        ["upscale", "a.png", "b.exr", "--surprise"],
        ["surprise"],
        ["info"],
        ["weights", "surprise"],
        ["weights", "convert", "a.pth"],
    ],
    ids=" ".join,
)
def test_bad_usage_has_status_2(arguments: list[str]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_an_error_that_is_not_meant_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tile: str) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("luxscaler.cli.info.report", broken)
    assert isinstance(_run("info", tile).exception, ZeroDivisionError)


def test_the_defaults_are_those_of_the_stages() -> None:
    help_text = re.sub(r"[\s│]+", " ", _run("upscale", "--help").output)
    assert f"default: {DEFAULT_TILE}]" in help_text
    assert f"default: {DEFAULT_MAX_MASTER_PIXELS}]" in help_text
    assert f"1 to {MAX_BOOST:g}" in help_text


def test_version() -> None:
    assert _run("--version").output == f"luxscaler {__version__}\n"


def test_info_names_the_facts(tmp_path: Path) -> None:
    hdr = tmp_path / "a [1].exr"
    plane = np.full((3, 5), 2.0, np.float32)
    hdr.write_bytes(exr({"R": plane, "G": plane, "B": plane}))
    for path, size in (
        (hdr, "5 × 3"),
        (SAMPLE / "master.jpg", "640 × 427"),
        (SAMPLE / "tile.png", "320 × 192"),
    ):
        result = _run("info", str(path))
        assert result.exit_code == 0, result.output
        lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
        assert lines["size"].startswith(size)
        assert {"format", "depth", "colour", "range", "peak"} <= set(lines)


def test_info_of_standard_input_is_that_of_the_file() -> None:
    path = SAMPLE / "tile.png"
    piped = CliRunner().invoke(app, ["info", "-"], input=path.read_bytes())
    assert piped.exit_code == 0, piped.output
    assert piped.stdout == _run("info", str(path)).stdout
    empty = CliRunner().invoke(app, ["info", "-"], input=b"")
    assert (empty.exit_code, empty.stderr) == (1, "error: the data is empty\n")


def test_info_of_what_is_no_picture_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(raw_png(100_000, 100_000, 8, 2, b""))
    assert "10,000,000,000 pixels" in _error("info", str(path))
    assert "does not exist" in _error("info", str(tmp_path / "absent"))


def test_weights_that_are_absent_are_listed_so_and_do_not_verify(no_weights: Path) -> None:
    result = _run("weights", "list")
    assert result.exit_code == 0
    for name in ("photo", "anime", "fast"):
        assert re.search(rf"{name} .*absent", result.stdout)
    assert f"folder: {no_weights}" in result.stdout
    assert "luxscaler weights fetch photo" in _error("weights", "verify")
    assert "no weights called 'nope'" in _error("weights", "verify", "nope")
    assert "no weights called 'nope'" in _error("weights", "fetch", "nope")


def test_a_checkpoint_is_converted_and_gives_the_same_picture(
    tile: str, checkpoint: str, tmp_path: Path
) -> None:
    converted = tmp_path / "tiny.safetensors"
    result = _run("weights", "convert", checkpoint, str(converted))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{converted}: RRDBNetConfig(")
    files = []
    for model in (checkpoint, str(converted)):
        arguments = ("upscale", tile, str(tmp_path / "a.exr"), "--model", model, "--overwrite")
        assert _run(*arguments).exit_code == 0
        files.append(oiio.ImageBuf(str(tmp_path / "a.exr")).get_pixels())
    np.testing.assert_array_equal(files[0], files[1])


def test_what_is_no_checkpoint_is_not_converted(tile: str, tmp_path: Path) -> None:
    _error("weights", "convert", tile, str(tmp_path / "out.safetensors"))
    assert not (tmp_path / "out.safetensors").exists()


def _python(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_help_version_and_info_answer_without_pytorch() -> None:
    lines = ("--help", "upscale --help", "weights --help", "doctor --help", "--version")
    info = f"info {(SAMPLE / 'tile.png').relative_to(ROOT)}"  # the last: it needs NumPy and Pillow
    code = (
        "import sys\n"
        "from luxscaler.cli.main import main\n"
        "for line in sys.argv[1:]:\n"
        "    sys.argv = ['luxscaler', *line.split()]\n"
        "    try: main()\n"
        "    except SystemExit as ended: status = ended.code or 0\n"
        "    loaded = sorted({'torch', 'numpy', 'PIL'} & set(sys.modules))\n"
        "    print(line, status, loaded, file=sys.stderr)"
    )
    result = _python(code, *lines, info)
    assert result.returncode == 0, result.stderr
    wanted = [*(f"{line} 0 []" for line in lines), f"{info} 0 ['PIL', 'numpy']"]
    assert result.stderr.splitlines() == wanted
    assert result.stdout.count("Usage: luxscaler") == len(lines) - 1
    assert f"luxscaler {__version__}" in result.stdout


EXTRAS = ("fastapi", "starlette", "uvicorn", "multipart", "ray", "cog", "coglet", "rawpy", "pillow_heif")


@pytest.mark.slow
def test_without_the_extras_help_answers_and_errors_name_them(tmp_path: Path) -> None:
    lines = [[name, "--help"] for name in ("", "upscale", "server", "gateway", "jobs", "train", "doctor")]
    lines += [["server", "--data", str(tmp_path)], ["gateway", "--cog", "http://127.0.0.1:9"]]
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"  # None: not to be imported
        "from luxscaler.cli.main import main\n"
        f"for words in {lines!r}:\n"
        "    sys.argv = ['luxscaler', *filter(None, words)]\n"
        "    try: main()\n"
        "    except SystemExit as ended: print('status', ended.code, flush=True)\n"
    )
    result = _python(code)
    assert result.returncode == 0, result.stderr
    assert re.findall("status (.)", result.stdout) == ["0"] * 7 + ["1"] * 2
    assert result.stdout.count("Usage: luxscaler") == 7
    first, second = result.stderr.splitlines()
    assert "luxscaler[console]" in first
    assert "luxscaler[gateway]" in second


def test_an_interrupt_in_process_has_status_130(
    tile: str, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("luxscaler.cli.upscale_run.PictureRun.all", interrupted)
    result = _run("upscale", tile, str(tmp_path / "a.exr"), "--model", checkpoint)
    assert result.exit_code == 130
    assert result.stderr == "interrupted: nothing was written\n"


@pytest.fixture
def command(real_weights: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The command in a process of its own, with the real weights."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "luxscaler.cli.main", *arguments],
            cwd=ROOT,
            env={**os.environ, "LUXSCALER_WEIGHTS": str(real_weights), "LUXSCALER_UPSCALE_PROGRESS": "none"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.mark.slow
def test_the_sample_tile_with_real_weights(
    command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    target = tmp_path / "a.exr"
    master = str(SAMPLE / "master.jpg")
    result = command(
        "upscale",
        str(SAMPLE / "tile.png"),
        str(target),
        "--model",
        "fast",
        "--reference",
        master,
        "--hdr-boost",
        "4",
    )
    assert result.returncode == 0, result.stderr
    assert _size(target) == (1280, 768)
    assert "found the tile in global_reference at tile_box 0.1875,0.55035" in result.stderr
    assert result.stdout.startswith(f"{target}: 1280 × 768, peak ")


@pytest.mark.slow
def test_an_error_in_a_process_of_its_own(
    command: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    result = command("upscale", str(tmp_path / "absent.png"), str(tmp_path / "a.exr"), "--model", "fast")
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == f"error: {tmp_path / 'absent.png'} does not exist\n"


@pytest.mark.slow
def test_real_weights_are_listed_and_verified(
    command: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    listed = command("weights", "list")
    assert listed.returncode == 0
    assert listed.stdout.count("verified") >= 3  # networks that trainings look with may be there too
    verified = command("weights", "verify")
    assert verified.returncode == 0
    assert len(re.findall("SHA-256 [0-9a-f]{64}", verified.stdout)) >= 3
