"""Pillow images to pictures and back."""

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from luxscaler.color import DISPLAY_P3, apply_matrix, decode_gamma, rgb_to_rgb
from luxscaler.errors import PictureError
from luxscaler.io.pil import from_pil, to_pil
from luxscaler.io.read import read_picture
from luxscaler.io.write import export
from luxscaler.picture import Picture
from tests.support.examples import examples
from tests.support.picture_files import P3, cmyk_profile, exif, noise, pillow, png, rgb_profile

sides = st.integers(1, 8)


@st.composite
def images(draw: st.DrawFn) -> Image.Image:
    shape = (draw(sides), draw(sides), *draw(st.sampled_from([(), (3,), (4,)])))
    return Image.fromarray(draw(arrays(np.uint8, shape)))


@settings(max_examples=examples(40))
@given(images())
def test_eight_bits_come_back_as_they_were(image: Image.Image) -> None:
    back = to_pil(from_pil(image))
    assert back.mode == ("RGBA" if image.mode == "RGBA" else "RGB")
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image.convert(back.mode)))


def test_every_code_comes_back() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    np.testing.assert_array_equal(np.asarray(to_pil(from_pil(ramp)))[..., 1], np.asarray(ramp))


def transparent(mode: str) -> Image.Image:
    image = Image.fromarray(noise(channels=0 if mode != "RGB" else 3))
    image = image.quantize(16) if mode == "P" else image
    image.info["transparency"] = (1, 2, 3) if mode == "RGB" else 3
    return image


FILES: dict[str, bytes] = {
    "jpeg": pillow(noise(), "JPEG", exif=exif(1), dpi=(300, 300)),
    "jpeg Adobe RGB": pillow(noise(), "JPEG", exif=exif(1, adobe=True)),
    "jpeg P3": pillow(noise(), "JPEG", icc_profile=rgb_profile(P3)),
    "jpeg CMYK": pillow(Image.fromarray(noise()).convert("CMYK"), "JPEG"),
    "jpeg CMYK profile": pillow(Image.fromarray(noise()).convert("CMYK"), "JPEG", icc_profile=cmyk_profile()),
    "gif": pillow(transparent("P"), "GIF"),
    "png grey transparent": pillow(transparent("L"), "PNG", transparency=3),
    "png transparent": pillow(transparent("RGB"), "PNG", transparency=(1, 2, 3)),
    "png LA": png(noise(channels=2)),
    "png 1": pillow(Image.fromarray(noise(channels=0)).convert("1"), "PNG"),
    "png 16": png(noise(channels=0, bits=16)),
    "webp": pillow(noise(channels=4), "WEBP", lossless=True, exact=True),
    "tiff F": pillow(Image.fromarray(np.linspace(-1, 9, 12, dtype=np.float32).reshape(3, 4)), "TIFF"),
}


@pytest.mark.parametrize("name", FILES)
def test_an_image_that_pillow_opens_is_the_picture_of_its_file(name: str) -> None:
    with Image.open(io.BytesIO(FILES[name])) as image:
        found = from_pil(image)
    expected = read_picture(FILES[name])
    np.testing.assert_array_equal(found.rgb, expected.rgb)
    assert found.has_alpha == expected.has_alpha
    if found.alpha is not None and expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)
    ours, theirs = found.source, expected.source
    assert (ours.bits, ours.is_float, ours.exif) == (theirs.bits, theirs.is_float, theirs.exif)
    assert ours.color_space.partition(" (")[0] == theirs.color_space.partition(" (")[0]


def test_a_profile_is_applied() -> None:
    image = Image.fromarray(noise())
    image.info["icc_profile"] = rgb_profile(P3, 2.2)
    linear = decode_gamma(np.asarray(image, np.float32) / 255, 2.2).astype(np.float32)
    expected = apply_matrix(linear, rgb_to_rgb(DISPLAY_P3))
    np.testing.assert_allclose(from_pil(image).rgb, expected, atol=2e-3)


def test_the_rendering_is_the_one_that_png_shows(tmp_path: Any) -> None:
    rgb = np.random.default_rng(1).random((20, 30, 3), np.float32) * 8
    rgb[0] -= 1
    export(tmp_path / "a.png", rgb)
    shown = np.asarray(to_pil(Picture(rgb)), np.float64)
    png16 = np.asarray(to_pil(read_picture(tmp_path / "a.png")), np.float64)
    assert np.abs(shown - png16).max() <= 1
    assert shown.max() == 255
    brighter = np.asarray(to_pil(Picture(rgb), sdr_peak=50.0))
    assert brighter.max() < 255


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (Image.new("I", (2, 2)), "the image has the pixel layout 'I'"),
        (Image.new("YCbCr", (2, 2)), "the image has the pixel layout 'YCbCr'"),
        (Image.new("RGB", (0, 2)), "at least one pixel, got 0 × 2"),
        (Image.fromarray(np.full((2, 2), np.nan, np.float32)), "not finite"),
    ],
)
def test_what_has_no_meaning_is_refused(image: Image.Image, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        from_pil(image)


def test_a_damaged_file_is_refused() -> None:
    with (
        Image.open(io.BytesIO(FILES["jpeg"][:-200])) as image,
        pytest.raises(PictureError, match="the image cannot be read"),
    ):
        from_pil(image)
