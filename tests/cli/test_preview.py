"""`luxscaler upscale --preview` and `--boost-mask`: one picture and one line, without a network."""

from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name that its documentation uses
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import luxscaler
from luxscaler.cli.main import app
from tests.support.small_weights import make_small_weights


@pytest.fixture(autouse=True)
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder of weights: a network that is asked for is an error."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LUXSCALER_UPSCALE_PROGRESS", "none")  # what takes longer than a second would say so


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A ramp from black to white."""
    ramp = np.tile(np.linspace(0, 255, 60, dtype=np.uint8), (40, 1))
    Image.fromarray(ramp).convert("RGB").save(tmp_path / "in.png")
    return tmp_path / "in.png"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["upscale", *map(str, arguments)], prog_name="luxscaler")


def test_a_preview_is_one_picture_and_one_line(source: Path, tmp_path: Path) -> None:
    result = _run(source, "--hdr-boost", 4, "--preview", tmp_path / "look.png")
    assert result.exit_code == 0, result.output
    made = luxscaler.preview(source, 4.0)
    assert result.stdout == f"{tmp_path / 'look.png'}: {made}\n"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "look.png")), made.sheet())
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", "look.png", "weights"}


def test_a_preview_takes_nobodys_place(source: Path, tmp_path: Path) -> None:
    look = tmp_path / "look.png"
    look.write_bytes(b"somebody's picture")
    result = _run(source, "--hdr-boost", 4, "--preview", look)
    assert (result.exit_code, look.read_bytes()) == (1, b"somebody's picture")
    assert result.stderr == (
        f"error: --preview is {str(look)!r}, which is there already: --overwrite replaces it\n"
    )
    assert _run(source, "--hdr-boost", 4, "--preview", look, "--overwrite").exit_code == 0
    assert look.read_bytes() != b"somebody's picture"


def test_with_out_the_run_follows(source: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.pth").write_bytes(make_small_weights(tmp_path).release)
    look, target = tmp_path / "look.webp", tmp_path / "out.exr"
    result = _run(source, target, "--hdr-boost", 4, "--model", tmp_path / "tiny.pth", "--preview", look)
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{look}: ")
    assert second.startswith(f"{target}: 240 × 160")
    assert look.is_file()


def test_a_mask_reaches_the_preview_and_the_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.pth").write_bytes(make_small_weights(tmp_path).release)
    Image.new("L", (3, 2), 0).save(tmp_path / "black.png")
    look, target = tmp_path / "look.png", tmp_path / "out.exr"
    options = ("--hdr-boost", 4, "--boost-mask", tmp_path / "black.png", "--model", tmp_path / "tiny.pth")
    result = _run(source, target, "--preview", look, *options)
    assert result.exit_code == 0, result.output
    assert "0 % of the picture above SDR white, highest 1 (203 cd/m²), nothing is lifted" in result.stdout
    assert oiio.ImageBuf(str(target)).spec().getattribute("luxscaler:boost_mask") == "applied"


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preview", "{folder}/look.exr"], "a preview is a picture for the screen"),
        (["--preview", "{folder}/absent/look.png"], "the folder does not exist"),
        (["--preview", "{folder}/in.png"], "which is IN: give it another name"),
        (["{folder}/a.png", "--preview", "{folder}/a.png"], "which is OUT: give it another name"),
        (["--preview", "{folder}/a.png", "--report", "{folder}/a.html"], "--report compares IN and OUT"),
        (["--preview", "{folder}/a.png", "--hdr-boost", "50"], "hdr_boost is 50.0"),
        (["--preview", "{folder}/a.png", "--boost-mask", "{folder}/in.png"], "hdr_boost is 1: give more"),
        (
            ["--preview", "{folder}/a.png", "--boost-mask", "{folder}/absent.png", "--hdr-boost", "2"],
            "boost_mask: ",
        ),
    ],
)
def test_what_cannot_be_previewed_is_one_line(
    source: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    before = source.read_bytes()
    result = _run(source, *(text.format(folder=tmp_path) for text in options))
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert source.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"in.png", "weights"}


def test_neither_a_result_nor_a_preview_is_wrong_usage(source: Path) -> None:
    result = _run(source)
    assert result.exit_code == 2
    assert "give OUT, or --preview FILE" in " ".join(result.stderr.split())
