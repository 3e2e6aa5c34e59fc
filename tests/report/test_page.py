"""The compare page: what it says, and that nothing in it can act but its own script."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from luxscaler.errors import ExportError
from luxscaler.picture import Picture
from luxscaler.report.page import Detail, Report, TileFigure, render_page, write_report
from tests.report.test_previews import decode

VOID = {"meta", "input", "br", "img", "link"}
HOSTILE = "</script></title><img src=x onerror=alert(1)>'\"&{{DATA}}\u202e\udcff.png"


class Page(HTMLParser):
    """Checks that elements are closed in order; keeps attributes and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1] if self.open else "", data))

    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.elements if "id" in attributes]

    def script(self, name: str) -> str:
        """The text of the script element with this id; "" for the one that has none."""
        scripts = [attributes.get("id") or "" for tag, attributes in self.elements if tag == "script"]
        texts = [text for tag, text in self.texts if tag == "script"]
        return texts[scripts.index(name)]


def make_report(name: str = "lamp.jpg", *, estimated: bool = True) -> Report:
    light = np.random.default_rng(5).random((30, 40, 3), np.float32)
    after = Picture(np.repeat(np.repeat(light * 3, 2, 0), 2, 1))
    return Report(
        title=f"{name} → result.exr",
        before=Picture(light),
        after=after,
        figures=(("Source", name), ("Peak", "609 cd/m², 1.58 stops above SDR white")),
        tiles=(
            TileFigure(0, (0.0, 0.0, 0.6, 1.0), 3.14, 1, 0.0011),
            TileFigure(1, (0.4, 0.0, 0.6, 1.0), 5.5, 3),
        ),
        estimated_range=estimated,
        details=(Detail(name, (0.5, 0.5, 0.25, 0.25), Picture(light[:15, :20]), Picture(light[15:, 20:])),),
    )


def test_the_page_says_what_the_run_was() -> None:
    text = render_page(make_report())
    page = Page(text)
    words = " ".join(found for _, found in page.texts)
    for part in ("lamp.jpg → result.exr", "Peak", "609 cd/m²", "203 cd/m²", "3.1", "5.5", "0.0011"):
        assert part in words
    assert len(set(page.ids())) == len(page.ids())
    data = json.loads(page.script("data"))
    assert data["tiles"][1] == {
        "number": 2,
        "box": [0.4, 0.0, 0.6, 1.0],
        "attempts": 3,
        "text": "5.5 s · 3 attempts",
    }
    assert data["peak"] == pytest.approx(np.log2(3), abs=0.02)
    assert not re.search(r"\{\{[A-Z]+\}\}", text)


def test_an_estimate_is_called_one_and_nothing_else_is() -> None:
    assert "is an estimate" in render_page(make_report())
    assert "is an estimate" not in render_page(make_report(estimated=False))


def test_the_page_asks_for_nothing() -> None:
    text = render_page(make_report())
    assert not re.search(r"https?:|url\(|@import|data:", text)
    page = Page(text)
    assert not {"link", "img", "iframe", "object"} & {tag for tag, _ in page.elements}
    assert not {"src", "href"} & {name for _, attributes in page.elements for name in attributes}


def test_the_policy_allows_the_pages_own_script_and_style_only() -> None:
    page = Page(render_page(make_report()))
    policy = next(
        str(attributes["content"])
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    style = next(text for tag, text in page.texts if tag == "style")
    for kind, text in (("script", page.script("")), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert not any(
        name.startswith("on") or name == "style" for _, attributes in page.elements for name in attributes
    )


def test_markup_in_names_stays_text(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", make_report(HOSTILE))
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    tame = Page(render_page(make_report()))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in tame.elements]
    shown = HOSTILE.replace("\udcff", "?")
    assert (("h1", f"{shown} → result.exr")) in page.texts
    assert ("td", shown) in page.texts


def test_the_pictures_are_in_the_page() -> None:
    report = make_report()
    page = Page(render_page(report))
    pictures = {entry["id"]: entry for entry in json.loads(page.script("data"))["pictures"]}
    assert list(pictures) == ["before", "after", "detail-0-before", "detail-0-after"]
    for name, picture in (("after", report.after), ("detail-0-before", report.details[0].before)):
        entry = pictures[name]
        back = decode(page.script(name), entry["width"], entry["height"], entry["channels"])
        np.testing.assert_allclose(back, picture.rgb, rtol=2.0**-8.5, atol=1e-6)


def test_the_histogram_counts_every_visible_pixel() -> None:
    rgb = np.ones((10, 10, 3), np.float32)
    rgb[0] = 4
    rgb[1] = 0
    alpha = np.ones((10, 10), np.float32)
    alpha[2] = 0
    report = Report("x", Picture(rgb), Picture(rgb, alpha), ())
    histogram = json.loads(Page(render_page(report)).script("data"))["histogram"]
    bins = len(histogram["after"])
    assert bins == (histogram["last"] - histogram["first"]) * 4
    white = -histogram["first"] * 4
    assert histogram["before"][white] == pytest.approx(0.8)
    assert histogram["before"][white + 8] == pytest.approx(0.1)
    assert histogram["before"][0] == pytest.approx(0.1)
    assert sum(histogram["after"]) == pytest.approx(1, abs=1e-4)
    assert histogram["after"][white + 8] == pytest.approx(10 / 90, abs=1e-5)


def test_a_page_of_little_can_be_made() -> None:
    dark = Picture(np.zeros((1, 1, 3), np.float32), np.zeros((1, 1), np.float32))
    page = Page(render_page(Report("", dark, dark, ())))
    assert "nothing above SDR white" in " ".join(text for _, text in page.texts)


def test_a_page_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot write .*missing"):
        write_report(tmp_path / "missing" / "page.html", make_report())
    (tmp_path / "folder").mkdir()
    with pytest.raises(ExportError, match=r"cannot write .*folder"):
        write_report(tmp_path / "folder", make_report())
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_page_replaces_the_one_before_and_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "page.html", tmp_path / "link.html"
    target.write_text("old")
    link.symlink_to(target)
    write_report(link, make_report())
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "link.html"}


def test_tables_and_what_scrolls_have_names() -> None:
    elements = Page(render_page(make_report())).elements
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    tables = [attributes for tag, attributes in elements if tag == "table"]
    scrolled = [attributes for _, attributes in elements if attributes.get("role") == "region"]
    assert len(tables) == 2
    assert len(scrolled) == 1
    assert all(each.get("aria-labelledby") in ids for each in (*tables, *scrolled))
    assert scrolled[0]["tabindex"] == "0"
