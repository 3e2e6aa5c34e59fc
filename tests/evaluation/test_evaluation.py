"""The evaluate-hdr command from end to end, on tiny pictures."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from evaluation.__main__ import DOCUMENTED, DOCUMENTED_BYTES, main
from evaluation.baselines import BASELINES
from evaluation.expansion import Expansion
from evaluation.method import OURS, ours
from evaluation.renderings import RENDERINGS
from evaluation.report import BEGIN, END
from tests.conftest import ROOT
from tests.evaluation.support import light, write_exr, write_pair

FAST = ("--no-cvvdp", "--jobs", "1")


def write_pictures(folder: Path) -> Path:
    """Two photographs, a pair, and a file that is no picture, in a new folder."""
    for seed, name in enumerate(("one.exr", "two.EXR")):
        write_exr(folder / name, light(seed))
    write_pair(folder, "phone", light(2))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "hdr")


class FakeFit:
    """Fits nothing, and remembers what was left out."""

    def __init__(self) -> None:
        self.left_out: list[frozenset[str]] = []

    def __call__(self, left_out: frozenset[str]) -> Expansion:
        self.left_out.append(left_out)
        return ours


@dataclass(frozen=True)
class Run:
    """What one run of the command left."""

    printed: str
    out: Path
    document: Path
    left_out: list[frozenset[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    top = tmp_path_factory.mktemp("evaluation")
    document = top / "hdr.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    pictures, out = write_pictures(top / "hdr"), top / "out"
    options = [*FAST, "--out", str(out), "--boost", "3", "--leave-one-out", "--document", str(document)]
    printed, fit = io.StringIO(), FakeFit()
    with contextlib.redirect_stdout(printed):
        assert main([str(pictures), *options], fit) == 0
    return Run(printed.getvalue(), out, document, fit.left_out)


@pytest.mark.slow
def test_tables_json_and_sheets(run: Run) -> None:
    assert run.printed.startswith("Pictures: pairs: 1, photographs: 2. Boost 3;")
    for name in (*BASELINES, OURS, *RENDERINGS):
        assert name in run.printed
    report = json.loads((run.out / "results.json").read_text(encoding="utf-8"))
    assert report["boost"] == 3
    assert set(report["pictures"]) == {"one.exr", "two.EXR", "phone"}
    for rendering in RENDERINGS:
        of = [report["pictures"][name]["scores"][rendering] for name in ("one.exr", "two.EXR")]
        mean = report["groups"]["photographs"]["renderings"][rendering][OURS]["pu21_psnr"]
        assert mean == pytest.approx(sum(s[OURS]["pu21_psnr"] for s in of) / 2)
    sheets = sorted(run.out.glob("*.png"))
    assert len(sheets) == len(RENDERINGS) + 1
    with Image.open(sheets[0]) as picture:
        assert picture.width > 8 * 240


@pytest.mark.slow
def test_the_results_in_a_document_are_replaced_and_its_sheets_are_small(run: Run) -> None:
    text = run.document.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\nPictures: pairs: 1")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "\nold\n" not in text
    sheets = sorted(path for path in run.document.parent.glob("*.webp"))
    assert {path.stem for path in sheets} == set(DOCUMENTED) - {"hdr-panoramas-filmic"}
    assert all(path.stat().st_size <= DOCUMENTED_BYTES for path in sheets)


@pytest.mark.slow
def test_every_picture_is_left_out_once(run: Run) -> None:
    assert sorted(sorted(names) for names in run.left_out) == [["one.exr"], ["phone"], ["two.EXR"]]
    assert "without it (leave-one-out)" in run.printed


@pytest.mark.slow
def test_without_leave_one_out_the_tables_say_so(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.EXR").unlink()
    (folder / "one.exr").unlink()
    assert main([str(folder), "--out", str(tmp_path / "out"), *FAST]) == 0
    printed = capsys.readouterr()
    assert "it may have been fitted to some of these pictures" in printed.out
    assert printed.err == ""


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--boost", "50"], "hdr_boost is 50"),
        (["--jobs", "0"], "jobs is 0"),
        (["--document", "README.md"], "give --leave-one-out too"),
        (["--folds", "2"], "--folds divides the pictures of --leave-one-out"),
        (["--leave-one-out", "--folds", "9"], "folds is 9; it must be from 2 to the number of pictures, 3"),
        (["--leave-one-out", "--document", "README.md"], "no place for the results"),
    ],
)
def test_wrong_options_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    options = [str(ROOT / o) if o.endswith(".md") else o for o in options]
    if "--folds" not in options:
        (folder / "two.EXR").unlink()
    assert main([str(folder), "--out", str(tmp_path / "out"), *FAST, *options], FakeFit()) == 1
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("evaluate-hdr: ")


def test_a_folder_without_pictures_or_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "holds no picture" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    assert "nowhere" in capsys.readouterr().err


def test_a_broken_picture_fails_the_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "three.exr").write_bytes(b"v/1\x01 broken")
    assert main([str(folder), "--out", str(tmp_path / "out"), *FAST]) == 1
    assert "three.exr" in capsys.readouterr().err


def test_options_of_a_fit_need_leave_one_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder), "--out", str(tmp_path / "out"), "--train-with", str(folder)]) == 1
    assert "--train-with and --samples are for the fits of --leave-one-out" in capsys.readouterr().err


@pytest.mark.slow
def test_with_color_video_vdp(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyexr", reason="the extra `evaluate` is not installed")
    (folder / "two.EXR").unlink()
    assert main([str(folder), "--out", str(tmp_path / "out"), "--jobs", "1"]) == 0
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert all(0 < report["overall"][name]["jod"] <= 10 for name in (*BASELINES, OURS))


def test_the_container_holds_no_evaluation() -> None:
    assert "evaluation" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_document_has_a_place_for_the_results_and_names_everything() -> None:
    text = (ROOT / "docs" / "hdr.md").read_text(encoding="utf-8")
    method = text.split(END)[1]
    assert BEGIN in text
    assert all(f"\n| {name} | " in method for name in RENDERINGS)
    authors = {name.split(" 20")[0].split(",")[0] for name in BASELINES if " 20" in name}
    assert all(author in method for author in authors)
