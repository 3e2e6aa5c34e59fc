"""JPEG that is whole but for its framing: no end marker, bytes between markers, many scans."""

import pytest
from PIL import Image

from luxscaler.errors import PictureError
from luxscaler.io.read import read_header, read_picture
from tests.support.picture_files import exif, noise, pillow

SMOOTH = Image.fromarray(noise(5, 6)).resize((50, 41), Image.Resampling.BICUBIC)
KINDS = {
    "baseline": pillow(SMOOTH, "JPEG"),
    "grey": pillow(SMOOTH.convert("L"), "JPEG"),
    "progressive": pillow(SMOOTH, "JPEG", progressive=True),
    "restarts": pillow(SMOOTH, "JPEG", restart_marker_blocks=3),
    "cmyk": pillow(SMOOTH.convert("CMYK"), "JPEG"),
}
NOTICE = "the file ends without its end marker"


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_end_marker_is_a_notice(kind: str) -> None:
    data = KINDS[kind]
    picture = read_picture(data[:-2])
    assert (picture.rgb == read_picture(data).rgb).all()
    assert NOTICE in picture.source.notices
    assert NOTICE in read_header(data[:-2]).notices
    assert NOTICE not in read_header(data).notices


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lacking", [5, 6, 9, 20, 60, 200])
def test_missing_rows_are_an_error(kind: str, lacking: int) -> None:
    with pytest.raises(PictureError, match="truncated"):
        read_picture(KINDS[kind][:-lacking])


@pytest.mark.parametrize("where", ["after the first marker", "before the frame"])
def test_bytes_between_markers_are_passed_over(where: str) -> None:
    data = KINDS["baseline"]
    at = 2 if where == "after the first marker" else data.index(b"\xff\xc0")
    picture = read_picture(data[:at] + b"\0\x12\0" + data[at:])
    assert (picture.rgb == read_picture(data).rgb).all()


def test_scans_of_a_thumbnail_do_not_count() -> None:
    thumbnail = KINDS["progressive"] * 30
    block = exif(1) + thumbnail
    assert read_header(pillow(SMOOTH, "JPEG", exif=block)).width == 50


def test_the_end_of_what_follows_does_not_count() -> None:
    """A second picture behind the first, as phones write it."""
    assert NOTICE not in read_header(KINDS["baseline"] + KINDS["progressive"] * 40).notices
    assert read_picture(KINDS["baseline"] + KINDS["progressive"] * 40).width == 50
