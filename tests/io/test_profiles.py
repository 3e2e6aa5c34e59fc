"""Output profiles: what an independent reader makes of the files is the picture, wide colours included."""

import re
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest
import tifffile
from PIL import Image, ImageCms

from luxscaler.color import REC709, decode_srgb, encode_srgb, rgb_to_rgb
from luxscaler.errors import ExportError, InputError
from luxscaler.io.formats import FORMATS, suffix_of
from luxscaler.io.options import ExportOptions
from luxscaler.io.profiles import PROFILES, check_profile, profile_named
from luxscaler.io.read import read_header, read_picture
from luxscaler.io.write import export, open_stream
from luxscaler.picture import FloatArray, Picture
from luxscaler.pipeline.request import UpscaleRequest

CODED = [name for name in PROFILES if profile_named(name).encode is not None]


def colours() -> FloatArray:
    """A grid of sRGB colours and a ramp of grey, 12 × 24."""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    ramp = np.repeat(np.linspace(0, 1, 72, dtype=np.float32)[:, None], 3, 1)
    return decode_srgb(np.concatenate((grid, ramp))).reshape(12, 24, 3)


def to_srgb(samples: np.ndarray, profile: bytes) -> np.ndarray:
    """By LittleCMS in float, relative colorimetric: sRGB codes, 1.0 = white."""
    wanted = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return np.asarray(
        imagecodecs.cms_transform(
            samples, profile, wanted, colorspace="rgb", outcolorspace="rgb", outdtype="float32", intent=1
        )
    )


@pytest.mark.parametrize("name", CODED)
def test_littlecms_finds_the_colours_of_a_16_bit_tiff(name: str, tmp_path: Path) -> None:
    rgb = colours()
    export(tmp_path / "a.tif", rgb, file_format="tiff16", options=ExportOptions(profile=name))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages[0]
        samples, profile = page.asarray(), page.tags["InterColorProfile"].value  # type: ignore[union-attr]
    assert samples.dtype == np.uint16
    found = to_srgb(samples, profile).astype(float)
    np.testing.assert_allclose(found, encode_srgb(rgb.astype(np.float64)), atol=1e-3)


@pytest.mark.parametrize("name", CODED)
def test_pillow_and_openimageio_find_the_profile_in_png_and_webp(name: str, tmp_path: Path) -> None:
    options, rgb = ExportOptions(profile=name, webp_quality=100), colours()
    export(tmp_path / "a.webp", rgb, options=options)
    export(tmp_path / "a.png", rgb, options=options)
    with Image.open(tmp_path / "a.webp") as image:
        profile = image.info["icc_profile"]
    description = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.profile_description
    png = oiio.ImageBuf(str(tmp_path / "a.png"))
    samples = np.asarray(png.get_pixels(oiio.UINT16))
    if name == "srgb":
        np.testing.assert_allclose(samples / 65535, encode_srgb(rgb.astype(np.float64)), atol=1e-5)
        return
    assert profile_named(name).title in (description or "")
    embedded = bytes(np.asarray(png.spec().getattribute("ICCProfile"), np.uint8))
    assert embedded == profile
    found = to_srgb(np.ascontiguousarray(samples), embedded).astype(float)
    np.testing.assert_allclose(found, encode_srgb(rgb.astype(np.float64)), atol=1e-3)


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("file_format", ["tiff16", "png"])
def test_our_reader_finds_the_light_again(name: str, file_format: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{'.png' if file_format == 'png' else '.tif'}"
    export(path, colours(), file_format=file_format, options=ExportOptions(profile=name))
    np.testing.assert_allclose(read_picture(path).rgb, colours(), atol=3e-4)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("suffix", [".exr", ".tif"])
def test_linear_light_comes_back_with_its_range(name: str, suffix: str, tmp_path: Path) -> None:
    rgb = colours() * np.float32(7.0)
    rgb[0, 0] = (1.5, -0.2, 0.1)
    alpha = np.linspace(0.2, 1.0, 288, dtype=np.float32).reshape(12, 24)
    export(tmp_path / f"a{suffix}", rgb, alpha, options=ExportOptions(profile=name))
    found = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(found.rgb, rgb, atol=1e-3)  # ICC rounds a matrix to 1/65536
    np.testing.assert_allclose(np.asarray(found.alpha), alpha, atol=1e-6)


@pytest.mark.parametrize("name", PROFILES)
def test_exr_names_its_primaries(name: str, tmp_path: Path) -> None:
    export(tmp_path / "a.exr", colours(), options=ExportOptions(profile=name))
    file = OpenEXR.File(str(tmp_path / "a.exr"))
    header = file.header()  # empty once the file is closed
    profile = profile_named(name)
    np.testing.assert_allclose(header["chromaticities"], profile.primaries.chromaticities, atol=1e-6)
    if profile.interop_id:
        assert header["colorInteropID"] == profile.interop_id
        by_name = OpenEXR.colorInteropIDToChromaticities(profile.interop_id)
        np.testing.assert_allclose(by_name, profile.primaries.chromaticities, atol=1e-6)
    else:
        assert "colorInteropID" not in header


@pytest.mark.parametrize(("name", "space"), [("acescg", "ACEScg"), ("ap0", "ACES2065-1")])
def test_opencolorio_converts_aces_back(name: str, space: str, tmp_path: Path) -> None:
    export(tmp_path / "a.exr", colours(), options=ExportOptions(profile=name))
    stored = oiio.ImageBuf(str(tmp_path / "a.exr"))
    config = oiio.ColorConfig("ocio://default")
    back = oiio.ImageBufAlgo.colorconvert(stored, space, "lin_rec709", colorconfig="ocio://default")
    assert config.getNumColorSpaces() > 0
    assert not back.has_error, back.geterror()
    np.testing.assert_allclose(np.asarray(back.get_pixels(oiio.FLOAT))[..., :3], colours(), atol=1e-3)


@pytest.mark.parametrize("name", ["display-p3", "prophoto", "rec2020"])
def test_colours_outside_srgb_are_not_clipped_where_the_profile_holds_them(name: str, tmp_path: Path) -> None:
    p3 = rgb_to_rgb(profile_named("display-p3").primaries, REC709)
    rgb = (np.eye(3, dtype=np.float32)[None] @ p3.T).astype(np.float32)  # the corners of Display P3
    assert rgb.min() < -0.02
    assert rgb.max() > 1.0
    export(tmp_path / "a.png", rgb, options=ExportOptions(profile=name))
    # The blue corner of Display P3 lies outside Rec.2020 by 0.0012.
    np.testing.assert_allclose(read_picture(tmp_path / "a.png").rgb, rgb, atol=3e-3)
    export(tmp_path / "b.png", rgb)
    assert np.abs(read_picture(tmp_path / "b.png").rgb - rgb).max() > 0.02


@pytest.mark.parametrize("file_format", ["png", "tiff16", "tiff", "exr"])
def test_row_by_row_holds_the_same_samples(file_format: str, tmp_path: Path) -> None:
    rgb = np.random.default_rng(1).random((300, 20, 3), np.float32)
    options = ExportOptions(profile="rec2020", sdr_peak=1.0)
    export(tmp_path / "whole", rgb, file_format=file_format, options=options)
    with open_stream(tmp_path / "rows", 20, 300, file_format=file_format, options=options) as writer:
        for top in range(0, 300, 70):
            writer.write(rgb[top : top + 70])
    whole, rows = (read_picture(tmp_path / name) for name in ("whole", "rows"))
    np.testing.assert_allclose(whole.rgb, rows.rgb, atol=1e-6)
    assert whole.source.bits == rows.source.bits == (16 if file_format in ("png", "tiff16") else 32)


def test_a_16_bit_tiff_has_what_print_shops_ask_for(tmp_path: Path) -> None:
    alpha = np.full((12, 24), 0.5, np.float32)
    path = tmp_path / "a.tif"
    export(path, colours(), alpha, file_format="tiff16", resolution_dpi=(300.0, 300.0))
    spec = oiio.ImageBuf(str(path)).spec()
    assert (spec.getattribute("XResolution"), spec.getattribute("ResolutionUnit")) == (300.0, "in")
    assert spec.getattribute("oiio:BitsPerSample") == 16
    found = read_picture(path)
    np.testing.assert_allclose(np.asarray(found.alpha), 0.5, atol=1e-5)
    assert found.source.resolution_dpi == (300.0, 300.0)


@pytest.mark.parametrize("name", PROFILES)
def test_jpeg_xl_holds_light_of_every_profile(name: str, tmp_path: Path) -> None:
    rgb = colours() * np.float32(3.0)
    rgb[0, 0] = (1.5, -0.2, 0.1)
    alpha = np.linspace(0.2, 1.0, 288, dtype=np.float32).reshape(12, 24)
    path = tmp_path / "a.jxl"
    export(path, rgb, alpha, options=ExportOptions(profile=name))
    found = read_picture(path)
    np.testing.assert_allclose(found.rgb, rgb, atol=2e-6)
    np.testing.assert_array_equal(np.asarray(found.alpha), alpha)
    # libjxl makes an ICC profile of what the header says; LittleCMS goes by that.
    stored = oiio.ImageBuf(str(path))
    profile = bytes(np.asarray(stored.spec().getattribute("ICCProfile"), np.uint8))
    raw = np.ascontiguousarray(imagecodecs.jpegxl_decode(path.read_bytes())[..., :3])
    wanted = profile_named("srgb").icc(linear=True)
    seen = imagecodecs.cms_transform(
        raw, profile, wanted, colorspace="rgb", outcolorspace="rgb", outdtype="float32", intent=1
    )
    np.testing.assert_allclose(seen, rgb, atol=2e-3)


@pytest.mark.parametrize("name", ["rec2020", "display-p3"])
@pytest.mark.parametrize("file_format", ["avif", "png-pq"])
def test_pq_is_written_in_bt2020_or_p3(name: str, file_format: str, tmp_path: Path) -> None:
    path, rgb = tmp_path / f"a{suffix_of(file_format)}", colours() * np.float32(3.0)
    options = ExportOptions(profile=name, avif_quality=100, avif_bits=12)
    export(path, rgb, file_format=file_format, options=options)
    names = {"rec2020": "Rec.2020 PQ (cICP 9/16)", "display-p3": "Display P3 PQ (cICP 12/16)"}
    assert read_header(path).color_space == names[name]
    np.testing.assert_allclose(read_picture(path).rgb, rgb, atol=0.03 if file_format == "avif" else 1e-3)
    plain = tmp_path / f"b{suffix_of(file_format)}"
    export(plain, rgb, file_format=file_format, options=ExportOptions(avif_quality=100, avif_bits=12))
    assert (plain.read_bytes() == path.read_bytes()) == (name == "rec2020")
    if file_format == "png-pq":
        with open_stream(tmp_path / "rows", 24, 12, file_format=file_format, options=options) as writer:
            writer.write(rgb)
        assert imagecodecs.png_decode((tmp_path / "rows").read_bytes()).tobytes() == (
            imagecodecs.png_decode(path.read_bytes()).tobytes()
        )


def hdr_scene(primaries: str) -> FloatArray:
    """96 × 128: even blocks of all colours of a profile's primaries, the right half up to six times white."""
    light = (np.random.default_rng(1).random((12, 16, 3), np.float32) ** 2).repeat(8, 0).repeat(8, 1)
    light[:, 64:] *= 6
    matrix = profile_named(primaries).matrix
    return light if matrix is None else (light @ np.linalg.inv(matrix).T).astype(np.float32)


def spread(found: np.ndarray, rgb: FloatArray) -> list[float]:
    """Median and 95 % of the error, relative to the brightest channel."""
    error = np.abs(found - rgb).max(axis=2) / rgb.max(axis=2)
    return [float(value) for value in np.quantile(error, (0.5, 0.95))]


@pytest.mark.parametrize("name", CODED)
def test_a_gain_map_jpeg_holds_hdr_in_every_profile_with_a_curve(name: str, tmp_path: Path) -> None:
    plain = hdr_scene("srgb")
    export(tmp_path / "plain.jpg", plain)
    usual = spread(read_picture(tmp_path / "plain.jpg").rgb, plain)
    for rgb in (plain, hdr_scene(name)):  # what lies outside Rec.709 survives as well
        export(tmp_path / "a.jpg", rgb, options=ExportOptions(profile=name))
        median, most = spread(read_picture(tmp_path / "a.jpg").rgb, rgb)
        assert median < 1.6 * usual[0] < 0.012  # wider primaries have wider steps of 8 bits
        assert most < 2.2 * usual[1] < 0.04


@pytest.mark.parametrize("name", CODED)
@pytest.mark.parametrize("is_given", [False, True])
def test_the_base_of_a_jpeg_is_the_sdr_picture_of_its_profile(
    name: str, is_given: bool, tmp_path: Path
) -> None:
    """As a PNG of that profile shows it; OpenImageIO, Pillow and LittleCMS find the profile in the JPEG."""
    rgb, options = hdr_scene("srgb"), ExportOptions(profile=name)
    sdr = rgb / np.float32(4) if is_given else rgb
    export(tmp_path / "a.jpg", rgb, options=options, sdr=sdr if is_given else None)
    export(tmp_path / "a.png", sdr, options=options)
    expected = imagecodecs.png_decode((tmp_path / "a.png").read_bytes()) / 257
    with Image.open(tmp_path / "a.jpg") as image:
        codes, profile = np.asarray(image), image.info["icc_profile"]
    assert np.abs(codes - expected).mean() < 1.0
    title = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(profile)))
    assert ("sRGB" if name == "srgb" else profile_named(name).title) in title
    stored = oiio.ImageBuf(str(tmp_path / "a.jpg"))
    assert bytes(np.asarray(stored.spec().getattribute("ICCProfile"), np.uint8)) == profile
    seen, read = to_srgb(codes, profile), read_picture(tmp_path / "a.jpg", sdr=True).rgb
    # Below 0, where JPEG's error may lead, LittleCMS goes on with the slope of its table.
    np.testing.assert_allclose(decode_srgb(seen.clip(0)), read.clip(0), atol=2e-3)


@pytest.mark.parametrize("name", ["srgb", "display-p3"])
def test_libultrahdr_reads_a_gain_map_jpeg_of_p3_as_one_of_srgb(name: str, tmp_path: Path) -> None:
    """It gives the base's primaries, and takes every base's curve for sRGB's, which is also P3's."""
    rgb = hdr_scene(name)
    export(tmp_path / "a.jpg", rgb, options=ExportOptions(profile=name))
    light = imagecodecs.ultrahdr_decode((tmp_path / "a.jpg").read_bytes())[..., :3].astype(np.float64)
    matrix = profile_named(name).matrix
    median, most = spread(light if matrix is None else light @ np.linalg.inv(matrix).T, rgb)
    assert median < 0.01
    assert most < 0.03


@pytest.mark.parametrize("name", CODED)
def test_the_curve_of_each_profile_is_undone(name: str) -> None:
    profile, light = profile_named(name), np.linspace(0, 1, 1001)
    assert profile.encode is not None
    np.testing.assert_allclose(profile.decode(profile.encode(light)), light, atol=2e-6)


def in_the_documents() -> dict[tuple[str, str], str]:
    """The table of docs/formats.md: (profile, format) to its cell."""
    text = (Path(__file__).parents[2] / "docs" / "formats.md").read_text("utf-8")
    rows = text.split("| profile | ")[1].split("\n\n")[0].splitlines()
    formats = [re.findall(r"`([\w-]+)`", cell) for cell in rows[0].split("|")]
    found: dict[tuple[str, str], str] = {}
    for row in rows[2:]:
        _, name, *cells = (cell.strip() for cell in row.split("|"))
        for names, cell in zip(formats, cells, strict=False):
            found |= {(name.strip("`"), each): cell for each in names}
    return found


@pytest.mark.sample(3)
@pytest.mark.parametrize("file_format", FORMATS)
def test_each_profile_is_written_or_refused_in_one_line_as_documented(
    file_format: str, tmp_path: Path
) -> None:
    said, rgb = in_the_documents(), colours().repeat(8, 0).repeat(8, 1)
    for name in PROFILES:
        path, options = (
            tmp_path / f"{name}{suffix_of(file_format)}",
            ExportOptions(profile=name, webp_quality=100, avif_quality=100),
        )
        if "refused" not in said[name, file_format]:
            export(path, rgb, file_format=file_format, options=options)
            # Three are lossy. P3 taken for Rec.709 is 0.028 off.
            assert abs(read_picture(path, sdr=True).rgb - rgb)[4::8, 4::8].mean() < 0.01
            continue
        with pytest.raises(ExportError, match=f"profile is '{name}', .*take [^\n]*$"):
            check_profile(name, file_format)
        with pytest.raises(ExportError, match=f"profile is '{name}'"):
            export(path, rgb, file_format=file_format, options=options)
        assert not path.exists()


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ExportError, match="profile must be one of srgb, display-p3"):
        ExportOptions(profile="p3")
    with pytest.raises((ExportError, InputError), match=r"take one of srgb, display-p3, .*, or write exr"):
        UpscaleRequest(Picture(colours()), output_format="png", export=ExportOptions(profile="acescg"))
