"""read_picture and read_header: every format and layout, bit depths, alpha, orientation."""

import struct
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import pytest
from PIL import Image, ImageOps

from luxscaler.io.read import PictureHeader, read_header, read_picture
from luxscaler.picture import Picture
from tests.support.picture_files import avif, box, chunk, exif, exr, noise, pillow, png, raw_png, srgb, tiff

GREY8, RGB8, RGBA8, LA8 = (noise(channels=c) for c in (0, 3, 4, 2))
FLAT8 = np.full((16, 32, 3), 200, np.uint8)
GREY16, RGB16, RGBA16, LA16 = (noise(channels=c, bits=16) for c in (0, 3, 4, 2))


def expect(picture: Picture, coded: Any, top: float, *, alpha: Any = None, rtol: float = 3e-7) -> None:
    """The picture is sRGB-decode(coded / top), to the last bits of float32, and its alpha is alpha / top."""
    coded = np.asarray(coded)
    if coded.ndim == 2:
        coded = coded[..., None].repeat(3, axis=2)
    assert picture.rgb.dtype == np.float32
    np.testing.assert_allclose(picture.rgb, srgb(coded / top), rtol=rtol, atol=1e-9)
    if alpha is None:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, np.asarray(alpha) / top, rtol=1e-6)


INTEGER_FILES: list[tuple[str, bytes, Any, float, Any]] = [
    ("png grey", png(GREY8), GREY8, 255, None),
    ("png grey+alpha", png(LA8), LA8[..., 0], 255, LA8[..., 1]),
    ("png rgb", png(RGB8), RGB8, 255, None),
    ("png rgba", png(RGBA8), RGBA8[..., :3], 255, RGBA8[..., 3]),
    ("png grey16", png(GREY16), GREY16, 65535, None),
    ("png grey16+alpha", png(LA16), LA16[..., 0], 65535, LA16[..., 1]),
    ("png rgb16", png(RGB16), RGB16, 65535, None),
    ("png rgba16", png(RGBA16), RGBA16[..., :3], 65535, RGBA16[..., 3]),
    ("webp lossless", pillow(RGB8, "WEBP", lossless=True), RGB8, 255, None),
    (
        "webp lossless alpha",
        pillow(RGBA8, "WEBP", lossless=True, exact=True),
        RGBA8[..., :3],
        255,
        RGBA8[..., 3],
    ),
    ("bmp", pillow(RGB8, "BMP"), RGB8, 255, None),
    ("bmp grey", pillow(GREY8, "BMP"), GREY8, 255, None),
    ("gif", pillow(GREY8, "GIF"), GREY8, 255, None),
    ("tiff grey", tiff(GREY8), GREY8, 255, None),
    ("tiff white is zero", tiff(GREY8, photometric="miniswhite"), 255 - GREY8, 255, None),
    ("tiff rgb", tiff(RGB8, photometric="rgb"), RGB8, 255, None),
    ("tiff rgb16", tiff(RGB16, photometric="rgb"), RGB16, 65535, None),
    ("tiff big-endian", tiff(RGB16, photometric="rgb", byteorder=">"), RGB16, 65535, None),
    ("bigtiff", tiff(RGB16, photometric="rgb", bigtiff=True), RGB16, 65535, None),
    ("tiff grey16 lzw", tiff(GREY16, compression="lzw", predictor=True), GREY16, 65535, None),
    (
        "tiff tiles zlib",
        tiff(RGB16, photometric="rgb", compression="zlib", tile=(16, 16)),
        RGB16,
        65535,
        None,
    ),
    (
        "tiff planar",
        tiff(np.moveaxis(RGB16, 2, 0).copy(), photometric="rgb", planarconfig="separate"),
        RGB16,
        65535,
        None,
    ),
    (
        "tiff alpha",
        tiff(RGBA16, photometric="rgb", extrasamples=["unassalpha"]),
        RGBA16[..., :3],
        65535,
        RGBA16[..., 3],
    ),
    (
        "tiff grey alpha",
        tiff(LA8, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]),
        LA8[..., 0],
        255,
        LA8[..., 1],
    ),
    ("tiff extra", tiff(RGBA8, photometric="rgb", extrasamples=["unspecified"]), RGBA8[..., :3], 255, None),
    ("tiff palette", pillow(Image.fromarray(GREY8).convert("P"), "TIFF"), GREY8, 255, None),
    ("tiff jpeg", tiff(FLAT8, photometric="rgb", compression="jpeg"), FLAT8, 255, None),
    ("avif 8", avif(RGB8), RGB8, 255, None),
    ("avif 10", avif(RGB16 >> 6, 10), RGB16 >> 6, 1023, None),
    ("avif 12", avif(RGB16 >> 4, 12), RGB16 >> 4, 4095, None),
    ("avif 12 alpha", avif(RGBA16 >> 4, 12), RGBA16[..., :3] >> 4, 4095, RGBA16[..., 3] >> 4),
    ("avif grey", avif(GREY8, matrix=1), GREY8, 255, None),
]


@pytest.mark.parametrize(
    ("data", "coded", "top", "alpha"), [f[1:] for f in INTEGER_FILES], ids=[f[0] for f in INTEGER_FILES]
)
def test_integer_samples_keep_every_bit(data: bytes, coded: Any, top: float, alpha: Any) -> None:
    picture = read_picture(data)
    expect(picture, coded, top, alpha=alpha)
    header = read_header(data)
    assert (header.width, header.height) == (picture.width, picture.height)
    assert header.has_alpha == (alpha is not None)
    assert header.bits == picture.source.bits == max(8, int(np.log2(top + 1)))
    assert not header.is_float


def test_all_65536_values_of_a_16_bit_png_stay_apart() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rgb = read_picture(png(ramp[..., None].repeat(3, axis=2))).rgb[..., 1].ravel()
    assert (np.diff(rgb) > 0).all()
    np.testing.assert_array_equal(rgb, srgb(np.arange(65536) / 65535).astype(np.float32))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_with_few_bits(bits: int) -> None:
    samples = np.arange(8) % 2**bits
    packed = np.packbits((samples[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8).ravel())
    grey = raw_png(8, 1, bits, 0, b"\0" + packed.tobytes())
    expect(read_picture(grey), samples[None], 2**bits - 1)
    palette = noise(1, 2**bits, 3, seed=bits)
    indexed = raw_png(8, 1, bits, 3, b"\0" + packed.tobytes(), (b"PLTE", palette.tobytes()))
    expect(read_picture(indexed), palette[0][samples][None], 255)


def test_png_palette_with_transparency() -> None:
    palette = bytes([255, 0, 0, 0, 255, 0, 0, 0, 255])
    data = raw_png(3, 1, 8, 3, b"\0\0\1\2", (b"PLTE", palette), (b"tRNS", bytes([0, 128])))
    expect(read_picture(data), np.eye(3)[None] * 255, 255, alpha=[[0, 128, 255]])


@pytest.mark.parametrize("bits", [8, 16])
def test_png_colour_key(bits: int) -> None:
    top = 2**bits - 1
    rgb = noise(1, 5, 3, bits)
    key = (b"tRNS", struct.pack(">3H", *rgb[0, 2]))
    expect(read_picture(png(rgb, key)), rgb, top, alpha=[[top, top, 0, top, top]])
    grey = np.array([[1, 2, 3]], rgb.dtype)
    expect(read_picture(png(grey, (b"tRNS", struct.pack(">H", 2)))), grey, top, alpha=[[top, 0, top]])


def test_png_interlaced_16_bits() -> None:
    rgb = noise(9, 11, 3, 16)
    rows = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.astype(">u2").tobytes() for row in rgb[y::dy, x::dx])
    data = bytearray(raw_png(11, 9, 16, 2, rows))
    data[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", 11, 9, 16, 2, 0, 0, 1))
    expect(read_picture(bytes(data)), rgb, 65535)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_what_libjpeg_says(options: dict[str, Any]) -> None:
    data = pillow(RGB8, "JPEG", **options)
    expect(read_picture(data), np.asarray(Image.open(BytesIO(data))), 255)
    assert read_header(data) == PictureHeader("jpeg", 32, 24, 8, False, 3, False, "sRGB (assumed)", 1)
    grey = pillow(GREY8, "JPEG", **options)
    expect(read_picture(grey), np.asarray(Image.open(BytesIO(grey))), 255)
    assert read_header(grey).channels == 1


def test_lossy_webp_is_what_libwebp_says() -> None:
    for array in (RGB8, RGBA8):
        data = pillow(array, "WEBP", quality=80)
        decoded = imagecodecs.webp_decode(data)
        expect(read_picture(data), decoded[..., :3], 255, alpha=decoded[..., 3] if array is RGBA8 else None)


def test_tiff_with_associated_alpha_becomes_straight() -> None:
    alpha = noise(channels=0, bits=16, seed=1) | 0x8000
    straight = noise(channels=3, bits=16) / 65535
    stored = np.dstack([straight * alpha[..., None], alpha]).round().astype(np.uint16)
    picture = read_picture(tiff(stored, photometric="rgb", extrasamples=["assocalpha"]))
    np.testing.assert_allclose(picture.rgb, srgb(straight), atol=5e-5)
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha, alpha / 65535, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_float_tiff_is_linear_and_unbounded(dtype: type) -> None:
    values: Any = np.linspace(-1, 60, 24 * 32 * 3).reshape(24, 32, 3).astype(dtype)
    picture = read_picture(tiff(values, photometric="rgb", compression="zlib", predictor=True))
    np.testing.assert_array_equal(picture.rgb, values.astype(np.float32))
    assert picture.source.is_float
    assert picture.source.bits == np.dtype(dtype).itemsize * 8
    assert picture.source.color_space == "linear Rec.709 (assumed)"


def test_32_bit_integer_tiff() -> None:
    values = np.array([[0, 2**31, 2**32 - 1]], np.uint32)
    expect(read_picture(tiff(values, photometric="minisblack")), values, 2.0**32 - 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.uint32])
def test_exr_of_every_pixel_type(dtype: type) -> None:
    planes: dict[str, Any] = {n: np.arange(12).reshape(3, 4).astype(dtype) + i for i, n in enumerate("RGB")}
    picture = read_picture(exr(planes))
    np.testing.assert_array_equal(picture.rgb, np.dstack([planes[n] for n in "RGB"]).astype(np.float32))
    assert picture.source.bits == np.dtype(dtype).itemsize * 8
    assert picture.alpha is None


def test_exr_colour_is_unpremultiplied() -> None:
    alpha = np.array([[1.0, 0.5, 0.25, 0.0]], np.float32)
    planes = {n: np.full((1, 4), v, np.float32) for n, v in zip("RGB", (0.5, 1.0, 8.0), strict=True)}
    picture = read_picture(exr({**planes, "A": alpha}))
    np.testing.assert_array_equal(picture.rgb[0, :, 0], [0.5, 1.0, 2.0, 0.5])  # glow without cover is kept
    np.testing.assert_array_equal(picture.rgb[0, :, 2], [8.0, 16.0, 32.0, 8.0])
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, alpha)


def test_exr_alpha_beyond_its_range_is_clamped() -> None:
    planes = {n: np.full((1, 2), 3, np.float32) for n in "RGB"}
    picture = read_picture(exr({**planes, "A": np.array([[2.0, -1.0]], np.float32)}))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha, [[1, 0]])
    np.testing.assert_array_equal(picture.rgb, 3)


def test_exr_of_luminance_is_grey_and_other_channels_are_named() -> None:
    grey = np.arange(6, dtype=np.float32).reshape(2, 3)
    picture = read_picture(exr({"Y": grey, "Z": grey}))
    np.testing.assert_array_equal(picture.rgb, grey[..., None].repeat(3, axis=2))
    assert picture.source.notices == ("channels ignored: Z",)


def test_exr_data_window_is_laid_into_the_display_window() -> None:
    plane = np.arange(1, 21, dtype=np.float32).reshape(4, 5)
    windows = {
        "dataWindow": (np.array([-1, 1], np.int32), np.array([3, 4], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([5, 3], np.int32)),
    }
    picture = read_picture(exr({"Y": plane}, **windows))
    expected = np.zeros((4, 6), np.float32)
    expected[1:, :4] = plane[:3, 1:]
    np.testing.assert_array_equal(picture.rgb[..., 0], expected)
    assert "data window" in picture.source.notices[0]


def test_exr_tiled() -> None:
    planes = {n: noise(40, 50, 0, seed=i).astype(np.float32) for i, n in enumerate("RGB")}
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    picture = read_picture(exr(planes, type=OpenEXR.tiledimage, tiles=tiles))
    np.testing.assert_array_equal(picture.rgb, np.dstack([planes[n] for n in "RGB"]))


def test_nan_and_infinity_are_repaired_and_counted() -> None:
    values = np.ones((2, 3, 3), np.float32)
    values[0, 0] = [np.nan, 5, 1]
    values[0, 1] = [np.inf, -np.inf, np.nan]
    for data in (tiff(values, photometric="rgb"), exr({n: values[..., i] for i, n in enumerate("RGB")})):
        picture = read_picture(data)
        np.testing.assert_array_equal(picture.rgb[0, :2], [[0, 5, 1], [5, -5, 0]])
        np.testing.assert_array_equal(picture.rgb[1], values[1])
        assert picture.source.notices == ("repaired: 2 pixels with NaN or infinite values",)


def test_nothing_but_nan_is_black() -> None:
    assert (read_picture(tiff(np.full((2, 2, 3), np.nan, np.float32), photometric="rgb")).rgb == 0).all()


def test_division_by_a_tiny_alpha_stays_finite() -> None:
    planes = {n: np.full((1, 1), 1e30, np.float32) for n in "RGB"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = read_picture(exr({**planes, "A": np.full((1, 1), 1e-30, np.float32)}))
    assert np.isfinite(picture.rgb).all()


MARKED = noise(20, 30, 3, seed=3)


def upright(orientation: int, array: Any = MARKED) -> Any:
    """What Pillow makes of the orientation, from pixels that no codec touched."""
    image = Image.fromarray(array)
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


WRITERS: dict[str, Callable[[int], bytes]] = {
    "png": lambda o: png(MARKED, (b"eXIf", exif(o)[6:])),
    "png16": lambda o: png(MARKED.astype(np.uint16) * 257, (b"eXIf", exif(o)[6:])),
    "webp": lambda o: pillow(MARKED, "WEBP", lossless=True, exif=exif(o)),
    "tiff": lambda o: tiff(MARKED, photometric="rgb", extratags=[(274, 3, 1, o, True)]),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", WRITERS)
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    data = WRITERS[kind](orientation)
    picture = read_picture(data)
    expect(picture, upright(orientation), 255)
    header = read_header(data)
    assert (header.width, header.height) == (picture.width, picture.height)
    assert header.orientation == orientation


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_orientation_is_that_of_pillow(orientation: int) -> None:
    data = pillow(MARKED, "JPEG", exif=exif(orientation))
    expect(read_picture(data), np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data)))), 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_is_turned_by_its_properties_and_not_by_exif(orientation: int) -> None:
    # Pillow writes irot and imir for the orientation, and applies them itself on reading.
    blocks = np.kron(np.arange(6).reshape(2, 3) * 40, np.ones((16, 16), int)).astype(np.uint8)
    data = pillow(blocks[..., None].repeat(3, axis=2), "AVIF", quality=100, exif=exif(orientation))
    expected = upright(orientation, blocks[..., None].repeat(3, axis=2))
    picture = read_picture(data)
    assert picture.rgb.shape == expected.shape
    np.testing.assert_allclose(picture.rgb, srgb(expected / 255), atol=0.02)


def test_damaged_exif_is_no_reason_to_refuse() -> None:
    for block in (b"", b"II", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", exif(6)[6:20], b"XX" * 20):
        expect(read_picture(png(RGB8, (b"eXIf", block))), RGB8, 255)
    expect(read_picture(png(RGB8, (b"eXIf", exif(99)[6:]))), RGB8, 255)


def test_animations_and_pages_give_the_first_with_a_notice() -> None:
    frames = [Image.new("RGB", (8, 8), (200 - i * 50, 0, 0)) for i in range(3)]
    for data in (
        pillow(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        pillow(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True),
        pillow(frames[0], "TIFF", save_all=True, append_images=frames[1:]),
        pillow(frames[0], "PNG", save_all=True, append_images=frames[1:]),
    ):
        picture = read_picture(data)
        expect(picture, np.asarray(frames[0]), 255)
        assert any("first" in notice for notice in picture.source.notices)


def test_gif_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putdata([0, 1])
    expect(
        read_picture(pillow(image, "GIF", transparency=1)),
        [[[255, 0, 0], [0, 255, 0]]],
        255,
        alpha=[[255, 0]],
    )


def test_gif_transparency_of_a_grey_ramp() -> None:
    grey = np.arange(256, dtype=np.uint8)[None]
    alpha = np.where(grey == 7, 0, 255)
    expect(read_picture(pillow(grey, "GIF", transparency=7)), grey, 255, alpha=alpha)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_pictures_one_pixel_wide(size: tuple[int, int]) -> None:
    array = noise(*size)
    for data in (
        png(array),
        pillow(array, "WEBP", lossless=True),
        tiff(array, photometric="rgb"),
        avif(array),
    ):
        expect(read_picture(data), array, 255)


def test_sources_are_paths_and_bytes_alike(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"  # the suffix lies
    path.write_bytes(png(RGB16))
    for source in (path, str(path), path.read_bytes()):
        expect(read_picture(source), RGB16, 65535)
        assert read_header(source).format == "png"


def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luxscaler.io.linearize._STRIP_PIXELS", 50)
    for data, top in ((png(RGBA16), 65535), (avif(RGBA16 >> 4, 12), 4095)):
        array = RGBA16 if top == 65535 else RGBA16 >> 4
        expect(read_picture(data), array[..., :3], top, alpha=array[..., 3])


def test_avif_boxes_with_64_bit_sizes() -> None:
    data = avif(RGB8)
    size = struct.unpack_from(">I", data)[0]
    free = struct.pack(">I4sQ", 1, b"free", 16 + 5) + b"hello"
    header = read_header(data[:size] + free + box(b"skip", b"") + data[size:])
    assert (header.width, header.height, header.bits) == (32, 24, 8)
