"""`luxscaler upscale` with several pictures and with pipes: what is written, said and refused."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import luxscaler
from luxscaler.cli.arguments import is_one_file
from luxscaler.cli.main import app
from luxscaler.errors import ExportError
from luxscaler.io.formats import SUFFIXES
from luxscaler.upscaling.model_cache import Models
from tests.support.picture_files import noise, pillow
from tests.support.small_weights import make_small_weights


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/{a.png, b.jpg, more/c.png}, tiny.pth as the model, and nothing said of progress.

    Pictures are decoded here: a process for each would take longer than all else.
    """
    monkeypatch.setattr("luxscaler.isolation.pool.IS_AVAILABLE", False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("LUXSCALER_UPSCALE_PROGRESS", "none")
    monkeypatch.setenv("LUXSCALER_UPSCALE_MODEL", "tiny.pth")
    (tmp_path / "tiny.pth").write_bytes(make_small_weights(tmp_path).release)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name, kind in (("a.png", "PNG"), ("b.jpg", "JPEG"), ("more/c.png", "PNG")):
        (tmp_path / "photos" / name).write_bytes(pillow(noise(6, 8), kind))
    return tmp_path


def _run(*arguments: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["upscale", *arguments], prog_name="luxscaler", input=stdin)


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _events(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_with_a_suffix_that_is_written_is_one_file(here: Path, suffix: str) -> None:
    assert is_one_file(f"out{suffix}")
    assert is_one_file(f"out{suffix.upper()}")
    (here / f"folder{suffix}").mkdir()
    assert not is_one_file(f"folder{suffix}")


def test_a_folder_into_a_folder_with_one_network(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = Models._network

    def counted(models: Models, name: str) -> object:
        loaded.append(name)
        return load(models, name)

    monkeypatch.setattr(Models, "_network", counted)
    result = _run("photos", "out", "--recursive", "--format", "png")
    assert result.exit_code == 0, result.output
    assert _files(here / "out") == ["a.png", "b.png", "more/c.png"]
    assert loaded == ["tiny.pth"]
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        *("out/a.png", "out/b.png", "out/more/c.png")
    ]
    assert result.stderr.startswith("3 pictures: 3 written (")


def test_a_source_may_have_the_name_of_a_result_elsewhere(here: Path) -> None:
    (here / "a.png").write_bytes(Path("photos/a.png").read_bytes())
    assert _run("a.png", "new/deep/{name}").exit_code == 0
    assert _files(here / "new") == ["deep/a.png"]
    (here / "file").write_bytes(b"x")
    blocked = _run("a.png", "file/{name}")
    assert blocked.exit_code == 1
    assert len(blocked.stderr.splitlines()) == 1


def test_a_glob_and_a_pattern(here: Path) -> None:
    assert _run("photos/*.*", "out/{stem}_x{scale}.webp", "--scale", "2").exit_code == 0
    assert _files(here / "out") == ["a_x2.webp", "b_x2.webp"]
    with Image.open("out/a_x2.webp") as picture:
        assert picture.size == (16, 12)


def test_one_that_fails_does_not_stop_the_others_and_the_status_tells(here: Path) -> None:
    (here / "photos" / "broken.png").write_bytes(b"This is no picture.")
    result = _run("photos", "out/{stem}.png")
    assert result.exit_code == 3
    assert _files(here / "out") == ["a.png", "b.png"]
    error, summary = result.stderr.splitlines()
    assert error.startswith("error: photos/broken.png is not a picture")
    assert summary.startswith("3 pictures: 2 written, 1 failed (")
    assert _run("photos/broken.png", "photos/absent.png", "none/{stem}.png").exit_code == 1
    assert not _files(here / "none")


def test_what_nobody_foresaw_is_told_with_its_traceback_and_the_rest_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import luxscaler.masters.upscale as module

    work = module.upscale_picture

    def faulty(request: luxscaler.Picture, target: Path, *rest: object, **more: object) -> object:
        if target.name == "a.png":
            raise ZeroDivisionError("a bug")
        return work(request, target, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "upscale_picture", faulty)
    result = _run("photos", "out/{stem}.png")
    assert result.exit_code == 3
    assert "error: photos/a.png: unexpected ZeroDivisionError: a bug" in result.stderr
    assert "Traceback" in result.stderr
    assert _files(here / "out") == ["b.png"]


def test_results_that_are_there(here: Path) -> None:
    assert _run("photos/a.png", "out/{stem}.png").exit_code == 0
    before = (here / "out" / "a.png").stat()
    refused = _run("photos", "out/{stem}.png")
    assert refused.exit_code == 1
    assert "'out/a.png' is there already: --overwrite replaces it" in refused.stderr
    assert _files(here / "out") == ["a.png"]
    skipped = _run("photos", "out/{stem}.png", "--skip-existing")
    assert skipped.exit_code == 0
    assert skipped.stderr.startswith("2 pictures: 1 written, 1 skipped")
    assert (here / "out" / "a.png").stat().st_ino == before.st_ino
    assert _run("photos", "out/{stem}.png", "--overwrite").exit_code == 0
    assert (here / "out" / "a.png").stat().st_ino != before.st_ino
    assert _run("photos/a.png", "out/a.png").exit_code == 1
    assert _run("photos/a.png", "out/a.png", "--overwrite").exit_code == 0


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_picture_is_never_written_over(here: Path, link: object) -> None:
    assert callable(link)
    before = Path("photos/a.png").read_bytes()
    link(Path("photos/a.png").absolute(), "same.png")
    for arguments in (
        ("photos/a.png", "photos/a.png"),
        ("photos/a.png", "same.png"),
        ("photos", "photos/{name}"),
    ):
        result = _run(*arguments, "--overwrite")
        assert result.exit_code == 1
        assert "it is the same file as " in result.stderr
    assert Path("photos/a.png").read_bytes() == before


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["photos/a.png", "photos/b.jpg", "one.exr"], 2, "is one file, and IN names 2 pictures"),
        (["photos", "one.exr"], 1, "2 pictures cannot all be written to 'one.exr'"),
        (
            ["photos", "out"],
            1,
            "taken as a folder: say the format of the results by --format, or give a pattern",
        ),
        (
            ["photos", "out/{stem}.exr", "--recursive", "--skip-existing", "--overwrite"],
            2,
            "give one of them",
        ),
        (["photos", "out/{nme}.exr"], 1, "a field {nme}; known are {stem}"),
        (["photos", "out/same.exr{index:.0}"], 1, "{index:.0} cannot be written"),
        (["photos", "out/{stem}.gif"], 1, "has no suffix of a known format"),
        (["photos/a.png", "-"], 2, "OUT is standard output: say its format by --format"),
        (["photos", "-", "--format", "png"], 1, "2 pictures cannot all be written to standard output"),
        (["photos", "out/{stem}.png", "--preview", "look.png"], 2, "it shows one picture"),
        (
            ["photos/a.png", "a.exr", "--report", "a.exr"],
            1,
            "the result and its report would be the same file",
        ),
        (["photos", "out/{stem}.exr", "--report", "page.html"], 1, "would both be written to 'page.html'"),
        (["photos/a.png", "a.exr", "--quiet", "--verbose"], 2, "give one of them"),
        (["photos/a.png", "a.exr", "--progress", "loud"], 2, "'loud' is none of auto, bar, lines, none"),
        (
            ["photos/a.png", "tiny.pth", "--format", "exr", "--overwrite"],
            1,
            "it is the same file as 'tiny.pth'",
        ),
    ],
)
def test_what_cannot_be_is_said_before_any_work(
    here: Path, arguments: list[str], status: int, words: str
) -> None:
    before = _files(here)
    result = _run(*arguments)
    assert result.exit_code == status, result.output
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output
    assert _files(here) == before
    assert not (here / "out").exists()


def test_through_pipes(here: Path) -> None:
    data = Path("photos/a.png").read_bytes()
    result = _run("-", "-", "--format", "png", stdin=data)
    assert result.exit_code == 0, result.stderr
    with Image.open(io.BytesIO(result.stdout_bytes)) as picture:
        assert picture.size == (32, 24)
    assert result.stderr.startswith("standard output: 32 × 24, peak ")
    assert _run("photos/a.png", "file.png").exit_code == 0
    assert Path("file.png").read_bytes() == result.stdout_bytes
    assert _run("-", "out/{stem}.exr", stdin=data).exit_code == 0
    assert _files(here / "out") == ["stdin.exr"]
    assert "the data is empty" in _run("-", "b.exr").stderr


def test_json_lines(here: Path) -> None:
    (here / "photos" / "broken.png").write_bytes(b"This is no picture.")
    _run("photos/a.png", "out/{stem}.png")
    result = _run("photos", "out/{stem}.png", "--skip-existing", "--json", "--hdr-boost", "4")
    assert result.exit_code == 3
    assert result.stderr == ""
    events = _events(result.stdout)
    assert [event["event"] for event in events] == ["skipped", "note", "result", "error", "summary"]
    assert events[0] | {"input": "photos/a.png", "output": "out/a.png"} == events[0]
    assert "hdr_boost 4 changes nothing: png shows the SDR rendering" in str(events[1]["message"])
    assert events[2] | {"output": "out/b.png", "width": 32, "height": 24, "tiles": 1} == events[2]
    assert events[3] | {"input": "photos/broken.png", "kind": "PictureError"} == events[3]
    assert events[4] | {"pictures": 3, "written": 1, "skipped": 1, "failed": 1, "left": 0} == events[4]


def test_json_says_what_ends_all_and_keeps_standard_output_for_the_picture(here: Path) -> None:
    result = _run("photos/a.png", "a.exr", "--json", "--hdr-boost", "50")
    assert result.exit_code == 1
    (event,) = _events(result.stdout)
    assert event["kind"] == "InputError"
    piped = _run("photos/a.png", "-", "--format", "webp", "--json")
    assert piped.stdout_bytes[:4] == b"RIFF"
    assert [event["event"] for event in _events(piped.stderr)] == ["result", "summary"]


def test_a_report_takes_nobodys_place(here: Path) -> None:
    (here / "other.png").write_bytes(b"somebody's picture")
    (here / "page.html").write_bytes(b"somebody's page")
    wrong = _run("photos/a.png", "a.exr", "--report", "other.png")
    assert wrong.stderr == "error: report is 'other.png'; it must end in .html or .htm\n"
    there = _run("photos/a.png", "a.exr", "--report", "page.html")
    assert there.stderr == "error: the report 'page.html' is there already: --overwrite replaces it\n"
    assert (there.exit_code, (here / "page.html").read_bytes()) == (1, b"somebody's page")
    assert (here / "other.png").read_bytes() == b"somebody's picture"
    assert not (here / "a.exr").exists()
    assert _run("photos/a.png", "a.exr", "--report", "page.html", "--overwrite").exit_code == 0
    assert (here / "page.html").read_bytes().startswith(b"<!")


def test_what_is_no_file_name_is_taken_as_a_folder_and_said_so(here: Path) -> None:
    result = _run("photos/a.png", "a.exr", "--overwrite", "true")
    assert result.stderr.startswith("error: OUT is 'true', taken as a folder: say the format")
    assert _files(here) == ["photos/a.png", "photos/b.jpg", "photos/more/c.png", "tiny.pth"]


def test_pictures_of_one_name_are_told_apart_in_errors(here: Path) -> None:
    for folder in ("photos", "photos/more"):
        (here / folder / "broken.png").write_bytes(b"")
    result = _run("photos", "out/{folder}/{stem}.png", "--recursive")
    assert "error: photos/broken.png is empty\n" in result.stderr
    assert "error: photos/more/broken.png is empty\n" in result.stderr


@pytest.mark.slow
def test_quiet_and_verbose(here: Path) -> None:
    quiet = _run("photos", "out/{stem}.png", "--quiet", "--hdr-boost", "4")
    assert (quiet.exit_code, quiet.output) == (0, "")
    (here / "photos" / "broken.png").write_bytes(b"")
    failed = _run("photos", "out/{stem}.png", "-q", "--skip-existing")
    assert failed.stderr == "error: photos/broken.png is empty\n"
    loud = _run("photos", "out/{stem}.webp", "--verbose")
    assert "photos/a.png → out/a.webp" in loud.stderr
    assert "8 × 6 → 32 × 24 in 1 tile, backend local" in loud.stderr
    assert "in all" in loud.stderr
    assert "luxscaler.errors.PictureError: broken.png is empty" in loud.stderr


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("name", "noted"), [("a.png", True), ("a.webp", True), ("a.exr", False), ("a.jpg", False)]
)
def test_a_boost_that_a_format_cannot_hold_is_noted(name: str, noted: bool) -> None:
    result = _run("photos/a.png", name, "--hdr-boost", "4")
    assert result.exit_code == 0, result.output
    assert ("note: hdr_boost 4 changes nothing" in result.stderr) == noted
    assert "note:" not in _run("photos/a.png", f"b{name}").stderr


def test_names_of_255_bytes(here: Path) -> None:
    source, target, page = "ö" * 125 + ".png", "n" * 251 + ".exr", "r" * 250 + ".html"
    Path(source).write_bytes(pillow(noise(6, 8), "PNG"))
    result = _run(source, target, "--report", page)
    assert result.exit_code == 0, result.output
    assert Path(target).is_file()
    assert Path(page).is_file()
    too_long = _run(source, "n" * 252 + ".exr")
    assert too_long.exit_code == 1
    assert "File name too long" in too_long.stderr
    assert len(too_long.stderr.splitlines()) == 1


def test_in_python(here: Path) -> None:
    (here / "photos" / "broken.png").write_bytes(b"")
    told: list[str] = []
    outcomes = luxscaler.upscale_many(
        ["photos"],
        "out",
        output_format="exr",
        model="tiny.pth",
        scale=2,
        ended=lambda outcome: told.append(outcome.pair.source.stem),
    )
    assert told == ["a", "b", "broken"]
    assert [outcome.result is not None for outcome in outcomes] == [True, True, False]
    assert isinstance(outcomes[2].error, luxscaler.errors.PictureError)
    assert np.array_equal(luxscaler.read("out/a.exr").rgb.shape, (12, 16, 3))
    with pytest.raises(ExportError, match="is there already"):
        luxscaler.upscale_many(["photos"], "out", output_format="exr", model="tiny.pth")
