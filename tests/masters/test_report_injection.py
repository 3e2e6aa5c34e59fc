"""The page of a master whose file's name and metadata want to be markup."""

import re
from pathlib import Path

import pytest
from PIL import Image

from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.pipeline.request import UpscaleRequest
from tests.support.fake_backend import FakeBackend
from tests.support.picture_files import noise

MARK = "<script>alert(1)<"
EVIL = f"{MARK}\"'>{{{{DATA}}}}&lt;.png"


@pytest.mark.parametrize("where", ["source", "target"])
def test_names_and_exif_are_text(where: str, tmp_path: Path) -> None:
    source = tmp_path / (EVIL.replace("/", "") if where == "source" else "in.png")
    target = tmp_path / (EVIL.replace("/", "") if where == "target" else "out.png")
    exif = Image.Exif()
    for tag in (
        0x010E,
        0x010F,
        0x0110,
        0x0131,
        0x013B,
        0x8298,
    ):  # description, maker, model, software, artist
        exif[tag] = MARK + "\"' onload=alert(1)"
    Image.fromarray(noise(24, 32)).save(source, "PNG", exif=exif)
    page = tmp_path / "page.html"
    upscale_picture(
        UpscaleRequest(source, output_format="png"), target, FakeBackend(), RunOptions(report=page)
    )
    text = page.read_text("utf-8")
    assert MARK not in text
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)&lt;", "", text)
    assert "Content-Security-Policy" in text
    name = re.compile("<h1>\u2068[^\u2068\u2069]+\u2069 → \u2068[^\u2068\u2069]+\u2069</h1>")
    assert name.search(text), "a name that is written from right to left turns nothing around it"
