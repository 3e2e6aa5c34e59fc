"""What `luxscaler info` says of pictures whose facts are known."""

from pathlib import Path

import numpy as np
import pytest

from luxscaler.cli.info import report
from luxscaler.errors import PictureError
from tests.conftest import SAMPLE
from tests.support.gain_map_files import iso, joined_jpeg, jpeg
from tests.support.picture_files import P3, exif, exr, iccp, noise, pillow, png, raw_png, rgb_profile, tiff


def _report(data: bytes, folder: Path) -> dict[str, str]:
    path = folder / "a.picture"
    path.write_bytes(data)
    lines = report(path)
    assert len({name for name, _ in lines}) == len(lines)
    assert all(value and "\n" not in value for _, value in lines)
    return dict(lines)


def test_an_eight_bit_jpeg(tmp_path: Path) -> None:
    facts = _report(pillow(noise(500, 400), "JPEG"), tmp_path)
    assert facts["format"] == "jpeg"
    assert facts["size"] == "400 × 500 (0.20 megapixels)"
    assert facts["depth"] == "8-bit integer, 3 channels"
    assert facts["colour"] == "sRGB (assumed)"
    assert "orientation" not in facts
    assert "wide gamut" not in facts


def test_a_gain_map_is_named_and_the_range_is_that_of_the_hdr_picture(tmp_path: Path) -> None:
    white = np.full((32, 32, 3), 255, np.uint8)
    data = joined_jpeg(jpeg(white), jpeg(white), iso_data=iso(high=(2,), headrooms=(0, 2)))
    facts = _report(data, tmp_path)
    assert facts["gain map"] == "ISO 21496-1, headroom 2.00 stops (× 4)"
    assert facts["peak"] == "4.047 = 822 cd/m²"
    assert "read as the HDR picture" in facts["note"]


def test_orientation_is_named_and_the_size_is_the_upright_one(tmp_path: Path) -> None:
    facts = _report(pillow(noise(50, 40), "JPEG", exif=exif(6)), tmp_path)
    assert facts["size"].startswith("50 × 40 ")
    assert facts["orientation"] == "EXIF 6, applied"


def test_a_sixteen_bit_png_with_alpha(tmp_path: Path) -> None:
    facts = _report(png(noise(channels=4, bits=16)), tmp_path)
    assert facts["depth"] == "16-bit integer, 4 channels with alpha"


def test_a_profile_and_its_wide_gamut_are_named(tmp_path: Path) -> None:
    green = np.zeros((8, 8, 3), np.uint8)
    green[..., 1] = 255
    facts = _report(png(green, iccp(rgb_profile(P3))), tmp_path)
    assert "ICC" in facts["colour"]
    assert facts["wide gamut"] == "100.00% of pixels outside Rec.709"


def test_a_float_exr_with_highlights(tmp_path: Path) -> None:
    ramp = np.geomspace(2.0**-6, 2.0**4, 1000, dtype=np.float32).reshape(20, 50)
    facts = _report(exr({"R": ramp, "G": ramp, "B": ramp}), tmp_path)
    assert facts["depth"] == "32-bit float, 3 channels"
    assert facts["range"].startswith("10.0 stops ")
    assert facts["peak"] == "16 = 3248 cd/m²"
    assert facts["above white"] == "40.00% of pixels"


def test_black_has_a_finite_range(tmp_path: Path) -> None:
    facts = _report(tiff(np.zeros((4, 4, 3), np.float32), photometric="rgb"), tmp_path)
    assert facts["range"].startswith("0.0 stops ")
    assert facts["peak"] == "0 = 0 cd/m²"


def test_one_pixel_is_enough(tmp_path: Path) -> None:
    assert _report(pillow(noise(1, 1), "PNG"), tmp_path)["size"] == "1 × 1 (0.00 megapixels)"


def test_the_sample() -> None:
    facts = dict(report(SAMPLE / "tile.png"))
    assert facts["size"] == "320 × 192 (0.06 megapixels)"
    assert facts["colour"] == "ICC: Adobe RGB (1998)"


@pytest.mark.parametrize(
    "data",
    [b"", b"<!DOCTYPE html>", raw_png(100_000, 100_000, 8, 2, b""), pillow(noise(), "PNG")[:200]],
    ids=["empty", "HTML", "huge", "truncated"],
)
def test_what_is_no_whole_picture_is_a_picture_error(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"a\.picture"):
        _report(data, tmp_path)
