"""Radiance .hdr, JPEG XL, camera raw, CMYK without a profile, rarer EXR and TIFF, PQ."""

import struct
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenImageIO
import pytest
import tifffile
from PIL import Image

from luxscaler.color import REC709, REC2020, bradford, rgb_to_rgb, rgb_to_xyz
from luxscaler.errors import PictureError
from luxscaler.io.exif.ifd import directory_bytes
from luxscaler.io.jxl import luminance
from luxscaler.io.jxl.bits import u_bits
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import read_picture_isolated
from tests.support.picture_files import (
    P3,
    dng,
    iccp,
    jxl,
    lut_profile,
    noise,
    pillow,
    png,
    radiance,
    rgb_profile,
    srgb,
    tiff,
)

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


def test_the_exposure_of_pictures_that_a_radiance_file_was_made_of_is_not_its_own() -> None:
    """pcomb and its like hand on the headers of what they were given, indented."""
    data = radiance(LIGHT)
    for line, factor in ((b"\tEXPOSURE=8", 1), (b"EXPOSURE=8", 8)):
        picture = read_picture(data.replace(b"FORMAT", line + b"\nFORMAT", 1))
        np.testing.assert_allclose(picture.rgb, LIGHT / factor, rtol=1e-6)


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


def test_what_a_radiance_header_says_in_vain_is_told() -> None:
    source = read_picture(radiance(LIGHT, "PRIMARIES=.64 .33 red", "GAMMA=2.2")).source
    assert source.notices == (
        "the PRIMARIES are no 8 numbers; Rec.709 is assumed",
        "the header names a GAMMA, which Radiance does not know: the values are read as linear",
    )
    assert not read_picture(radiance(LIGHT, "GAMMA=1.0")).source.notices


@pytest.mark.parametrize(("resolution", "turned"), [("-Y 20 +X 40", False), ("+X 20 -Y 40", True)])
def test_the_pixel_aspect_of_radiance_is_handed_on(resolution: str, turned: bool) -> None:
    """As Radiance shows it: height / width of a pixel of the upright picture, one factor for each program."""
    lines = ("PIXASPECT=.5", "PIXASPECT= 4", "PIXASPECT=0", "PIXASPECT=x")
    picture = read_picture(radiance(LIGHT, *lines, resolution=resolution))
    assert (picture.height > picture.width) == turned
    assert picture.source.inherited.pixel_aspect == 0.5
    assert read_picture(radiance(LIGHT, *["PIXASPECT=1e9"] * 99)).source.inherited.pixel_aspect == 1.0


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


@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("channels", [0, 2, 3, 4])
def test_jpeg_xl_of_8_bits(channels: int, container: bool) -> None:
    stored = noise(channels=channels)
    data = jxl(stored, lossless=True, usecontainer=container)
    picture, header = read_picture(data), read_header(data)
    alpha = channels in (2, 4)
    color = stored[..., None] if channels == 0 else stored[..., :-1] if alpha else stored
    np.testing.assert_allclose(picture.rgb, np.broadcast_to(srgb(color / 255), picture.rgb.shape), rtol=3e-7)
    assert header.channels == max(channels, 1)
    assert (picture.alpha is not None) == header.has_alpha == alpha
    if picture.alpha is not None:
        np.testing.assert_allclose(picture.alpha, stored[..., -1] / 255, rtol=1e-6)
    assert (header.format, header.bits, header.color_space) == ("jxl", 8, "JPEG XL 1/13")


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_jpeg_xl_of_more_bits(bits: int) -> None:
    stored = noise(bits=16) >> (16 - bits)
    picture = read_picture(jxl(stored, lossless=True, bitspersample=bits))  # imagecodecs marks it as linear
    np.testing.assert_allclose(picture.rgb, stored / (2**bits - 1), rtol=1e-6)
    assert (picture.source.bits, picture.source.is_float) == (bits, False)
    assert picture.source.color_space == "JPEG XL 1/8"


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_jpeg_xl_of_float(dtype: Any) -> None:
    light = (np.random.default_rng(1).random((24, 32, 3)) * 5 - 0.5).astype(dtype)
    picture = read_picture(jxl(light, lossless=True))
    np.testing.assert_array_equal(picture.rgb, light.astype(np.float32))
    assert picture.source.is_float


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_lossy_jpeg_xl_has_the_colours_of_the_lossless_one(kind: str) -> None:
    stored = np.full((32, 32, 3), (200, 120, 40), np.uint8)
    array = stored if kind == "uint8" else srgb(stored / 255).astype(np.float32)
    picture = read_picture(jxl(array, distance=0.5))
    np.testing.assert_allclose(picture.rgb, srgb(stored / 255), atol=0.02)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (8, 24), (256, 256), (300, 400), (512, 1024), (9000, 8)])
def test_the_size_of_jpeg_xl(size: tuple[int, int]) -> None:
    header = read_header(jxl(np.zeros((*size, 3), np.uint8), lossless=True, effort=1))
    assert (header.height, header.width) == size


def test_an_animated_jpeg_xl() -> None:
    frames = np.stack([noise(seed=seed) for seed in range(3)])
    picture = read_picture(jxl(frames, lossless=True))
    np.testing.assert_allclose(picture.rgb, srgb(frames[0] / 255), rtol=3e-7)
    assert picture.source.notices == ("an animation: the first picture is read",)


@pytest.mark.parametrize(
    ("space", "name", "white"),
    [
        ("pq_rec2020_display", "JPEG XL 9/16", 0.5806888),
        ("hlg_rec2020_display", "JPEG XL 9/18", 0.75),
        ("pq_p3d65_display", "JPEG XL 11/16", 0.5806888),
        ("lin_rec2020_scene", "JPEG XL 9/8", 1.0),
        ("srgb_p3d65_scene", "JPEG XL 11/13", 1.0),
    ],
)
def test_the_colours_of_jpeg_xl(space: str, name: str, white: float, tmp_path: Path) -> None:
    """Written by OpenImageIO, which puts the code points into the codestream."""
    path = tmp_path / "picture.jxl"
    spec = OpenImageIO.ImageSpec(40, 24, 3, "float")
    spec.attribute("oiio:ColorSpace", space)
    pixels = np.full((24, 40, 3), white, np.float32)
    pixels[:, :20] = [0.5, 0, 0]
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    output.close()
    picture = read_picture(path)
    assert picture.source.color_space == name
    np.testing.assert_allclose(picture.rgb[12, 35], 1, atol=0.02)
    assert picture.rgb[12, 5].min() < 0  # red of a gamut that is wider than Rec.709's


def jxl_with_profile(array: Any, profile: bytes, path: Path, quality: int) -> bytes:
    """By OpenImageIO: imagecodecs embeds no profile."""
    height, width, channels = array.shape
    spec = OpenImageIO.ImageSpec(width, height, channels, str(array.dtype).replace("32", ""))
    kind = OpenImageIO.TypeDesc(f"uint8[{len(profile)}]")
    spec.attribute("ICCProfile", kind, np.frombuffer(profile, np.uint8))
    spec.attribute("compression", f"jpegxl:{quality}")
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(array)
    output.close()
    return path.read_bytes()


@pytest.mark.sample(1)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_jpeg_xl_with_an_icc_profile(dtype: str, tmp_path: Path) -> None:
    codes = noise(24, 40, 3, 16)
    array = {"uint8": (codes >> 8).astype(np.uint8), "uint16": codes, "float32": codes / np.float32(65535)}
    profile = lut_profile()
    data = jxl_with_profile(array[dtype], profile, tmp_path / "a.jxl", 100)
    picture, header = read_picture(data), read_header(data)
    assert header.color_space == "ICC profile in the codestream"
    assert picture.source.color_space == "ICC: A scanner"
    stored = array[dtype] if dtype != "float32" else codes
    expected = read_picture(tiff(stored, photometric="rgb", iccprofile=profile))
    np.testing.assert_allclose(picture.rgb, expected.rgb, atol=2e-3 if dtype == "float32" else 1e-6)
    np.testing.assert_array_equal(read_picture_isolated(data).rgb, picture.rgb)


def test_a_lossy_jpeg_xl_with_an_icc_profile(tmp_path: Path) -> None:
    """libjxl may decode it to other colours than its profile's; it says to which."""
    codes = np.full((24, 40, 3), (200, 120, 40), np.uint8)
    data = jxl_with_profile(codes, rgb_profile(P3), tmp_path / "a.jxl", 95)
    expected = read_picture(png(codes, iccp(rgb_profile(P3)))).rgb
    np.testing.assert_allclose(read_picture(data).rgb, expected, atol=0.02)


def mosaic(red: int, green: int, blue: int) -> Any:
    sensor = np.full((64, 96), green, np.uint16)
    sensor[::2, ::2], sensor[1::2, 1::2] = red, blue
    return sensor


def test_camera_raw_is_linear_light() -> None:
    pytest.importorskip("rawpy")
    sensor = mosaic(50000, 30000, 10000)
    sensor[:, 48:] //= 10
    data = dng(sensor)
    picture, header = read_picture(data), read_header(data)
    expected = np.array([50000, 30000, 10000]) / 65535
    np.testing.assert_allclose(picture.rgb[10:50, 10:40], np.broadcast_to(expected, (40, 30, 3)), atol=2e-3)
    np.testing.assert_allclose(
        picture.rgb[10:50, 60:90], np.broadcast_to(expected / 10, (40, 30, 3)), atol=2e-3
    )
    assert (header.format, header.width, header.height, header.bits) == ("raw", 96, 64, 16)
    assert picture.source.color_space == "camera raw, linear Rec.2020"
    assert "camera's white balance" in picture.source.notices[0]
    assert b"Acme" in (picture.source.exif or b"")
    isolated = read_picture_isolated(data)
    np.testing.assert_array_equal(isolated.rgb, picture.rgb)


def test_camera_raw_has_the_white_balance_of_the_camera() -> None:
    pytest.importorskip("rawpy")
    picture = read_picture(dng(mosaic(40000, 20000, 10000), white=(1, 0.5, 0.25)))
    np.testing.assert_allclose(picture.rgb[20:40, 20:60], 40000 / 65535, atol=2e-3)


def camera_file(order: str, *, big: bool, kind: int) -> bytes:
    """As NEF and ARW are: a small picture that is whole, and what the sensor saw in a directory below it.

    kind: of the tag that points there, LONG or IFD.
    """
    wide = kind == 13 and big

    def short(value: int) -> bytes:
        return struct.pack(order + "H", value)

    def long(value: int) -> bytes:
        return struct.pack(order + "I", value)

    def place(value: int) -> bytes:
        return struct.pack(order + "Q", value) if wide else long(value)

    sizes = {256: (3, 1, short(8)), 257: (3, 1, short(6)), 258: (3, 1, short(8)), 277: (3, 1, short(1))}

    def first(at: int) -> bytes:
        below = (18 if wide else kind, 1, place(at))
        page = {**sizes, 262: (3, 1, short(1)), 273: (4, 1, long(0)), 279: (4, 1, long(48)), 330: below}
        return directory_bytes(order, page, 16 if big else 8, big=big)

    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else long(8)
    at = len(head) + len(first(0))
    sensor = {**sizes, 262: (3, 1, short(32803)), 273: (4, 1, long(0)), 279: (4, 1, long(48))}
    return head + first(at) + directory_bytes(order, sensor, at, big=big) + bytes(64)


CAMERA_FILES = [(order, big, kind) for order in "<>" for big in (False, True) for kind in (4, 13)]


def test_what_libraw_does_not_read_is_told_in_its_words() -> None:
    """Never by the small picture that such a file has for viewers."""
    pytest.importorskip("rawpy")
    for data in (camera_file("<", big=False, kind=4), b"FOVb" + bytes(600)):
        with pytest.raises(PictureError, match=r"is a camera raw file that LibRaw cannot read: [A-Z]"):
            read_picture(data)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_camera_raw_is_upright(orientation: int) -> None:
    pytest.importorskip("rawpy")
    sensor = mosaic(50000, 50000, 50000)
    sensor[:, 48:] = 1000
    header = read_header(dng(sensor, orientation=orientation))
    rgb = read_picture(dng(sensor, orientation=orientation)).rgb
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    assert header.orientation == orientation
    assert rgb.shape == ((64, 96, 3) if turns % 2 == 0 else (96, 64, 3))
    stored = np.rot90(rgb, -turns)
    assert stored[32, 10].min() > 0.5
    assert stored[32, 86].max() < 0.1


@pytest.mark.parametrize(
    "data",
    [
        dng(mosaic(1, 1, 1)),
        b"II*\0\x10\0\0\0CR\x02\0" + bytes(100),
        b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201" + bytes(100),
        b"IIRO\x08\0\0\0" + bytes(100),
        b"IIU\0\x18\0\0\0" + bytes(100),
        b"II*\0\x08\0\0\0IIIITwaR" + bytes(100),
        b"FOVb\1\0\2\0" + bytes(100),
        b"\0MRM\0\0\1\0" + bytes(100),
        b"II\x1a\0\0\0HEAPCCDR" + bytes(100),
        *(camera_file(order, big=big, kind=kind) for order, big, kind in CAMERA_FILES),
    ],
    ids=[
        *("DNG", "CR2", "CR3", "RAF", "ORF", "RW2", "IIQ", "X3F", "MRW", "CRW"),
        *(f"NEF {order} {big} {kind}" for order, big, kind in CAMERA_FILES),
    ],
)
def test_camera_raw_without_the_extra_names_it(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(
        PictureError, match=r"is a camera raw file; reading those needs .* 'luxscaler\[raw\]'"
    ):
        read_picture(data)


def test_damaged_camera_raw() -> None:
    pytest.importorskip("rawpy")
    data = dng(mosaic(9, 9, 9))
    for length in range(16, len(data), 500):
        with pytest.raises(PictureError):
            read_picture(data[:length])


def test_a_tiff_with_other_resolutions_is_no_camera_raw() -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(noise(), photometric="rgb", subifds=1, metadata=None)
        writer.write(noise(12, 16), photometric="rgb", subfiletype=1, metadata=None)
    assert read_picture(file.getvalue()).source.format == "tiff"


def test_an_exr_with_smaller_copies_of_itself(tmp_path: Path) -> None:
    light = noise(64, 48).astype(np.float32)
    path = str(tmp_path / "mip.exr")
    spec = OpenImageIO.ImageSpec(48, 64, 3, "float")
    source = OpenImageIO.ImageBuf(light)
    assert OpenImageIO.ImageBufAlgo.make_texture(OpenImageIO.MakeTxTexture, source, path, spec)
    np.testing.assert_array_equal(read_picture(path).rgb, light)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_tiff_of_packed_bits(bits: int, byteorder: Any) -> None:
    stored = noise(bits=16) >> (16 - bits)
    planes = (stored.reshape(24, -1, 1) >> np.arange(bits)[::-1] & 1).astype(np.uint8)
    packed = np.packbits(planes.reshape(24, -1), axis=1).tobytes()
    file = BytesIO()
    with tifffile.TiffWriter(file, byteorder=byteorder) as writer:
        writer.write(
            iter([packed]),
            shape=stored.shape,
            dtype=np.uint16,
            photometric="rgb",
            bitspersample=bits,
            rowsperstrip=24,
            metadata=None,
        )
    picture = read_picture(file.getvalue())
    np.testing.assert_allclose(picture.rgb, srgb(stored / (2**bits - 1)), rtol=3e-7, atol=1e-9)
    assert picture.source.bits == bits


@pytest.mark.parametrize(
    ("light", "code"),
    [
        (0, 0.0),
        (1, 0.149946),
        (100, 0.508078),
        (203, 0.580689),
        (1000, 0.751827),
        (4000, 0.902572),
        (10000, 1.0),
    ],
)
def test_a_pq_png_is_linear_light_with_203_cd_m2_as_1(light: float, code: float) -> None:
    """Codes of SMPTE ST 2084, computed apart."""
    coded = np.full((2, 2, 3), round(code * 65535), np.uint16)
    rgb = read_picture(png(coded, (b"cICP", bytes([9, 16, 0, 1])))).rgb
    np.testing.assert_allclose(rgb * 203, light, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_xl_is_turned_as_libjxl_turns_it(orientation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No encoder here writes an orientation, so it is put into the header where other fields are added."""
    light = noise(12, 20).astype(np.float32) / 255
    plain = bytes(imagecodecs.jpegxl_encode(light, lossless=True, effort=1, usecontainer=True))
    monkeypatch.setattr(luminance, "_EXTRA_FIELDS", "1" + u_bits(orientation - 1, 3) + "000")
    head, rest = luminance.with_luminance(plain, 203.0)
    data = head + plain[rest:]
    upright = imagecodecs.jpegxl_decode(data, keeporientation=False)
    picture, header = read_picture(data), read_header(data)
    np.testing.assert_array_equal(picture.rgb, upright)
    assert (header.orientation, header.width) == (orientation, upright.shape[1])
