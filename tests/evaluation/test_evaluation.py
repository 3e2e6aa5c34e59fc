"""The evaluate-hdr command from end to end, on two tiny EXR files."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from evaluation.__main__ import DOCUMENTED, METHODS, main
from evaluation.baselines import BASELINES
from evaluation.renderings import RENDERINGS
from evaluation.report import BEGIN, END, OURS, Results
from tests.conftest import ROOT


def write_pictures(folder: Path) -> Path:
    """Two HDR pictures, with negative pixels, and a file that is no picture, in a new folder."""
    folder.mkdir()
    for seed, name in enumerate(("one.exr", "two.EXR")):
        light = np.exp(np.random.default_rng(seed).normal(-1, 1.5, (24, 32, 3))).astype(np.float32)
        light[:2] = -0.01
        with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGB": light}) as file:
            file.write(str(folder / name))
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "hdr")


@dataclass(frozen=True)
class Run:
    """What one run of the command left."""

    printed: str
    out: Path
    document: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    top = tmp_path_factory.mktemp("evaluation")
    document = top / "hdr.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    pictures, out = write_pictures(top / "hdr"), top / "out"
    options = ["--out", str(out), "--boost", "3", "--no-cvvdp", "--document", str(document)]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main([str(pictures), *options]) == 0
    return Run(printed.getvalue(), out, document)


@pytest.mark.slow
def test_tables_json_and_sheets(run: Run) -> None:
    assert run.printed.startswith("2 pictures, boost 3.")
    for name in (*METHODS, *RENDERINGS):
        assert name in run.printed
    report = json.loads((run.out / "results.json").read_text(encoding="utf-8"))
    assert report["boost"] == 3
    assert set(report["pictures"]) == {"one.exr", "two.EXR"}
    for rendering in RENDERINGS:
        of = [report["pictures"][name][rendering] for name in report["pictures"]]
        assert set(of[0]) == {*BASELINES, OURS}
        mean = report["mean"][rendering][OURS]["pu21_psnr"]
        assert mean == pytest.approx(sum(s[OURS]["pu21_psnr"] for s in of) / 2)
    sheets = sorted(run.out.glob("*.png"))
    assert len(sheets) == len(RENDERINGS)
    with Image.open(sheets[0]) as picture:
        assert picture.width > 8 * 240


def test_the_results_in_a_document_are_replaced(run: Run) -> None:
    text = run.document.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n2 pictures")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text
    assert (run.document.parent / "hdr-filmic.webp").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--boost", "50"], "hdr_boost is 50"), (["--document", "README.md"], "no place for the results")],
)
def test_wrong_options_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    options = [str(ROOT / o) if o.endswith(".md") else o for o in options]
    assert main([str(folder), "--out", str(tmp_path / "out"), "--no-cvvdp", *options]) == 1
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
    assert main([str(folder), "--out", str(tmp_path / "out"), "--no-cvvdp"]) == 1
    assert "three.exr" in capsys.readouterr().err


def test_tables_mark_the_best_and_state_the_lead() -> None:
    results = Results()
    for method, value in (("SDR untouched", 30.0), ("Landis 2002", 31.0), (OURS, 31.5)):
        results.add("a.exr", "filmic", method, {"pu21_psnr": value, "jod": value / 4})
    assert results.best_baseline("filmic") == "Landis 2002"
    tables = results.tables()
    assert f"| {OURS} | **31.50** | **31.50** |" in tables
    assert f"| *{OURS} over the best other* | +0.50 | +0.50 |" in tables
    assert "ColorVideoVDP" in tables


@pytest.mark.slow
def test_with_color_video_vdp(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyexr", reason="the extra `evaluate` is not installed")
    (folder / "two.EXR").unlink()
    assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert all(0 < s["jod"] <= 10 for of in report["mean"].values() for s in of.values())


def test_the_container_holds_no_evaluation() -> None:
    assert "evaluation" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_the_document_has_a_place_for_the_results_and_names_everything() -> None:
    text = (ROOT / "docs" / "hdr.md").read_text(encoding="utf-8")
    results = text.split(BEGIN)[1].split(END)[0]
    assert all(name in results for name in (*METHODS, *RENDERINGS))
    assert all(f"\n| {name} | " in text.split(END)[1] for name in RENDERINGS)
    assert all((ROOT / "docs" / f"{name}.webp").is_file() for name in DOCUMENTED)
