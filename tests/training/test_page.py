"""The report, the card and the lines at the terminal say the same figures."""

import re
from pathlib import Path

import pytest

from luxscaler.training.result import lines, remarks, worse_pictures
from luxscaler.training.train import train
from luxscaler.training.validation import Scores
from tests.support.training_files import Listener, picture, tiny_settings


@pytest.mark.slow
def test_report_and_card(pictures: Path, base: Path, tmp_path: Path) -> None:
    picture(60, 30).save(pictures / "<b>small.png")
    listener = Listener()
    made = train(pictures, tmp_path / "out.safetensors", tiny_settings(base), listener.events)
    assert made.trained.best_scores is not None
    report = (made.folder / "report.html").read_text("utf-8")
    text = (made.folder / "card.md").read_text("utf-8")
    best = f"{made.trained.best_scores.mean('psnr'):.2f}"
    assert best in report
    assert best in text
    assert any(best in line for line in lines(made.trained))
    assert report.count("<img") == 2
    assert report.count("<polyline") == 3
    assert "{{" not in report
    assert not re.search(r'(?:src|href)="(?!data:)', report)
    assert "default-src 'none'" in report
    assert "&lt;b&gt;small.png" in report
    assert "<b>small" not in report
    assert "not used: <b>small.png: it is 30 × 30" in listener.said[0]
    assert "luxscaler upscale IN OUT --model out.safetensors" in text


@pytest.mark.slow
def test_a_cubic_that_is_better_and_a_picture_that_is_worse_are_said(
    pictures: Path, base: Path, tmp_path: Path
) -> None:
    made = train(pictures, tmp_path / "out.safetensors", tiny_settings(base), Listener().events)
    assert any(line.startswith("A plain cubic has ") for line in remarks(made.trained))
    before = Scores({"a": {"psnr": 30.0}, "b": {"psnr": 20.0}, "c": {"psnr": 25.0}})
    after = Scores({"a": {"psnr": 29.5}, "b": {"psnr": 22.0}, "c": {"psnr": 24.9}})
    assert [name for name, _ in worse_pictures(before, after)] == ["a", "c"]
