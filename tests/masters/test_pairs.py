"""Which pictures, and which file becomes of each: folders, globs, patterns, and what is refused."""

import os
from pathlib import Path

import pytest

from luxscaler.errors import ExportError, InputError
from luxscaler.io.formats import FORMATS, SUFFIXES, suffix_of
from luxscaler.masters.finding import find_pictures
from luxscaler.masters.naming import Naming, in_folder
from luxscaler.masters.pairs import Pair, existing, pair_up, refuse_existing


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/{a.jpg, b.PNG, notes.txt, .hidden.png, in/a.jpg, in/deep/c.tif, a.exr.job/x.png}."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "a.jpg",
        "b.PNG",
        "notes.txt",
        ".hidden.png",
        "in/a.jpg",
        "in/deep/c.tif",
        "a.exr.job/x.png",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _names(*sources: str, recursive: bool = False, leave_out: Path | None = None) -> list[str]:
    found = find_pictures(sources, recursive=recursive, leave_out=leave_out)
    return [one.name for one in found]


def test_a_folder_holds_its_pictures_in_order(here: Path) -> None:
    assert _names("photos") == ["photos/a.jpg", "photos/b.PNG"]
    assert _names("photos", recursive=True) == [
        "photos/a.jpg",
        "photos/b.PNG",
        "photos/in/a.jpg",
        "photos/in/deep/c.tif",
    ]
    assert _names("photos", recursive=True, leave_out=Path("photos/in")) == ["photos/a.jpg", "photos/b.PNG"]


@pytest.mark.parametrize("suffix", ["hif", "mpo", "jpx", "j2c", "psb", "apng", "IIQ", "nrw", "x3f", "3fr"])
def test_a_folder_holds_pictures_of_every_suffix_that_is_read(here: Path, suffix: str) -> None:
    (here / "mixed").mkdir()
    (here / "mixed" / f"a.{suffix}").write_bytes(b"x")
    assert _names("mixed") == [f"mixed/a.{suffix}"]


def test_globs_and_files_and_each_once(here: Path) -> None:
    assert _names("photos/*.jpg", "photos/a.jpg", "./photos/a.jpg") == ["photos/a.jpg"]
    assert _names("photos/**/*.jpg") == ["photos/a.jpg", "photos/in/a.jpg"]
    assert _names("photos/notes.txt", "-", "absent.png") == [
        "photos/notes.txt",
        "standard input",
        "absent.png",
    ]
    (here / "a[1].png").write_bytes(b"x")
    assert _names("a[1].png") == ["a[1].png"]


def test_what_a_glob_finds_has_its_folder_and_no_results(here: Path) -> None:
    folders = {one.name: str(one.folder) for one in find_pictures(["photos/**/*.jpg"])}
    assert folders == {"photos/a.jpg": ".", "photos/in/a.jpg": "in"}
    (deep,) = find_pictures([f"{here}/photos/*/deep/*.tif"])
    assert str(deep.folder) == "in/deep"
    (flat,) = find_pictures(["photos/in/*.jpg"])
    assert str(flat.folder) == "."
    assert _names("photos/**/*.jpg", leave_out=Path("photos/in")) == ["photos/a.jpg"]
    assert _names("photos/in/*.jpg", leave_out=Path("photos/in")) == ["photos/in/a.jpg"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("photos/*.bmp", "does not exist, and no file matches it"),
        ("empty", "holds no picture, going by suffixes; --recursive"),
        ("n" * 300, "cannot be opened: File name too long"),
    ],
)
def test_nothing_found_is_an_error(here: Path, source: str, words: str) -> None:
    (here / "empty").mkdir()
    with pytest.raises(InputError, match=words):
        find_pictures([source])


def _pairs(pattern: str, *sources: str, file_format: str = "", report: str | None = None) -> list[Pair]:
    values = {"scale": "2.5", "model": "fast", "hdr_boost": "4"}
    naming = Naming(pattern, file_format, values)
    pages = None if report is None else Naming(report, file_format, values)
    found = find_pictures(sources, recursive=True, leave_out=naming.folder)
    return pair_up(found, pattern, naming, pages)


def _targets(pattern: str, *sources: str, file_format: str = "") -> list[str]:
    return [str(pair.target) for pair in _pairs(pattern, *sources, file_format=file_format)]


def test_patterns_are_filled_in(here: Path) -> None:
    pattern = "out/{index:03d}_{stem}_x{scale}_{model}_{hdr_boost}.exr"
    assert _targets(pattern, "photos/a.jpg") == ["out/001_a_x2.5_fast_4.exr"]
    assert _targets("{name}.{ext}", "photos/b.PNG", file_format="png-pq") == ["b.PNG.png"]
    assert _targets(in_folder("o{u}t"), "photos", file_format="tiff") == [
        *("o{u}t/a.tiff", "o{u}t/b.tiff", "o{u}t/in/a.tiff", "o{u}t/in/deep/c.tiff"),
    ]


def test_every_format_has_a_suffix_that_is_known() -> None:
    assert {suffix_of(name) for name in FORMATS} <= set(SUFFIXES)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("out/{surprise}.exr", r"a field \{surprise\}; known are \{stem\}, \{name\}"),
        ("out/{stem.__class__}.exr", r"a field \{stem.__class__\}"),
        ("out/{}.exr", r"a field \{\}"),
        ("out/{stem.exr", "is no name pattern"),
        ("out/{stem}.{ext}", "say --format"),
        ("out/{stem:d}.exr", r"\{stem:d\} cannot be written"),
    ],
)
def test_a_pattern_that_cannot_be_filled_in(here: Path, pattern: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        _targets(pattern, "photos/a.jpg")


def test_two_pictures_and_one_file(here: Path) -> None:
    with pytest.raises(InputError, match=r"'photos/a.jpg' and 'photos/in/a.jpg' would both be written to"):
        _targets("out/{stem}.exr", "photos")
    (here / "out").mkdir()
    (here / "same").symlink_to("out")
    (here / "x").mkdir()
    (here / "x" / "same").write_bytes(b"x")
    (here / "x" / "out").write_bytes(b"x")
    with pytest.raises(InputError, match=r"'x/out' and 'x/same' would both be written to 'same/r.exr'"):
        _targets("{stem}/r.exr", "x/out", "x/same")
    found = find_pictures(["photos"])
    with pytest.raises(InputError, match=r"2 pictures cannot all be written to 'one.exr'"):
        pair_up(found, "one.exr", None)


def test_results_that_are_sources_are_refused_by_links_too(here: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot write 'photos/a.jpg': it is the same file"):
        _targets("photos/{name}", "photos/a.jpg")
    (here / "out").mkdir()
    os.link("photos/b.PNG", "out/a.png")
    with pytest.raises(ExportError, match=r"the same file as 'photos/b.PNG'"):
        _targets("out/{stem}.png", "photos/a.jpg", "photos/b.PNG")
    (here / "same").symlink_to("photos")
    with pytest.raises(ExportError, match=r"the same file as 'photos/a.jpg'"):
        _targets("same/{stem}.jpg", "photos/a.jpg")


def test_a_page_is_no_result(here: Path) -> None:
    with pytest.raises(InputError, match=r"the result and its report would be the same file"):
        _pairs("out/{stem}.exr", "photos/a.jpg", report="out/a.exr")
    with pytest.raises(InputError, match=r"would both be written to 'page.html'"):
        _pairs("out/{name}.exr", "photos/a.jpg", "photos/b.PNG", report="page.html")
    (pair,) = _pairs("out/{stem}.exr", "photos/a.jpg", report="out/{stem}.html")
    assert pair.report == Path("out/a.html")


def test_a_second_run_does_not_enlarge_the_results_of_the_first(here: Path) -> None:
    (here / "photos" / "a_x4.png").write_bytes(b"x")
    pairs = [
        pair.target
        for pair in pair_up(find_pictures(["photos"]), "photos/{stem}_x4.png", Naming("photos/{stem}_x4.png"))
    ]
    assert pairs == [Path("photos/a_x4.png"), Path("photos/b_x4.png")]


def test_results_that_are_there_are_somebodys(here: Path) -> None:
    pairs = _pairs("out/{stem}.exr", "photos/a.jpg", "photos/b.PNG")
    assert existing(pairs) == []
    refuse_existing(pairs)
    (here / "out").mkdir()
    for name in ("a", "b"):
        (here / "out" / f"{name}.exr").write_bytes(b"x")
    assert existing(pairs) == pairs
    with pytest.raises(ExportError, match=r"'out/a.exr' is there already \(and 1 more\): --overwrite"):
        refuse_existing(pairs)
