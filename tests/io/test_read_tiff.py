"""TIFF in the kinds that scanners, fax machines and scientists write."""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from luxscaler.errors import PictureError
from luxscaler.io.exif.ifd import directory_bytes
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from tests.support.picture_files import noise, pillow, srgb, tiff

SMOOTH = Image.fromarray(noise(5, 6)).resize((48, 40), Image.Resampling.BICUBIC)
RGB = np.asarray(SMOOTH)
SHORT, LONG, RATIONAL = 3, 4, 5
_CODES = {SHORT: "H", LONG: "I", RATIONAL: "I"}


def raw_tiff(tags: Mapping[int, tuple[int, Sequence[int | str]]], pixels: bytes) -> bytes:
    """A TIFF of one directory; "pixels" among the values stands for their place."""
    base = 8 + 2 + 12 * len(tags) + 4
    extra = pixels + bytes(len(pixels) % 2)
    table = b""
    for tag, (kind, values) in sorted(tags.items()):
        numbers = [base if value == "pixels" else int(value) for value in values]
        data = struct.pack(f"<{len(numbers)}{_CODES[kind]}", *numbers)
        field = data.ljust(4, b"\0")
        if len(data) > 4:
            field = struct.pack("<I", base + len(extra))
            extra += data
        table += struct.pack("<HHI", tag, kind, len(numbers) // (2 if kind == RATIONAL else 1)) + field
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + table + bytes(4) + extra


def tags(
    width: int, height: int, size: int, bits: Sequence[int], compression: int, color: int
) -> dict[int, Any]:
    return {
        256: (SHORT, [width]),
        257: (SHORT, [height]),
        258: (SHORT, bits),
        259: (SHORT, [compression]),
        262: (SHORT, [color]),
        273: (LONG, ["pixels"]),
        277: (SHORT, [len(bits)]),
        278: (SHORT, [height]),
        279: (LONG, [size]),
        284: (SHORT, [1]),
    }


def by_openimageio(data: bytes, folder: Path, kind: str = "uint8") -> NDArray[Any]:
    path = folder / "seen.tif"
    path.write_bytes(data)
    return np.asarray(oiio.ImageBuf(str(path)).get_pixels(kind))


@pytest.mark.parametrize("colors", [2, 4, 7, 16])
def test_palettes_of_few_bits(colors: int) -> None:
    indexed = SMOOTH.quantize(colors)
    expected = srgb(np.asarray(indexed.convert("RGB")) / 255)
    np.testing.assert_allclose(read_picture(pillow(indexed, "TIFF")).rgb, expected, rtol=3e-7)


def test_a_palette_of_one_bit() -> None:
    indices = noise(5, 16, 0) & 1
    packed = np.packbits(indices, axis=1).tobytes()
    colors = {320: (SHORT, [65535, 0, 257 * 10, 257 * 200, 0, 257 * 30])}
    data = raw_tiff({**tags(16, 5, len(packed), [1], 1, 3), **colors}, packed)
    palette = np.array([[255, 10, 0], [0, 200, 30]])
    np.testing.assert_allclose(read_picture(data).rgb, srgb(palette[indices] / 255), rtol=3e-7)


@pytest.mark.parametrize("bits", range(1, 33))
def test_grey_of_every_depth(bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (7, 9), dtype=np.uint64)
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    data = tiff(values.astype(dtype), photometric="minisblack", bitspersample=bits)
    expected = srgb(values / (2**bits - 1))
    np.testing.assert_allclose(read_picture(data).rgb[..., 0], expected, rtol=3e-7, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint64])
def test_signed_and_wide_integers(dtype: Any, tmp_path: Path) -> None:
    top = int(np.iinfo(dtype).max)
    values = np.array([[0, top // 7, top // 2, top]], dtype)
    if np.iinfo(dtype).min < 0:
        values = np.concatenate([values, np.array([[-1, -(top // 3), -top, 1]], dtype)])
    data = tiff(values, photometric="minisblack")
    picture = read_picture(data)
    expected = srgb(np.maximum(values.astype(np.float64), 0) / top)
    np.testing.assert_allclose(picture.rgb[..., 0], expected, rtol=1e-4, atol=1e-9)
    assert any("signed" in notice for notice in picture.source.notices) == (np.dtype(dtype).kind == "i")
    if np.dtype(dtype).itemsize < 8:
        seen = np.clip(by_openimageio(data, tmp_path, "float"), 0, 1)[..., 0]
        np.testing.assert_allclose(picture.rgb[..., 0], srgb(seen), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("size", [(48, 40), (1001, 700)])
def test_fax(compression: str, size: tuple[int, int]) -> None:
    bilevel = Image.fromarray(noise(50, 60, 0)).resize(size, Image.Resampling.BICUBIC).convert("1")
    picture = read_picture(pillow(bilevel, "TIFF", compression=compression))
    np.testing.assert_array_equal(picture.rgb[..., 0], np.asarray(bilevel, np.float32))


def lab_image() -> Image.Image:
    srgb_of, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    made = ImageCms.applyTransform(SMOOTH, ImageCms.buildTransform(srgb_of, lab, "RGB", "LAB"))
    assert isinstance(made, Image.Image)
    return made


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", ["CIELAB", "ICCLAB"])
def test_cielab(bits: int, kind: str) -> None:
    codes = np.asarray(lab_image()).astype(np.int32)  # Pillow has a and b with 128 for 0... or as int8
    with_sign = codes.copy()
    with_sign[..., 1:] = (codes[..., 1:].astype(np.uint8)).view(np.int8)
    if bits == 16:
        with_sign = with_sign * np.array([257, 256, 256])
    if kind == "ICCLAB":
        top = {8: 255, 16: 65280}[bits]
        light = with_sign[..., :1] * (top / (2**bits - 1))
        stored = np.concatenate([np.rint(light), with_sign[..., 1:] + 2 ** (bits - 1)], axis=2)
    else:
        stored = with_sign & (2**bits - 1)
    pixels = np.asarray(stored).astype(f"<u{bits // 8}").tobytes()
    number = {"CIELAB": 8, "ICCLAB": 9}[kind]
    picture = read_picture(raw_tiff(tags(48, 40, len(pixels), [bits] * 3, 1, number), pixels))
    np.testing.assert_allclose(picture.rgb, srgb(RGB / 255), atol=0.03)  # 8-bit Lab is coarse
    assert np.abs(picture.rgb - srgb(RGB / 255)).mean() < 0.004
    assert (picture.source.bits, picture.source.is_float, picture.source.color_space) == (bits, False, kind)


def test_white_of_cielab_is_white() -> None:
    pixels = bytes([255, 0, 0, 128, 0, 0])
    picture = read_picture(raw_tiff(tags(2, 1, 6, [8] * 3, 1, 8), pixels))
    np.testing.assert_allclose(picture.rgb[0, 0], 1, atol=1e-5)
    lightness = 128 / 255 * 100
    np.testing.assert_allclose(picture.rgb[0, 1], ((lightness + 16) / 116) ** 3, atol=1e-5)


@pytest.mark.parametrize("step", [1, 2])
def test_ycbcr_outside_jpeg(step: int, tmp_path: Path) -> None:
    ycc = np.asarray(SMOOTH.convert("YCbCr"))
    height, width = ycc.shape[0] // step, ycc.shape[1] // step
    blocks = ycc.reshape(height, step, width, step, 3)
    chroma = blocks[..., 1:].mean((1, 3)).astype(np.uint8)
    luma = blocks[..., 0].transpose(0, 2, 1, 3).reshape(height, width, step * step)
    pixels = np.concatenate([luma, chroma], axis=2).tobytes()
    more = {530: (SHORT, [step, step]), 532: (RATIONAL, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])}
    data = raw_tiff({**tags(48, 40, len(pixels), [8] * 3, 1, 6), **more}, pixels)
    seen = by_openimageio(data, tmp_path)
    np.testing.assert_allclose(read_picture(data).rgb, srgb(seen / 255), rtol=3e-7)
    assert np.abs(seen.astype(int) - RGB).mean() < 8


def test_old_style_jpeg() -> None:
    stream = pillow(SMOOTH, "JPEG", quality=95, subsampling=0)
    more: dict[int, tuple[int, Sequence[int | str]]] = {
        512: (SHORT, [1]),
        513: (LONG, ["pixels"]),
        514: (LONG, [len(stream)]),
        530: (SHORT, [1, 1]),
    }
    data = raw_tiff({**tags(48, 40, len(stream), [8] * 3, 6, 6), **more}, stream)
    expected = np.asarray(Image.open(BytesIO(stream)))
    np.testing.assert_allclose(read_picture(data).rgb, srgb(expected / 255), atol=0.01)


def test_logluv() -> None:
    """32 bits a pixel, by runs of the four bytes of a row (Larson, "LogLuv encoding", 1998)."""
    light = np.random.default_rng(0).integers(16000, 17600, (8, 16)).astype(np.uint16)
    u, v = round(410 * 4 / 19), round(410 * 9 / 19)  # of equal energy
    rows = b""
    for row in light:
        for plane in (row >> 8, row & 255, np.full(16, u), np.full(16, v)):
            rows += bytes([16]) + plane.astype(np.uint8).tobytes()
    data = raw_tiff({**tags(16, 8, len(rows), [16] * 3, 34676, 32845), 339: (SHORT, [2, 2, 2])}, rows)
    picture = read_picture(data)
    expected = 2.0 ** ((light + 0.5) / 256 - 64)
    np.testing.assert_allclose(picture.rgb.mean(axis=2), expected, rtol=0.03)
    assert picture.source.is_float
    assert picture.rgb.max() > 1


@pytest.mark.parametrize("compression", ["zstd", "lzma", "png", "jpegxl", "jpeg2000", "lerc", "webp"])
def test_rare_compressions(compression: str) -> None:
    options = {"compressionargs": {"lossless": True}} if compression in ("webp", "jpegxl") else {}
    data = tiff(RGB, photometric="rgb", compression=compression, **options)
    np.testing.assert_allclose(read_picture(data).rgb, srgb(RGB / 255), rtol=3e-7)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["ycbcr", "group4"])
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    image = SMOOTH.convert("YCbCr") if kind == "ycbcr" else SMOOTH.convert("1")
    options = {"compression": "group4"} if kind == "group4" else {}
    plain = read_picture(pillow(image, "TIFF", **options)).rgb
    data = pillow(image, "TIFF", tiffinfo={274: orientation}, **options)
    turned = {
        1: plain,
        2: plain[:, ::-1],
        3: plain[::-1, ::-1],
        4: plain[::-1],
        5: plain.swapaxes(0, 1),
        6: plain.swapaxes(0, 1)[:, ::-1],
        7: plain.swapaxes(0, 1)[::-1, ::-1],
        8: plain.swapaxes(0, 1)[::-1],
    }[orientation]
    np.testing.assert_array_equal(read_picture(data).rgb, turned)


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        (262, 10, "the TIFF colour type ITULAB"),
        (262, 4, "the TIFF colour type MASK"),
        (259, 34715, "the TIFF compression JBIG2"),
        (259, 12345, "the TIFF compression 12345"),
    ],
)
def test_what_is_not_supported_is_named(tag: int, value: int, text: str) -> None:
    pixels = RGB.tobytes()
    data = raw_tiff({**tags(48, 40, len(pixels), [8] * 3, 1, 2), tag: (SHORT, [value])}, pixels)
    with pytest.raises(PictureError, match=f"{text}, which is not supported"):
        read_header(data)


def test_complex_samples_are_refused_by_name() -> None:
    with pytest.raises(PictureError, match="type complex64, which is not supported"):
        read_picture(tiff(np.zeros((4, 4), np.complex64), photometric="minisblack"))


@pytest.mark.parametrize(("extra", "planar"), [(2, "contig"), (1, "contig"), (2, "separate"), (0, "contig")])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_cielab_with_alpha(extra: int, planar: Any, dtype: Any) -> None:
    step = {np.uint8: 1, np.uint16: 257}[dtype]
    lab = np.asarray(lab_image()).astype(dtype) * step
    plain = read_picture(tiff(lab, photometric="cielab")).rgb
    alpha = np.full(lab.shape[:2], 255 * step, dtype)
    alpha[:10], alpha[10:20] = 0, 51 * step
    stored = lab.copy()
    if extra == 1:
        signed = lab.view(lab.dtype.str.replace("u", "i"))
        chroma = np.rint(signed[..., 1:] * (alpha / (255 * step))[..., None]).astype(signed.dtype)
        stored[..., 1:] = chroma.view(dtype)
        stored[..., 0] = np.rint(lab[..., 0] * (alpha / (255 * step)))
    pixels = np.concatenate([stored, alpha[..., None]], axis=2)
    if planar == "separate":
        pixels = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    picture = read_picture(tiff(pixels, photometric="cielab", extrasamples=[extra], planarconfig=planar))
    np.testing.assert_allclose(picture.rgb[20:], plain[20:], atol=1e-6)
    if extra == 0:
        assert picture.alpha is None
        return
    assert picture.alpha is not None
    np.testing.assert_allclose(picture.alpha[[0, 15, 30], 0], [0, 0.2, 1], atol=1e-6)
    part = picture.rgb[10:20] if extra == 1 else picture.rgb[:20]
    tolerance = {2: 1e-6, 1: 0.2 if dtype is np.uint8 else 2e-3}[extra]
    np.testing.assert_allclose(part, plain[10:20] if extra == 1 else plain[:20], atol=tolerance)


def float24(values: NDArray[np.float32]) -> bytes:
    """A sign, 7 bits of exponent (bias 63) and 16 of mantissa, as Photoshop writes 24-bit floats."""
    bits = values.view(np.uint32).astype(np.int64)
    short = (bits >> 31 << 23) | (((bits >> 23 & 255) - 127 + 63) << 16) | (bits >> 7 & 0xFFFF)
    return np.where(values == 0, 0, short).astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


def test_floats_of_24_bits_come_in_bands_as_they_come_at_once(tmp_path: Path) -> None:
    light = (noise(12, 10) / 64).astype(np.float32)
    pixels = float24(light)
    data = raw_tiff({**tags(10, 12, len(pixels), [24] * 3, 1, 2), 339: (SHORT, [3] * 3)}, pixels)
    laid = decode_to_file(data, tmp_path / "p", max_pixels=10**6).whole()
    for picture in (read_picture(data), laid):
        np.testing.assert_array_equal(picture.rgb, light)


def test_floats_of_24_bits_with_a_predictor_are_refused_by_name() -> None:
    pixels = bytes(12 * 10 * 9)
    of_floats = {**tags(10, 12, len(pixels), [24] * 3, 8, 2), 339: (SHORT, [3] * 3), 317: (SHORT, [3])}
    with pytest.raises(PictureError, match="floats of 24 bits with the TIFF predictor 3"):
        read_header(raw_tiff(of_floats, pixels))


@pytest.mark.parametrize("names", ["", "Cyan\0Magenta\0Yellow\0Orange\0", "PANTONE 1 C\0PANTONE 2 C\0"])
def test_inks_other_than_cmyk_are_refused(names: str) -> None:
    inks = [(332, 3, 1, 2, True), *([(333, 2, None, names, True)] if names else [])]
    data = tiff(noise(12, 10, 6), photometric="separated", extratags=inks)
    with pytest.raises(PictureError, match="inks other than cyan, magenta, yellow and black"):
        read_header(data)


def test_more_inks_beside_cmyk_are_named() -> None:
    inks = [(332, 3, 1, 2, True), (333, 2, None, "Cyan\0Magenta\0Yellow\0Black\0Orange\0", True)]
    data = tiff(noise(12, 10, 5), photometric="separated", extratags=inks)
    assert "ignored: 1 extra channel" in read_header(data).notices


def test_what_a_map_says_of_its_place_is_not_lost_without_a_word() -> None:
    of_map = [(33550, 12, 3, (1.0, 1.0, 0.0), True), (42113, 2, None, "-9999", True)]
    data = tiff(np.zeros((6, 8), np.float32), extratags=of_map)
    assert read_picture(data).source.notices == (
        "GeoTIFF tags are left out: the result does not say where on earth it lies",
        "the value for missing data, -9999, is read as light",
    )


@pytest.mark.parametrize("start", [b"IIII", b"MMMM", b"CRCR"])
def test_pixels_are_no_mark_of_a_camera(start: bytes) -> None:
    """libtiff writes pixels right behind the header, where CR2 and IIQ have their marks."""
    codes = np.resize(np.frombuffer(start, np.uint8), (4, 8, 1))
    values = {256: 8, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: codes.size}
    entries = {tag: (LONG, 1, struct.pack("<I", value)) for tag, value in values.items()}
    place = 8 + codes.size
    data = b"II*\0" + struct.pack("<I", place) + codes.tobytes() + directory_bytes("<", entries, place)
    assert data[8:12] == start
    np.testing.assert_allclose(read_picture(data).rgb, srgb(codes / 255) * np.ones(3), atol=1e-6)


def test_a_place_beyond_any_file_costs_no_picture(tmp_path: Path) -> None:
    """BigTIFF's places have 64 bits, of which files take fewer."""
    codes, path = noise(4, 8), tmp_path / "big.tif"
    for place in (2**62, 2**63 - 1, 2**64 - 1):
        data = tiff(codes, bigtiff=True, extratags=[(65000, 16, 1, place, True)])
        entry = struct.pack("<HQQ", 16, 1, place)
        assert data.count(struct.pack("<H", 65000) + entry) == 1
        data = data.replace(struct.pack("<H", 65000) + entry, struct.pack("<H", 330) + entry)
        path.write_bytes(data)
        for source in (data, path):
            np.testing.assert_allclose(read_picture(source).rgb, srgb(codes / 255), atol=1e-6)
