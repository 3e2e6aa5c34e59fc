"""`luxscaler upscale`: sizes, profiles, edges that meet and sequences, from the command line to the file."""

import os
from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from luxscaler.cli.main import app
from tests.support.picture_files import noise, pillow
from tests.support.small_weights import make_small_weights


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny network's checkpoint, which serves as the model."""
    monkeypatch.setenv("NO_COLOR", "1")
    path = tmp_path / "tiny.pth"
    path.write_bytes(make_small_weights(tmp_path).release)
    return str(path)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["upscale", *map(str, arguments)], prog_name="luxscaler")


@pytest.mark.slow
def test_a_print_of_a_texture(tmp_path: Path, checkpoint: str) -> None:
    source, target = tmp_path / "in.png", tmp_path / "poster.tif"
    source.write_bytes(pillow(noise(16, 24), "PNG"))
    asked = ("--print", "10x6mm@150", "--format", "tiff16", "--profile", "adobe-rgb", "--wrap", "xy")
    result = run(source, target, "--model", checkpoint, "--device", "cpu", *asked)
    assert result.exit_code == 0, result.output
    assert "53 × 35" in result.stdout
    assert "note: print 10x6mm@150: 53 × 35 pixels" in result.stderr
    spec = oiio.ImageBuf(str(target)).spec()
    assert (spec.width, spec.height, str(spec.format)) == (53, 35, "uint16")
    assert spec.getattribute("XResolution") == 150.0
    assert "Adobe RGB" in spec.get_string_attribute("ICCProfile:profile_description")


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (("--width", "100", "--height", "50"), "got width and height"),
        (("--print", "A4"), "print is 'A4'; it must be WIDTHxHEIGHT"),
        (("--long-edge", "100000"), "8 times is the most"),
        (("--wrap", "z"), "wrap is 'z'"),
        (("--wrap", "x", "--scale", "1.3"), "the width 24 times the scale 1.3 is 31.2"),
        (("--profile", "acescg"), "linear light for floats"),
        (("--profile", "p3"), "profile must be one of srgb"),
        (("--frames", "1-3"), "is one picture"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line_before_the_work(
    asked: tuple[str, ...], says: str, tmp_path: Path, checkpoint: str
) -> None:
    source = tmp_path / "in.png"
    source.write_bytes(pillow(noise(16, 24), "PNG"))
    result = run(source, tmp_path / "out.png", "--model", checkpoint, *asked)
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
    assert not (tmp_path / "out.png").exists()


def test_a_sequence(tmp_path: Path, checkpoint: str) -> None:
    for number in (1, 2, 3):
        pixels = np.full((8, 8, 3), 0.2 * number, np.float32)
        header = {"timeCode": OpenEXR.TimeCode(1, 2, 3, number, *[0] * 14)}
        with OpenEXR.File(header, {"RGB": pixels}) as file:
            file.write(str(tmp_path / f"plate.{number:04d}.exr"))
    folder = tmp_path / "new" / "big"
    names = (tmp_path / "plate.####.exr", folder / "big.%03d.exr")
    result = run(*names, "--frames", "1-3x2", "--hdr-boost", 3, "--model", checkpoint, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == [
        str(folder / f"big.{number:03d}.exr") for number in (1, 3)
    ]
    assert "2 frames, one curve" in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["big.001.exr", "big.003.exr"]
    spec = oiio.ImageBuf(str(folder / "big.003.exr")).spec()
    assert spec.get_string_attribute("smpte:TimeCode") == "01:02:03:03"
    refused = run(*names, "--report", tmp_path / "page.html", "--model", checkpoint)
    assert "--report compares two pictures; IN is a sequence" in refused.stderr
    os.link(tmp_path / "plate.0001.exr", tmp_path / "linked.0003.exr")
    for out in ("plate.%04d.exr", "linked.####.exr"):
        refused = run(names[0], tmp_path / out, "--overwrite", "--model", checkpoint)
        assert (refused.exit_code, "it is the same file as" in refused.stderr) == (1, True)


@pytest.mark.slow
def test_a_broken_frame_is_named_and_the_others_are_made(tmp_path: Path, checkpoint: str) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"in.{number}.png").write_bytes(pillow(noise(8, 8), "PNG"))
    broken, whole = tmp_path / "in.2.png", (tmp_path / "in.2.png").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    names = (tmp_path / "in.#.png", tmp_path / "out.#.png", "--model", checkpoint, "--device", "cpu")
    result = run(*names, "--hdr-boost", 2)
    assert result.exit_code == 3, result.output
    note = "note: 3 frames, one curve; frame 2 cannot be read: the curve is that of the others"
    assert note in result.stderr.splitlines()
    assert result.stderr.count(f"error: {broken} is damaged") == 1
    summary = result.stderr.splitlines()[-1]
    assert summary.startswith("3 pictures: 2 written, 1 failed")
    made = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("out.*")}
    assert set(made) == {"out.1.png", "out.3.png"}
    broken.write_bytes(whole)
    again = run(*names, "--hdr-boost", 2, "--skip-existing")
    assert again.exit_code == 0, again.output
    assert "3 pictures: 1 written, 2 skipped" in again.stderr
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in made} == made
    nothing = run(*names, "--hdr-boost", 2, "--skip-existing")
    assert nothing.exit_code == 0
    assert "one curve" not in nothing.stderr  # no frame was read for nothing
    for number in (1, 2, 3):
        (tmp_path / f"in.{number}.png").write_bytes(b"no picture")
    assert run(*names, "--overwrite").exit_code == 1


def test_a_frame_of_the_shot_keeps_its_size(tmp_path: Path, checkpoint: str) -> None:
    Image.new("RGB", (10, 6), (90, 120, 40)).save(tmp_path / "a.7.png")
    made = run(
        *(tmp_path / "a.#.png", tmp_path / "b.#.webp"),
        *("--long-edge", 25, "--model", checkpoint, "--device", "cpu"),
    )
    assert made.exit_code == 0, made.output
    with Image.open(tmp_path / "b.7.webp") as picture:
        assert picture.size == (25, 15)
