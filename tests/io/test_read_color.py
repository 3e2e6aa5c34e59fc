"""Colour on the way in: profiles, code points, gamma and chromaticities, against independent arithmetic."""

import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from luxscaler.io import icc
from luxscaler.io.profiles import PROFILES, profile_named
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from tests.support.picture_files import (
    ADOBE,
    P3,
    avif,
    cmyk_profile,
    exif,
    exr,
    iccp,
    lut_profile,
    noise,
    pillow,
    png,
    rgb_profile,
    srgb,
    srgb_profile,
    tiff,
)

RGB8, RGB16 = noise(), noise(bits=16)
# Linear RGB to XYZ (D65), as published: W3C CSS Color 4 (P3), Adobe RGB (1998) section 4.3.5.3, BT.709.
P3_TO_XYZ = np.array(
    [[0.486571, 0.265668, 0.198217], [0.228975, 0.691739, 0.079287], [0.0, 0.045113, 1.043944]]
)
ADOBE_TO_XYZ = np.array(
    [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
)
REC709_TO_XYZ = np.array(
    [[0.412391, 0.357584, 0.180481], [0.212639, 0.715169, 0.072192], [0.019331, 0.119195, 0.950532]]
)
REC2020_TO_XYZ = np.array(
    [[0.636958, 0.144617, 0.168881], [0.262700, 0.677998, 0.059302], [0.0, 0.028073, 1.060985]]
)


def to_709(linear: Any, to_xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(linear) @ (np.linalg.inv(REC709_TO_XYZ) @ to_xyz).T


def delta_e(one: Any, other: Any) -> float:
    """The largest CIE76 colour difference between two linear Rec.709 pictures."""

    def lab(linear: Any) -> NDArray[np.float64]:
        t = np.asarray(linear, np.float64) @ REC709_TO_XYZ.T / REC709_TO_XYZ.sum(axis=1)
        f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
        x, y, z = np.moveaxis(f, -1, 0)
        return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)

    return float(np.linalg.norm(lab(one) - lab(other), axis=-1).max())


def cubes(bits: int) -> NDArray[Any]:
    """A 5 × 5 × 5 cube of colours, corners included, as a picture."""
    steps = np.linspace(0, 2**bits - 1, 5).round().astype(np.uint8 if bits == 8 else np.uint16)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(5, 25, 3)


WIDE: dict[str, tuple[bytes, Callable[[Any], NDArray[np.float64]]]] = {
    "Display P3": (rgb_profile(P3, None), lambda v: to_709(srgb(v), P3_TO_XYZ)),
    "Adobe RGB": (rgb_profile(ADOBE, 563 / 256), lambda v: to_709(v ** (563 / 256), ADOBE_TO_XYZ)),
}


@pytest.mark.parametrize("space", WIDE)
def test_wide_gamut_comes_out_unclipped_in_every_format(space: str) -> None:
    profile, formula = WIDE[space]
    eight, sixteen = cubes(8), cubes(16)
    files = [
        (png(eight, iccp(profile)), eight / 255),
        (png(sixteen, iccp(profile)), sixteen / 65535),
        (pillow(eight, "WEBP", lossless=True, icc_profile=profile), eight / 255),
        (tiff(eight, photometric="rgb", iccprofile=profile), eight / 255),
        (tiff(sixteen, photometric="rgb", iccprofile=profile), sixteen / 65535),
        (tiff((sixteen / 65535).astype(np.float32), photometric="rgb", iccprofile=profile), sixteen / 65535),
    ]
    for data, coded in files:
        picture = read_picture(data)
        expected = formula(coded)
        assert picture.rgb.min() < -0.03
        assert picture.rgb.max() > 1.02
        np.testing.assert_allclose(picture.rgb, expected, atol=6e-4)
        assert delta_e(picture.rgb, expected) < 1
        assert picture.source.color_space.startswith("ICC: ")
        assert picture.source.notices == ()


@pytest.mark.parametrize("bits", [8, 16])
def test_the_short_cut_for_matrix_profiles_is_what_littlecms_says(bits: int) -> None:
    samples = noise(bits=bits)
    for profile, _ in WIDE.values():
        model = icc.matrix_model(profile, bits)
        assert model is not None
        np.testing.assert_allclose(
            icc.apply_model(samples, model), icc.to_linear(samples, profile), atol=5e-5
        )


def test_profiles_with_colour_tables_take_no_short_cut() -> None:
    # A profile whose channels are swapped in its matrix is one; one that mixes them after a curve is not.
    assert icc.matrix_model(lut_profile(), 8) is None
    coded = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 255]]], np.uint8)
    ours = read_picture(png(coded, iccp(lut_profile())))
    assert ours.source.color_space == "ICC: A scanner"
    np.testing.assert_allclose(ours.rgb[0, :2], [[0, 0, 0], [1, 1, 1]], atol=0.01)
    np.testing.assert_allclose(ours.rgb[0, 2], icc.to_linear(coded, lut_profile())[0, 2], atol=1e-6)


@pytest.mark.parametrize("space", WIDE)
def test_colours_inside_rec709_agree_with_pillow(space: str) -> None:
    profile, formula = WIDE[space]
    coded = cubes(8) // 4 + 90  # muted colours
    assert formula(coded / 255).min() > 0
    image = ImageCms.profileToProfile(
        Image.fromarray(coded),
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert image is not None
    picture = read_picture(png(coded, iccp(profile)))
    assert delta_e(picture.rgb, srgb(np.asarray(image) / 255)) < 1


def test_jpeg_with_a_profile_is_converted() -> None:
    profile, formula = WIDE["Display P3"]
    green = np.full((16, 16, 3), (20, 230, 30), np.uint8)
    data = pillow(green, "JPEG", quality=100, subsampling=0, icc_profile=profile)
    decoded = np.asarray(Image.open(BytesIO(data)))
    np.testing.assert_allclose(read_picture(data).rgb, formula(decoded / 255), atol=6e-4)


def test_an_srgb_profile_is_the_srgb_formula() -> None:
    picture = read_picture(png(RGB16, iccp(srgb_profile())))
    np.testing.assert_allclose(picture.rgb, srgb(RGB16 / 65535), rtol=3e-7)
    assert picture.source.color_space == "ICC: sRGB"


def test_grey_profiles() -> None:
    grey = noise(channels=0)
    profile = imagecodecs.cms_profile("gray", gamma=1.8)
    picture = read_picture(png(grey, iccp(profile)))
    np.testing.assert_allclose(picture.rgb, ((grey / 255) ** 1.8)[..., None].repeat(3, axis=2), atol=1e-3)
    with_rgb = read_picture(png(grey, iccp(WIDE["Display P3"][0])))
    np.testing.assert_allclose(with_rgb.rgb, srgb(grey / 255)[..., None].repeat(3, axis=2), atol=1e-3)


def test_associated_alpha_is_taken_out_before_the_profile() -> None:
    profile, formula = WIDE["Display P3"]
    straight = cubes(16) / 65535
    stored = np.dstack([straight * 0.5, np.full(straight.shape[:2], 0.5)]) * 65534
    data = tiff(
        stored.round().astype(np.uint16), photometric="rgb", extrasamples=["assocalpha"], iccprofile=profile
    )
    np.testing.assert_allclose(read_picture(data).rgb, formula(straight), atol=1e-3)


@pytest.mark.parametrize(
    "profile",
    [b"", b"junk" * 50, srgb_profile()[:200], srgb_profile()[:128] + bytes(200), cmyk_profile()],
    ids=["empty", "junk", "cut", "no tags", "for CMYK"],
)
def test_a_useless_profile_is_ignored_with_a_notice(profile: bytes) -> None:
    for data in (
        png(RGB8, iccp(profile)),
        pillow(RGB8, "WEBP", lossless=True, icc_profile=profile or b"x"),
        tiff(RGB8, photometric="rgb", iccprofile=profile or b"x"),
    ):
        picture = read_picture(data)
        np.testing.assert_allclose(picture.rgb, srgb(RGB8 / 255), rtol=3e-7)
        assert picture.source.color_space == "sRGB (assumed)"
        assert "ICC" in picture.source.notices[0]


def test_a_profile_that_inflates_without_end_is_ignored() -> None:
    picture = read_picture(png(RGB8, iccp(WIDE["Adobe RGB"][0] + bytes(20 * 2**20))))
    assert "ICC" in picture.source.notices[0]


def test_cmyk_jpeg_through_its_profile() -> None:
    inks = np.zeros((8, 40, 4), np.uint8)
    for index, ink in enumerate(
        [(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255)]
    ):
        inks[:, index * 8 : index * 8 + 8] = ink
    image = Image.fromarray(inks, "CMYK")
    expected = ImageCms.profileToProfile(
        image,
        ImageCms.ImageCmsProfile(BytesIO(cmyk_profile())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    assert expected is not None
    middle = np.asarray(expected)[4, 4::8]
    for data in (
        pillow(image, "JPEG", quality=100, icc_profile=cmyk_profile()),
        tiff(inks, photometric="separated", iccprofile=cmyk_profile()),
        tiff(inks.astype(np.uint16) * 257, photometric="separated", iccprofile=cmyk_profile()),
    ):
        picture = read_picture(data)
        ours = picture.rgb[4, 4::8]
        assert picture.source.color_space == "ICC: A press"
        assert ours[0].min() > 0.98  # no ink is white, so the inks are not inverted
        np.testing.assert_allclose(ours.clip(0, 1), srgb(middle / 255), atol=0.02)


def test_cmyk_with_associated_alpha() -> None:
    inks = np.full((2, 2, 4), 200, np.uint8)
    plain = read_picture(tiff(inks, photometric="separated", iccprofile=cmyk_profile()))
    stored = np.dstack([inks // 2, np.full((2, 2), 128, np.uint8)])
    options = {"photometric": "separated", "planarconfig": "contig", "extrasamples": ["assocalpha"]}
    data = tiff(stored, iccprofile=cmyk_profile(), **options)
    np.testing.assert_allclose(read_picture(data).rgb, plain.rgb, atol=0.01)


PQ_WHITE = 0.5806888  # 203 cd/m²


def test_png_code_points_of_pq_and_rec2020() -> None:
    coded = np.full((1, 2, 3), round(PQ_WHITE * 65535), np.uint16)
    coded[0, 1] = [65535, 0, 0]
    data = png(coded, (b"cICP", bytes([9, 16, 0, 1])))
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb[0, 0], [1, 1, 1], atol=1e-3)
    np.testing.assert_allclose(
        picture.rgb[0, 1], to_709([10000 / 203, 0, 0], REC2020_TO_XYZ), rtol=1e-3, atol=1e-2
    )
    assert read_header(data).color_space == picture.source.color_space == "Rec.2020 PQ (cICP 9/16)"


def test_png_code_points_win_over_the_profile_and_gamma() -> None:
    chunks = [(b"cICP", bytes([1, 8, 0, 1])), iccp(WIDE["Adobe RGB"][0]), (b"gAMA", struct.pack(">I", 55555))]
    np.testing.assert_allclose(read_picture(png(RGB16, *chunks)).rgb, RGB16 / 65535, rtol=3e-7)


def test_png_hlg_reference_white() -> None:
    white = np.full((1, 1, 3), round(0.75 * 65535), np.uint16)
    np.testing.assert_allclose(read_picture(png(white, (b"cICP", bytes([9, 18, 0, 1])))).rgb, 1, atol=3e-3)
    grey = np.full((1, 1), round(0.75 * 65535), np.uint16)
    np.testing.assert_allclose(read_picture(png(grey, (b"cICP", bytes([9, 18, 0, 1])))).rgb, 1, atol=3e-3)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_narrow_range(bits: int) -> None:
    step = 2 ** (bits - 8)
    coded = (np.array([[[16, 16, 16], [235, 235, 235]]]) * step).astype(np.uint8 if bits == 8 else np.uint16)
    picture = read_picture(png(coded, (b"cICP", bytes([1, 13, 0, 0]))))
    np.testing.assert_allclose(picture.rgb[0, :, 0], [0, 1], atol=1e-6)


def test_unknown_code_points_are_srgb_with_a_notice() -> None:
    picture = read_picture(png(RGB8, (b"cICP", bytes([200, 201, 0, 1]))))
    np.testing.assert_allclose(picture.rgb, srgb(RGB8 / 255), rtol=3e-7)
    assert len(picture.source.notices) == 2


def test_png_gamma_and_chromaticities() -> None:
    linear = png(RGB16, (b"gAMA", struct.pack(">I", 100000)))
    np.testing.assert_allclose(read_picture(linear).rgb, RGB16 / 65535, rtol=3e-7)
    power = png(RGB16, (b"gAMA", struct.pack(">I", 50000)))
    np.testing.assert_allclose(read_picture(power).rgb, (RGB16 / 65535) ** 2, rtol=3e-7)
    usual = png(RGB16, (b"gAMA", struct.pack(">I", 45455)))
    np.testing.assert_allclose(read_picture(usual).rgb, srgb(RGB16 / 65535), rtol=3e-7)
    p3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    picture = read_picture(png(RGB16, (b"gAMA", struct.pack(">I", 45455)), (b"cHRM", p3)))
    np.testing.assert_allclose(picture.rgb, to_709(srgb(RGB16 / 65535), P3_TO_XYZ), atol=2e-4)
    overruled = png(RGB16, (b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 50000)), (b"cHRM", p3))
    np.testing.assert_allclose(read_picture(overruled).rgb, srgb(RGB16 / 65535), rtol=3e-7)
    nonsense = read_picture(png(RGB16, (b"cHRM", bytes(32))))
    np.testing.assert_allclose(nonsense.rgb, srgb(RGB16 / 65535), rtol=3e-7)
    assert "gamut" in nonsense.source.notices[0]


def test_avif_code_points() -> None:
    white = np.full((8, 8, 3), round(PQ_WHITE * 4095), np.uint16)
    picture = read_picture(avif(white, 12, primaries=9, transfer=16))
    np.testing.assert_allclose(picture.rgb, 1, atol=6e-3)
    assert picture.source.color_space == "Rec.2020 PQ (cICP 9/16)"
    p3 = read_picture(avif(RGB16 >> 4, 12, primaries=12, transfer=13))
    np.testing.assert_allclose(p3.rgb, to_709(srgb((RGB16 >> 4) / 4095), P3_TO_XYZ), atol=2e-4)


def test_avif_with_a_profile() -> None:
    profile, formula = WIDE["Display P3"]
    blocks = np.full((16, 16, 3), (20, 230, 30), np.uint8)
    data = pillow(blocks, "AVIF", quality=100, icc_profile=profile)
    picture = read_picture(data)
    assert picture.source.color_space.startswith("ICC: ")
    np.testing.assert_allclose(picture.rgb, formula(blocks / 255), atol=0.02)


@pytest.mark.parametrize("format_name", ["JPEG", "WEBP", "PNG"])
def test_adobe_rgb_by_exif(format_name: str) -> None:
    green = np.full((8, 8, 3), (30, 220, 40), np.uint8)
    options = {"quality": 100, "lossless": True} if format_name != "PNG" else {}
    picture = read_picture(pillow(green, format_name, exif=exif(1, adobe=True), **options))
    assert picture.source.color_space == "Adobe RGB (EXIF)"
    np.testing.assert_allclose(picture.rgb, to_709((green / 255) ** (563 / 256), ADOBE_TO_XYZ), atol=0.01)
    plain = read_picture(pillow(green, format_name, exif=exif(1), **options))
    assert plain.source.color_space == "sRGB (assumed)"


def test_exr_chromaticities_are_converted() -> None:
    linear = np.random.default_rng(1).random((4, 5, 3), np.float32) * 20
    planes = {n: linear[..., i] for i, n in enumerate("RGB")}
    p3 = read_picture(exr(planes, chromaticities=(*P3, 0.3127, 0.3290)))
    np.testing.assert_allclose(p3.rgb, to_709(linear, P3_TO_XYZ), rtol=1e-3, atol=3e-3)
    same = read_picture(exr(planes, chromaticities=(0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.3290)))
    np.testing.assert_array_equal(same.rgb, linear)
    assert same.source.color_space == "linear Rec.709"


@pytest.mark.parametrize(
    ("name", "matrix"),
    [("lin_p3d65_scene", P3_TO_XYZ), ("lin_rec709_scene", None), ("srgb_p3d65_display", P3_TO_XYZ)],
)
def test_exr_colours_by_name(name: str, matrix: Any, tmp_path: Path) -> None:
    coded = np.random.default_rng(1).random((4, 5, 3), np.float32)
    data = exr({n: coded[..., i] for i, n in enumerate("RGB")}, colorInteropID=name)
    light = srgb(coded) if name.startswith("srgb") else coded
    picture = read_picture(data)
    expected = light if matrix is None else to_709(light, matrix)
    np.testing.assert_allclose(picture.rgb, expected, rtol=1e-3, atol=3e-3)
    assert picture.source.color_space == f"EXR {name}"
    assert not picture.source.notices
    laid = decode_to_file(data, tmp_path / "laid", max_pixels=10**6).whole()
    np.testing.assert_array_equal(laid.rgb, picture.rgb)


@pytest.mark.parametrize("profile", [each for each in PROFILES if each != "prophoto"])
def test_linear_names_are_those_that_openexr_knows(profile: str) -> None:
    name = profile_named(profile).interop_id
    planes = {n: np.eye(3, dtype=np.float32)[None, i] for i, n in enumerate("RGB")}
    by_name = read_picture(exr(planes, colorInteropID=name)).rgb
    numbers = OpenEXR.colorInteropIDToChromaticities(name)
    np.testing.assert_allclose(by_name, read_picture(exr(planes, chromaticities=numbers)).rgb, atol=1e-5)


def test_exr_colours_of_other_names() -> None:
    planes = {n: np.full((2, 2), 0.5, np.float32) for n in "RGB"}
    said = read_picture(exr(planes, colorInteropID="pq_rec2020_display")).source
    assert said.notices == ("the colorInteropID pq_rec2020_display is not known; linear Rec.709 is assumed",)
    assert not read_picture(exr(planes, colorInteropID="unknown")).source.notices


def test_exr_colours_by_name_and_by_numbers() -> None:
    planes, p3 = {n: np.full((2, 2), 0.5, np.float32) for n in "RGB"}, (*P3, 0.3127, 0.3290)
    for name, said in (("lin_p3d65_scene", "linear, EXR chromaticities"), ("srgb_p3d65_display", None)):
        source = read_picture(exr(planes, colorInteropID=name, chromaticities=p3)).source
        assert source.color_space == (said or f"EXR {name}")
        assert not source.notices
    both = read_picture(exr(planes, colorInteropID="lin_ap1_scene", chromaticities=p3)).source
    assert both.color_space == "linear, EXR chromaticities"
    said = "the colorInteropID lin_ap1_scene contradicts the chromaticities, which count"
    assert both.notices == (said,)


@pytest.mark.parametrize(
    ("attributes", "space"),
    [
        ({"oiio:ColorSpace": "ACEScg"}, "EXR lin_ap1_scene"),
        ({"oiio:ColorSpace": "sRGB"}, "EXR srgb_rec709_scene"),
        ({"oiio:ColorSpace": "lin_p3d65"}, "EXR lin_p3d65_scene"),
        ({"oiio:ColorSpace": "g22_rec709_display"}, "EXR g22_rec709_display"),
        ({"oiio:ColorSpace": "Linear"}, "EXR lin_rec709_scene"),
        ({"oiio:ColorSpace": "scene_linear"}, "linear Rec.709 (assumed)"),
        ({"oiio:ColorSpace": "ACEScg", "colorInteropID": "lin_rec2020_scene"}, "EXR lin_rec2020_scene"),
        ({"acesImageContainerFlag": 1}, "linear, ACES container"),
        ({"acesImageContainerFlag": 0}, "linear Rec.709 (assumed)"),
    ],
)
def test_exr_colours_by_other_attributes(attributes: dict[str, Any], space: str) -> None:
    planes = {n: np.full((2, 2), 0.25 * i, np.float32) for i, n in enumerate("RGB")}
    picture = read_picture(exr(planes, **attributes))
    assert picture.source.color_space == space
    assert not picture.source.notices
    if space.startswith("EXR "):
        same = read_picture(exr(planes, colorInteropID=space.removeprefix("EXR ")))
        np.testing.assert_array_equal(picture.rgb, same.rgb)


def test_an_oiio_colour_space_that_is_not_known_is_named() -> None:
    planes = {n: np.full((2, 2), 0.5, np.float32) for n in "RGB"}
    said = read_picture(exr(planes, **{"oiio:ColorSpace": "ARRI LogC4"})).source.notices
    assert said == ("the oiio:ColorSpace ARRI LogC4 is not known; linear Rec.709 is assumed",)


def test_an_aces_container_has_the_primaries_of_ap0() -> None:
    planes = {n: np.full((2, 2), 0.25 * i, np.float32) for i, n in enumerate("RGB")}
    numbers = OpenEXR.colorInteropIDToChromaticities("lin_ap0_scene")
    by_flag = read_picture(exr(planes, acesImageContainerFlag=1)).rgb
    np.testing.assert_allclose(by_flag, read_picture(exr(planes, chromaticities=numbers)).rgb, atol=1e-5)


def test_float_light_above_1_stays_where_the_profile_has_tables(tmp_path: Path) -> None:
    """LittleCMS ends tables at 1."""
    primaries = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
    grey = np.array([-0.5, 0, 0.25, 0.5, 1, 1.5, 4], np.float32)
    values = np.repeat(grey[None, :, None], 3, axis=2)
    for curve, slope in ((np.linspace(0, 1, 64), 1.0), (np.linspace(0, 1, 1024) ** 2, 2.0)):
        profile = bytes(
            imagecodecs.cms_profile(
                "rgb",
                whitepoint=(0.3127, 0.3290),
                primaries=primaries,
                transferfunction=curve.astype(np.float32),
            )
        )
        data = tiff(values, photometric="rgb", iccprofile=profile)
        picture = read_picture(data)
        light = np.interp(grey, np.linspace(0, 1, len(curve)), curve)
        light[-2:] = 1 + slope * (grey[-2:] - 1)
        light[0] = -0.5 if slope == 1 else 0
        np.testing.assert_allclose(
            picture.rgb, np.repeat(light[None, :, None], 3, axis=2), rtol=6e-3, atol=2e-3
        )
        assert "of which the ICC profile says nothing" in picture.source.notices[0]
        isolated = decode_to_file(data, tmp_path / f"{slope}", max_pixels=100).source
        assert isolated.notices == picture.source.notices
        inside = read_picture(tiff(values.clip(0, 1), photometric="rgb", iccprofile=profile))
        assert inside.source.notices == ()


@pytest.mark.parametrize("points", [(2, 2), (12, 2), (2, 16), (200, 13)])
def test_png_code_points_that_say_nothing_leave_the_next_chunk_in_force(points: tuple[int, int]) -> None:
    cicp = (b"cICP", bytes([*points, 0, 1]))
    gama = (b"gAMA", struct.pack(">I", 100000))
    for chunks, expected in (
        ([iccp(WIDE["Adobe RGB"][0]), gama], read_picture(png(RGB16, iccp(WIDE["Adobe RGB"][0]))).rgb),
        ([(b"sRGB", b"\0"), gama], srgb(RGB16 / 65535)),
        ([gama], RGB16 / 65535),
    ):
        picture = read_picture(png(RGB16, cicp, *chunks))
        np.testing.assert_allclose(picture.rgb, expected, rtol=3e-7)
        (notice,) = picture.source.notices
        assert f"unspecified or unknown ({points[0]}/{points[1]})" in notice
        assert chunks[0][0].decode() in notice


@pytest.mark.parametrize("exponent", [0, 1, 9_999, 1_000_001, 2**32 - 1])
def test_a_png_gamma_that_no_picture_has_is_ignored_with_a_notice(exponent: int) -> None:
    picture = read_picture(png(RGB16, (b"gAMA", struct.pack(">I", exponent))))
    np.testing.assert_allclose(picture.rgb, srgb(RGB16 / 65535), rtol=3e-7)
    (notice,) = picture.source.notices
    assert "gAMA" in notice
