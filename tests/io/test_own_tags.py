"""What results say about their making, read again from every format."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luxscaler.errors import PictureError
from luxscaler.io.formats import FORMATS
from luxscaler.io.own_tags import own_tags
from luxscaler.io.write import export
from tests.support.picture_files import noise, pillow

TAGS: dict[str, str | float | int] = {"model": "fast", "scale": 2.5, "hdr_boost": 4.0, "tiles": 6}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_them(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    export(path, np.full((32, 32, 3), 0.5, np.float32), file_format=name, metadata=TAGS)
    found = own_tags(path)
    found.pop("software", None)
    assert found == {"model": "fast", "scale": "2.5", "hdr_boost": "4", "tiles": "6"}
    assert own_tags(path) == own_tags(path.read_bytes())


def test_of_a_result_made_from_a_result_the_newest_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "first.webp", tmp_path / "second.webp"
    block = Image.Exif()
    block[270] = '{"luxscaler": {"model": "old"}}'
    old = block.tobytes().removeprefix(b"Exif\0\0")
    export(first, np.zeros((32, 32, 3), np.float32), file_format="webp", metadata={"model": "new"}, exif=old)
    export(second, np.zeros((32, 32, 3), np.float32), file_format="webp", metadata={"model": "new"})
    assert own_tags(first) == own_tags(second) == {"model": "new"}


@pytest.mark.parametrize(
    "data", [b"", pillow(noise(), "PNG"), b'"luxscaler": {', b'"luxscaler": {"a": [' + b"[" * 9999], ids=len
)
def test_others_have_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    assert own_tags(path) == {}


def test_text_of_strangers_is_one_short_line(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b'..."luxscaler": {"a\\n\\u001b[31m": "' + b"x" * 900 + b'"}')
    assert own_tags(path) == {"a??[31m": "x" * 200}


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"absent\.png does not exist"):
        own_tags(tmp_path / "absent.png")
    (tmp_path / "a.exr").write_bytes(b"\x76\x2f\x31\x01")
    with pytest.raises(PictureError, match="truncated"):
        own_tags(tmp_path / "a.exr")
