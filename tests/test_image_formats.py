"""Radiance .hdr, and CMYK without a profile."""

from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest
from PIL import Image

from luxscaler.color import REC709, REC2020, bradford, rgb_to_rgb, rgb_to_xyz
from luxscaler.errors import PictureError
from luxscaler.image import read_header, read_picture
from tests.picture_files import noise, pillow, radiance, srgb, tiff

# Shared exponents keep these exactly.
LIGHT = (noise(20, 40) / np.float32(64)).astype(np.float32)
LIGHT[..., 0] = 255 / 64


@pytest.mark.parametrize("rle", [True, False])
def test_radiance_is_linear_light(rle: bool, tmp_path: Path) -> None:
    data = radiance(LIGHT, rle=rle)
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.rgb, LIGHT)
    assert picture.source.format == "hdr"
    assert picture.source.is_float
    assert picture.source.color_space == "linear Rec.709 (assumed)"
    assert (read_header(data).width, read_header(data).height) == (40, 20)
    path = tmp_path / "picture.hdr"
    path.write_bytes(data)
    np.testing.assert_array_equal(picture.rgb, OpenImageIO.ImageBuf(str(path)).get_pixels(OpenImageIO.FLOAT))


def test_narrow_radiance_has_no_run_lengths() -> None:
    np.testing.assert_array_equal(read_picture(radiance(LIGHT[:, :5])).rgb, LIGHT[:, :5])


def test_a_wide_range_of_radiance() -> None:
    light = 2.0 ** np.arange(-60, 60, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    np.testing.assert_array_equal(read_picture(radiance(light)).rgb, light)


def test_the_exposure_of_radiance_is_undone() -> None:
    data = radiance(LIGHT, "EXPOSURE=4", "exposure= 5.000000e-01", "COLORCORR=1 2 4", "EXPOSURE=nonsense")
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, LIGHT / np.array([2, 4, 8], np.float32), rtol=1e-7)
    assert picture.source.notices == ("the exposure that the header names was undone",)
    assert read_picture(radiance(LIGHT, "EXPOSURE=1.0000000000000")).source.notices == ()
    for bad in ("EXPOSURE=0", "EXPOSURE=-1", "EXPOSURE=inf", "EXPOSURE=1e300"):
        np.testing.assert_array_equal(read_picture(radiance(LIGHT, bad)).rgb[..., 0] > 0, True)


def test_the_primaries_of_radiance() -> None:
    own = (*REC709.red, *REC709.green, *REC709.blue, *REC709.white)
    same = read_picture(radiance(LIGHT, "PRIMARIES= " + " ".join(map(str, own))))
    np.testing.assert_allclose(same.rgb, LIGHT, rtol=1e-7)
    wide = read_picture(radiance(LIGHT, "PRIMARIES=.708 .292 .170 .797 .131 .046 .3127 .3290"))
    np.testing.assert_allclose(wide.rgb, LIGHT @ rgb_to_rgb(REC2020).T, rtol=1e-5, atol=1e-5)
    assert wide.source.color_space == "linear, Radiance primaries"


def test_radiance_in_xyz() -> None:
    to_xyz = bradford((0.3127, 0.3290), (1 / 3, 1 / 3)) @ rgb_to_xyz(REC709)
    picture = read_picture(radiance((LIGHT @ to_xyz.T).astype(np.float32), kind="xyze"))
    np.testing.assert_allclose(picture.rgb, LIGHT, atol=0.1)  # the mantissas have 8 bits


TURNS: list[tuple[str, Any]] = [
    ("-Y 20 +X 40", lambda a: a),
    ("-Y 20 -X 40", lambda a: a[:, ::-1]),
    ("+Y 20 -X 40", lambda a: a[::-1, ::-1]),
    ("+Y 20 +X 40", lambda a: a[::-1]),
    ("+X 20 -Y 40", lambda a: a.swapaxes(0, 1)),
    # Each row of the file is a column of the picture, the first at its right; pixels go downwards.
    ("-X 20 -Y 40", lambda a: a.swapaxes(0, 1)[:, ::-1]),
    ("-X 20 +Y 40", lambda a: a.swapaxes(0, 1)[::-1, ::-1]),
    ("+X 20 +Y 40", lambda a: a.swapaxes(0, 1)[::-1]),
]


@pytest.mark.parametrize(("resolution", "turn"), TURNS, ids=[t[0] for t in TURNS])
def test_radiance_is_upright(resolution: str, turn: Any) -> None:
    picture = read_picture(radiance(LIGHT, resolution=resolution))
    np.testing.assert_array_equal(picture.rgb, turn(LIGHT))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (radiance(LIGHT, resolution="-Y 20"), "there is no resolution"),
        (radiance(LIGHT, resolution="-Y 20 +Y 40"), "there is no resolution"),
        (radiance(LIGHT, resolution="-Y 0 +X 40"), "40 × 0"),
        (b"#?RADIANCE\n" + bytes(1000), "there is no resolution"),
        (radiance(LIGHT, kind="other"), "the Radiance format b'32-bit_rle_other'"),
        (radiance(LIGHT, rle=False)[:-1], "truncated"),
        (radiance(LIGHT)[:-1], "damaged"),
    ],
)
def test_damaged_radiance(data: bytes, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        read_picture(data)


@pytest.mark.parametrize("kind", ["jpeg", "tiff", "tiff16"])
def test_cmyk_without_a_profile_is_converted_by_the_usual_formula(kind: str) -> None:
    inks = np.repeat(noise(3, 4, 4), 16, axis=0).repeat(16, axis=1)
    data = {
        "jpeg": lambda: pillow(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, subsampling=0),
        "tiff": lambda: tiff(inks, photometric="separated"),
        "tiff16": lambda: tiff(inks.astype(np.uint16) * 257, photometric="separated"),
    }[kind]()
    picture = read_picture(data)
    unit = inks / 255
    expected = srgb((1 - unit[..., :3]) * (1 - unit[..., 3:]))
    np.testing.assert_allclose(picture.rgb, expected, atol=0.03 if kind == "jpeg" else 1e-6)
    assert picture.source.color_space == "CMYK without a profile"
    assert picture.source.notices == (
        "CMYK without a usable ICC profile: converted by formula, colours are approximate",
    )
    assert read_header(data).channels == 4
