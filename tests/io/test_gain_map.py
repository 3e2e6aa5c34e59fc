"""Pictures with gain maps, made here from known numbers, against the formulas of ISO 21496-1 and Apple."""

import struct
import zlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.color import DISPLAY_P3, REC2020, rgb_to_rgb
from luxscaler.io.read import read_header, read_picture
from luxscaler.io.write import export
from luxscaler.isolation.pool import decode_to_file, read_picture_isolated
from tests.support.gain_map_files import (
    APPLE_MAP,
    Values,
    adobe_xmp,
    apple_exif,
    container_xmp,
    heif,
    iso,
    iso_common,
    joined_jpeg,
    jpeg,
    pixels,
    xmp,
)
from tests.support.picture_files import P3, avif, exif, jxl, noise, rgb_profile, srgb

Array = NDArray[Any]


def scene(height: int = 48, width: int = 64, channels: int = 3) -> Array:
    """Smooth 8-bit codes over the whole range; (height, width) for one channel."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [(1 + np.sin(x / (3 + c) + y / 7 + c)) / 2 for c in range(channels)]
    codes = np.stack(waves, -1) * 255
    return codes.round().astype(np.uint8)[..., 0 if channels == 1 else slice(None)]


def upsampled(gain: Array, height: int, width: int) -> Array:
    """Bilinear between the centres of pixels, clamped at the edges: written pixel by pixel."""
    out = np.empty((height, width, gain.shape[2]))
    for y in range(height):
        v = min(max((y + 0.5) * gain.shape[0] / height - 0.5, 0), gain.shape[0] - 1)
        for x in range(width):
            u = min(max((x + 0.5) * gain.shape[1] / width - 0.5, 0), gain.shape[1] - 1)
            top, left = int(v), int(u)
            low, right = min(top + 1, gain.shape[0] - 1), min(left + 1, gain.shape[1] - 1)
            above = gain[top, left] * (1 - u + left) + gain[top, right] * (u - left)
            below = gain[low, left] * (1 - u + left) + gain[low, right] * (u - left)
            out[y, x] = above * (1 - v + top) + below * (v - top)
    return out


def formula(
    sdr: Array,
    coded: Array,
    low: Values = (0,),
    high: Values = (2,),
    gamma: Values = (1,),
    offset: Values = (1 / 64,),
    alternate_offset: Values = (1 / 64,),
    weight: float = 1,
) -> Array:
    lo, hi = np.array(low), np.array(high)
    log = lo + (hi - lo) * coded ** (1 / np.array(gamma))
    return np.asarray((sdr + np.array(offset)) * 2 ** (log * weight) - np.array(alternate_offset))


def assert_close(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


# JPEG.


@pytest.mark.sample(4)
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("form", ["iso", "iso with one denominator", "adobe", "both"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_the_hdr_picture_that_it_holds(form: str, channels: int, index: bool) -> None:
    base, gain = jpeg(scene()), jpeg(scene(24, 32, channels))
    data_iso = iso((-0.5,), (2.25,), headrooms=(0, 2.25), gamma=(0.75,))
    if "denominator" in form:
        data_iso = iso_common(64, (0, 144, -32, 144, 48, 1, 1))
    said = adobe_xmp(
        {"GainMapMin": (-0.5,), "GainMapMax": (2.25,), "Gamma": (0.75,), "HDRCapacityMax": (2.25,)}
    )
    data = joined_jpeg(
        base,
        gain,
        iso_data=data_iso if form != "adobe" else None,
        map_xmp=said if form in ("adobe", "both") else None,
        base_xmp=container_xmp(("GainMap", len(gain) + 4 + 28 + len(data_iso))) if "iso" in form else None,
        index=index,
    )
    picture = read_picture(data)
    sdr = srgb(pixels(base))
    expected = formula(sdr, upsampled(pixels(gain), 48, 64), (-0.5,), (2.25,), (0.75,))
    assert_close(picture.rgb, np.maximum(expected, 0))
    assert picture.rgb.max() > 3
    assert picture.source.format == "jpeg"
    (notice,) = picture.source.notices
    assert "read as the HDR picture" in notice
    assert "headroom 2.25 stops (× 4.76)" in notice
    assert_close(read_picture(data, sdr=True).rgb, sdr)
    assert read_picture(data, sdr=True).source.notices == ()
    said_form = "Adobe XMP" if form == "adobe" else "ISO 21496-1"
    assert read_header(data).gain_map == f"{said_form}, headroom 2.25 stops (× 4.76)"
    isolated = read_picture_isolated(data)
    np.testing.assert_array_equal(isolated.rgb, picture.rgb)
    assert isolated.source == picture.source


def test_channels_have_their_own_numbers() -> None:
    base, gain = jpeg(scene()), jpeg(scene(48, 64))
    numbers: dict[str, Any] = {
        "low": (0, -0.25, 0.125),
        "high": (1, 2, 3),
        "gamma": (1, 0.5, 2),
        "offset": (0.25, 0.0625, 0),
        "alternate_offset": (0.125, 0.0625, 0.03125),
    }
    names = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR")
    said = adobe_xmp({**dict(zip(names, numbers.values(), strict=True)), "HDRCapacityMax": (3,)})
    expected = np.maximum(formula(srgb(pixels(base)), pixels(gain), **numbers), 0)
    for data in (
        joined_jpeg(base, gain, iso_data=iso(**numbers, headrooms=(0, 3))),
        joined_jpeg(base, gain, map_xmp=said, order="<"),
    ):
        assert_close(read_picture(data).rgb, expected)


def test_defaults_of_the_adobe_form() -> None:
    base, gain = jpeg(scene()), jpeg(scene(48, 64, 1))
    data = joined_jpeg(base, gain, map_xmp=adobe_xmp({"GainMapMax": (1.5,), "HDRCapacityMax": (1.5,)}))
    assert_close(read_picture(data).rgb, formula(srgb(pixels(base)), pixels(gain), high=(1.5,)))


def test_the_gain_applies_in_the_primaries_of_the_base() -> None:
    base = jpeg(scene(), icc_profile=rgb_profile(P3, None))
    gain = jpeg(scene(48, 64))
    picture = read_picture(joined_jpeg(base, gain, iso_data=iso()))
    expected = formula(srgb(pixels(base)), pixels(gain)) @ rgb_to_rgb(DISPLAY_P3).T
    np.testing.assert_allclose(picture.rgb, expected, rtol=1e-3, atol=1e-3)
    assert picture.source.color_space.startswith("ICC: ")
    assert picture.rgb.min() < -0.1  # colours outside Rec.709 stay


def test_the_gain_may_apply_in_the_primaries_of_the_alternate() -> None:
    """Those are said by the map's profile."""
    base = jpeg(scene())
    gain = jpeg(scene(48, 64), icc_profile=rgb_profile(P3, None))
    to_p3 = np.linalg.inv(rgb_to_rgb(DISPLAY_P3))
    expected = formula(srgb(pixels(base)) @ to_p3.T, pixels(gain)) @ rgb_to_rgb(DISPLAY_P3).T
    picture = read_picture(joined_jpeg(base, gain, iso_data=iso(base_colors=False)))
    np.testing.assert_allclose(picture.rgb, expected, rtol=1e-3, atol=1e-3)
    in_base = read_picture(joined_jpeg(base, gain, iso_data=iso(base_colors=True)))
    assert np.abs(in_base.rgb - expected).max() > 0.05


@pytest.mark.parametrize("form", ["iso", "adobe"])
def test_a_base_that_is_hdr_is_read_as_it_is_and_sdr_follows_from_it(form: str) -> None:
    base, gain = jpeg(scene()), jpeg(scene(48, 64, 1))
    if form == "iso":
        data = joined_jpeg(base, gain, iso_data=iso(headrooms=(2, 0)))
    else:
        said = adobe_xmp({"GainMapMax": (2,), "HDRCapacityMax": (2,), "BaseRenditionIsHDR": "True"})
        data = joined_jpeg(base, gain, map_xmp=said)
    light = srgb(pixels(base))
    picture = read_picture(data)
    assert_close(picture.rgb, light)
    assert picture.source.notices == ()
    assert "the base is the HDR picture" in read_header(data).gain_map
    sdr = read_picture(data, sdr=True)
    assert_close(sdr.rgb, np.clip(formula(light, pixels(gain), weight=-1), 0, 1))
    assert "read as the SDR picture" in sdr.source.notices[0]


@pytest.mark.sample(2)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_base_and_map_are_turned_together(orientation: int, tmp_path: Path) -> None:
    base, gain = jpeg(scene(), exif=exif(orientation)), jpeg(scene(13, 7, 1))
    data = joined_jpeg(base, gain, iso_data=iso())
    upright = read_picture(joined_jpeg(jpeg(scene()), gain, iso_data=iso()))
    turns = {1: "", 2: "x", 3: "xy", 4: "y", 5: "t", 6: "tx", 7: "txy", 8: "ty"}[orientation]
    expected = upright.rgb.swapaxes(0, 1) if "t" in turns else upright.rgb
    expected = expected[:: -1 if "y" in turns else 1, :: -1 if "x" in turns else 1]
    assert_close(read_picture(data).rgb, expected)
    laid = decode_to_file(data, tmp_path / "a", max_pixels=10**6)
    np.testing.assert_array_equal(laid.whole().rgb, read_picture(data).rgb)
    assert laid.source == read_picture(data).source


@pytest.mark.slow
def test_a_large_picture_is_read_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luxscaler.io.read_rows.BAND_BYTES", 200_000)
    monkeypatch.setattr("luxscaler.isolation.pool.IS_AVAILABLE", False)  # the bands are made here
    codes = np.tile(scene(64, 64), (10, 10, 1))  # 1.2 MB: more than one band
    data = joined_jpeg(jpeg(codes), jpeg(scene(80, 80, 1)), iso_data=iso())
    picture = read_picture(data)
    laid = decode_to_file(data, tmp_path / "hdr", max_pixels=10**8)
    np.testing.assert_array_equal(laid.whole().rgb, picture.rgb)
    assert laid.source == picture.source
    laid = decode_to_file(data, tmp_path / "sdr", max_pixels=10**8, sdr=True)
    np.testing.assert_array_equal(laid.whole().rgb, read_picture(data, sdr=True).rgb)


def test_a_film_behind_the_map_does_not_hide_it() -> None:
    base, gain = jpeg(scene()), jpeg(scene(48, 64, 1))
    said = adobe_xmp({"GainMapMax": (2,), "HDRCapacityMax": (2,)})
    data = joined_jpeg(base, gain, map_xmp=said, index=False, tail=bytes(1000))
    assert_close(read_picture(data).rgb, formula(srgb(pixels(base)), pixels(gain)))


def test_our_own_jpeg_comes_back(tmp_path: Path) -> None:
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    light = (
        np.stack([x / 128, y / 96, 0.2 + 0 * x], -1) * (0.05 + 6 * np.exp(-((x - 60) ** 2) / 800))[..., None]
    )
    export(tmp_path / "a.jpg", light.astype(np.float32))
    picture = read_picture(tmp_path / "a.jpg")
    np.testing.assert_allclose(picture.rgb, light, rtol=0.06, atol=0.02)
    assert picture.rgb.max() == pytest.approx(light.max(), rel=0.02)
    assert read_picture(tmp_path / "a.jpg", sdr=True).rgb.max() <= 1


def test_libultrahdr_writes_what_is_read_here() -> None:
    """It gives the base Display P3; its own reader gives the same light."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float32)
    light = (
        np.stack([x / 128, y / 96, 0.2 + 0 * x], -1) * (0.05 + 6 * np.exp(-((x - 60) ** 2) / 800))[..., None]
    )
    rgba = np.concatenate([light, np.ones((96, 128, 1))], -1).astype(np.float16)
    data = bytes(imagecodecs.ultrahdr_encode(rgba))
    picture = read_picture(data)
    assert "P3" in picture.source.color_space
    np.testing.assert_allclose(picture.rgb, light, rtol=0.08, atol=0.03)
    theirs = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float32)
    np.testing.assert_allclose(picture.rgb, theirs, rtol=0.02, atol=0.01)


# Apple.


def apple(sdr: Array, coded: Array, headroom: float) -> Array:
    light = np.where(coded < 0.081, coded / 4.5, ((coded + 0.099) / 1.099) ** (1 / 0.45))
    return np.asarray(sdr * (1 + (headroom - 1) * light))


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("maker33", "maker48", "stops"),
    [
        (Fraction(1, 2), Fraction(1, 200), 1.7),
        (Fraction(1, 2), Fraction(1), 1.5),
        (Fraction(1), Fraction(1, 200), 2.65),
        (Fraction(3, 2), Fraction(1), 2.0),
        (Fraction(3, 2), Fraction(8), 0.0),
        (Fraction(1, 2), None, 1.8),  # as many iPhones write it: it is 0
        (Fraction(3, 2), None, 3.0),
    ],
)
def test_apples_jpeg_by_the_maker_notes(maker33: Fraction, maker48: Fraction | None, stops: float) -> None:
    base, gain = jpeg(scene(), exif=apple_exif(maker33, maker48)), jpeg(scene(24, 32, 1))
    data = joined_jpeg(base, gain, map_xmp=xmp(APPLE_MAP.format(65536)))
    expected = apple(srgb(pixels(base)), upsampled(pixels(gain), 48, 64), 2**stops)
    assert_close(read_picture(data).rgb, expected)
    assert read_header(data).gain_map.startswith(f"Apple, headroom {stops:.2f} stops")


def test_apples_headroom_in_xmp_comes_first() -> None:
    base = jpeg(scene(), exif=apple_exif(Fraction(1, 2), Fraction(1)))
    gain = jpeg(scene(24, 32, 1))
    said = xmp(APPLE_MAP.format(131072) + ' HDRGainMap:HDRGainMapHeadroom="5"')
    expected = apple(srgb(pixels(base)), upsampled(pixels(gain), 48, 64), 5)
    assert_close(read_picture(joined_jpeg(base, gain, map_xmp=said)).rgb, expected)


@pytest.mark.parametrize("numbers", [(None, Fraction(1)), (None, None)])
def test_an_apple_map_without_a_headroom_is_said(numbers: tuple[Fraction | None, Fraction | None]) -> None:
    base = jpeg(scene(), exif=apple_exif(*numbers))
    data = joined_jpeg(base, jpeg(scene(24, 32, 1)), map_xmp=xmp(APPLE_MAP.format(65536)))
    picture = read_picture(data)
    assert_close(picture.rgb, srgb(pixels(base)))
    assert "its headroom is said neither in XMP nor in Apple's maker's notes" in picture.source.notices[0]


# AVIF, HEIC, JPEG XL.


def heic(array: Array) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    mode = "RGB" if array.ndim == 3 else "L"
    picture = pillow_heif.from_bytes(mode, array.shape[1::-1], array.tobytes())
    file = BytesIO()
    picture.save(file, quality=-1, chroma=444, **({"matrix_coefficients": 0} if mode == "RGB" else {}))
    return file.getvalue()


ENCODERS = {b"av01": avif, b"hvc1": heic}


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", [b"av01", b"hvc1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_tone_mapped_item(kind: bytes, channels: int, tmp_path: Path) -> None:
    base, gain = scene(), scene(24, 32, channels)
    encode = ENCODERS[kind]
    data = heif(encode(base), encode(gain), kind, tone_map=b"\0" + iso((-0.5,), (2,), gamma=(0.5,)))
    sdr = srgb(base / 255)
    coded = upsampled(gain.reshape(24, 32, channels) / 255, 48, 64)
    picture = read_picture(data)
    assert_close(picture.rgb, np.maximum(formula(sdr, coded, (-0.5,), (2,), (0.5,)), 0))
    assert picture.source.format == {b"av01": "avif", b"hvc1": "heic"}[kind]
    assert any("read as the HDR picture" in notice for notice in picture.source.notices)
    assert read_header(data).gain_map == "ISO 21496-1, headroom 2.00 stops (× 4)"
    assert_close(read_picture(data, sdr=True).rgb, sdr)
    laid = decode_to_file(data, tmp_path / "a", max_pixels=10**6)
    np.testing.assert_array_equal(laid.whole().rgb, picture.rgb)


def test_a_map_of_ten_bits_in_the_primaries_of_the_tone_mapped_item() -> None:
    base, gain = scene(), scene(48, 64).astype(np.uint16) * 4
    colr = b"nclx" + struct.pack(">3HB", 9, 16, 0, 0x80)
    said = b"\0" + iso(base_colors=False)
    data = heif(avif(base), avif(gain, 10), b"av01", tone_map=said, tone_map_colr=colr)
    matrix = rgb_to_rgb(REC2020)
    expected = formula(srgb(base / 255) @ np.linalg.inv(matrix).T, gain / 1023) @ matrix.T
    np.testing.assert_allclose(read_picture(data).rgb, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", [b"av01", b"hvc1"])
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_both_items_are_turned(kind: bytes, turn: int) -> None:
    base, gain = scene(), scene(12, 16, 1)
    encode = ENCODERS[kind]
    data = heif(encode(base), encode(gain), kind, tone_map=b"\0" + iso(), turn=turn)
    expected = formula(srgb(base / 255), upsampled(gain[..., None] / 255, 48, 64))
    assert_close(read_picture(data).rgb, np.rot90(expected, turn))


@pytest.mark.sample(2)
@pytest.mark.parametrize("kind", [b"av01", b"hvc1"])
@pytest.mark.parametrize("by_xmp", [True, False])
def test_apples_auxiliary_picture(kind: bytes, by_xmp: bool) -> None:
    base, gain = scene(), scene(24, 32, 1)
    encode = ENCODERS[kind]
    said = APPLE_MAP.format(131072) + (' HDRGainMap:HDRGainMapHeadroom="4"' if by_xmp else "")
    numbers = apple_exif(Fraction(3, 2), Fraction(1))
    data = heif(encode(base), encode(gain), kind, apple_xmp=xmp(said), exif=None if by_xmp else numbers)
    expected = apple(srgb(base / 255), upsampled(gain[..., None] / 255, 48, 64), 4)
    picture = read_picture(data)
    assert_close(picture.rgb, expected)
    assert read_header(data).gain_map == "Apple, headroom 2.00 stops (× 4)"
    assert_close(read_picture(data, sdr=True).rgb, srgb(base / 255))


def test_apples_metadata_may_be_compressed() -> None:
    base, gain = scene(), scene(24, 32, 1)
    said = xmp(APPLE_MAP.format(131072) + ' HDRGainMap:HDRGainMapHeadroom="4"')
    for packed, note in ((zlib.compress(said), "read as the HDR picture"), (b"no zlib", "damaged")):
        data = heif(avif(base), avif(gain), b"av01", apple_xmp=packed, xmp_encoding=b"deflate")
        picture = read_picture(data)
        hdr = apple(srgb(base / 255), upsampled(gain[..., None] / 255, 48, 64), 4)
        assert_close(picture.rgb, srgb(base / 255) if note == "damaged" else hdr)
        assert any(note in notice for notice in picture.source.notices)


def test_the_standard_form_comes_before_apples() -> None:
    """Newer telephones write both of one map."""
    base, gain = scene(), scene(48, 64, 1)
    said = xmp(APPLE_MAP.format(131072) + ' HDRGainMap:HDRGainMapHeadroom="8"')
    data = heif(avif(base), avif(gain), b"av01", tone_map=b"\0" + iso(), apple_xmp=said)
    assert_close(read_picture(data).rgb, formula(srgb(base / 255), gain[..., None] / 255))


def jhgm(gain: Array, metadata: bytes, version: int = 0, colors: bytes = b"") -> bytes:
    body = struct.pack(">BH", version, len(metadata)) + metadata + bytes([len(colors)]) + colors + bytes(4)
    body += jxl(gain, lossless=True)
    return struct.pack(">I4s", 8 + len(body), b"jhgm") + body


def jxl_container(base: Array, *boxes: bytes) -> bytes:
    stream = jxl(base, lossless=True)
    head = b"\0\0\0\x0cJXL \r\n\x87\n" + struct.pack(">I", 20) + b"ftypjxl \0\0\0\0jxl "
    return head + b"".join(boxes) + struct.pack(">I4s", 8 + len(stream), b"jxlc") + stream


def test_a_jpeg_xl_with_a_map() -> None:
    base, gain = scene(), scene(24, 32, 1)
    data = jxl_container(base, jhgm(gain, iso()))
    expected = formula(srgb(base / 255), upsampled(gain[..., None] / 255, 48, 64))
    assert_close(read_picture(data).rgb, expected)
    assert_close(read_picture(data, sdr=True).rgb, srgb(base / 255))
    assert read_header(data).gain_map == "ISO 21496-1, headroom 2.00 stops (× 4)"


def packed(box: bytes, cut: int = 0) -> bytes:
    """A box in a box that is compressed, and then lacks some bytes."""
    body = box[4:8] + bytes(imagecodecs.brotli_encode(box[8:]))
    body = body[: len(body) - cut]
    return struct.pack(">I4s", 8 + len(body), b"brob") + body


@pytest.mark.parametrize("channels", [1, 3])
def test_the_map_of_a_jpeg_xl_may_be_in_a_compressed_box(channels: int) -> None:
    base, gain = scene(), scene(24, 32, channels)
    whole = jxl_container(base, jhgm(gain, iso()))
    data = jxl_container(base, packed(jhgm(gain, iso())))
    np.testing.assert_array_equal(read_picture(data).rgb, read_picture(whole).rgb)
    assert read_picture(data).source.notices == read_picture(whole).source.notices
    assert_close(read_picture(data, sdr=True).rgb, srgb(base / 255))
    np.testing.assert_array_equal(read_picture_isolated(data).rgb, read_picture(whole).rgb)


@pytest.mark.slow
def test_a_compressed_box_that_unpacks_without_end_costs_the_map_alone() -> None:
    base = scene()
    picture = read_picture(jxl_container(base, packed(jhgm(scene(24, 32, 1), iso()) + bytes(65 << 20))))
    assert_close(picture.rgb, srgb(base / 255))
    assert "its compressed box is damaged, or over 67108864 bytes" in picture.source.notices[0]


# Damage: the base is whole, so it is read, and one line says why it is no more than that.

_CUT = iso()[:20]
_ADOBE = adobe_xmp({"GainMapMax": (2,), "HDRCapacityMax": (2,)})


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"iso_data": _CUT}, "cut off after 20 bytes"),
        ({"iso_data": iso(least_version=1)}, "needs version 1 of ISO 21496-1"),
        ({"iso_data": iso(gamma=(0,))}, "gamma (0.0, 0.0, 0.0)"),
        ({"iso_data": iso(low=(3,))}, "minimum over its maximum"),
        ({"iso_data": iso(high=(1000,))}, "from -64 to 64"),
        ({"iso_data": iso(headrooms=(1, 1))}, "both pictures the headroom 1"),
        ({"iso_data": iso_common(0, (0, 1, 0, 1, 1, 0, 0))}, "denominator 0"),
        ({"map_xmp": adobe_xmp({"HDRCapacityMax": (2,)})}, "no hdrgm:GainMapMax"),
        ({"map_xmp": adobe_xmp({"GainMapMax": "two", "HDRCapacityMax": (2,)})}, "'two', which is no number"),
        ({"map_xmp": adobe_xmp({"GainMapMax": "nan", "HDRCapacityMax": (2,)})}, "from -64 to 64"),
        ({"map_xmp": adobe_xmp({"GainMapMax": (1, 2, 3, 4), "HDRCapacityMax": (2,)})}, "4 values"),
        ({"map_xmp": b"<!DOCTYPE x [<!ENTITY a 'a'>]>" + _ADOBE}, "document type"),
        ({"map_xmp": _ADOBE[:-40], "base_xmp": xmp('hdrgm:Version="1.0"')}, "XMP metadata is damaged"),
        ({"base_xmp": xmp('hdrgm:Version="1.0"')}, "announced, and it is not in the file"),
    ],
)
def test_damaged_metadata_is_one_notice(said: dict[str, bytes], reason: str, tmp_path: Path) -> None:
    base = jpeg(scene())
    data = joined_jpeg(base, jpeg(scene(24, 32, 1)), **said)  # type: ignore[arg-type]
    for picture in (read_picture(data), decode_to_file(data, tmp_path / "a", max_pixels=10**6).whole()):
        assert_close(picture.rgb, srgb(pixels(base)))
        (notice,) = picture.source.notices
        assert notice.startswith("the gain map cannot be used and the picture is read without it: ")
        assert reason in notice
        assert "\n" not in notice
    assert read_header(data).gain_map == ""
    assert read_header(data).notices == picture.source.notices


def test_a_whole_form_beside_a_damaged_one_is_used() -> None:
    base, gain = jpeg(scene()), jpeg(scene(48, 64, 1))
    data = joined_jpeg(base, gain, iso_data=_CUT, map_xmp=_ADOBE)
    assert_close(read_picture(data).rgb, formula(srgb(pixels(base)), pixels(gain)))


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.05])
def test_a_map_whose_pixels_are_cut_off_is_a_notice(kept: float, tmp_path: Path) -> None:
    base, gain = jpeg(scene()), jpeg(noise(64, 64))
    data = joined_jpeg(base, gain, iso_data=iso())
    data = data[: len(data) - int(len(gain) * (1 - kept))]
    for picture in (read_picture(data), decode_to_file(data, tmp_path / "a", max_pixels=10**6).whole()):
        assert_close(picture.rgb, srgb(pixels(base)))
        (notice,) = picture.source.notices
        assert "the gain map cannot be used" in notice


def test_a_map_that_was_cut_and_ended_is_a_notice() -> None:
    base, gain = jpeg(scene()), jpeg(scene(96, 128, 1))
    picture = read_picture(joined_jpeg(base, gain[: len(gain) // 2] + b"\xff\xd9", iso_data=iso()))
    assert_close(picture.rgb, srgb(pixels(base)))
    assert "truncated: the JPEG ends before its last row" in picture.source.notices[0]


def test_a_map_of_too_many_scans_is_a_notice() -> None:
    base, gain = jpeg(scene()), jpeg(scene(24, 32, 1), progressive=True)
    last = gain[gain.rindex(b"\xff\xda") : -2]
    picture = read_picture(joined_jpeg(base, gain[:-2] + 100 * last + gain[-2:], iso_data=iso()))
    assert_close(picture.rgb, srgb(pixels(base)))
    assert "scans, the limit is 100" in picture.source.notices[0]
    ten = read_picture(joined_jpeg(base, gain, iso_data=iso()))
    assert "read as the HDR picture" in ten.source.notices[0]


def test_a_map_over_the_limit_of_pixels_is_a_notice(tmp_path: Path) -> None:
    base = jpeg(scene())
    data = joined_jpeg(base, jpeg(scene(100, 100, 1)), iso_data=iso())
    for picture in (
        read_picture(data, max_pixels=5000),
        decode_to_file(data, tmp_path / "a", max_pixels=5000).whole(),
    ):
        assert_close(picture.rgb, srgb(pixels(base)))
        assert "it has 10,000 pixels (100 × 100), the limit is 5,000" in picture.source.notices[0]


@pytest.mark.parametrize("kind", [b"av01", b"hvc1"])
@pytest.mark.parametrize("form", ["tmap", "apple"])
@pytest.mark.parametrize(
    ("side", "reason"),
    [(0, "0 × 0"), (20_000, "(20000 × 20000), the limit is"), (2**32 - 1, "(4294967295 × 4294967295), the")],
)
def test_a_map_of_an_absurd_size_does_not_cost_the_base(
    kind: bytes, form: str, side: int, reason: str
) -> None:
    encode = ENCODERS[kind]
    base = encode(scene())
    more: dict[str, Any] = {"tone_map": b"\0" + iso()}
    if form == "apple":
        more = {"apple_xmp": xmp(APPLE_MAP.format(65536) + ' HDRGainMap:HDRGainMapHeadroom="4"')}
    data = bytearray(heif(base, encode(scene(24, 32, 1)), kind, **more))
    struct.pack_into(">II", data, data.rindex(b"ispe") + 8, side, side)  # the map's comes after the base's
    alone = read_picture(base).rgb
    picture = read_picture(bytes(data))
    np.testing.assert_array_equal(picture.rgb, alone)
    (notice,) = (text for text in picture.source.notices if "gain map" in text)
    assert reason in notice
    np.testing.assert_array_equal(read_picture(bytes(data), sdr=True).rgb, alone)


def test_a_jpeg_map_of_more_pixels_than_its_bytes_can_hold_is_a_notice(tmp_path: Path) -> None:
    base, gain = jpeg(scene()), bytearray(jpeg(scene(24, 32, 1)))
    struct.pack_into(">HH", gain, gain.index(b"\xff\xc0") + 5, 20_000, 20_000)
    data = joined_jpeg(base, bytes(gain), iso_data=iso())
    for picture in (
        read_picture(data, max_pixels=10**9),
        decode_to_file(data, tmp_path / "a", max_pixels=10**9).whole(),
    ):
        assert_close(picture.rgb, srgb(pixels(base)))
        assert "it has 400,000,000 pixels (20000 × 20000), the limit is" in picture.source.notices[0]


@pytest.mark.parametrize("kind", [b"av01", b"hvc1"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"\0" + _CUT, "cut off after 20 bytes"),
        (b"\1" + iso(), "version 1, 0 is known"),
        (b"\0" + iso(gamma=(0,)), "gamma"),
        (b"", "version missing"),
    ],
)
def test_a_damaged_tone_mapped_item_does_not_cost_the_base(kind: bytes, said: bytes, reason: str) -> None:
    base, gain = scene(), scene(24, 32, 1)
    encode = ENCODERS[kind]
    picture = read_picture(heif(encode(base), encode(gain), kind, tone_map=said))
    assert_close(picture.rgb, srgb(base / 255))
    (notice,) = (text for text in picture.source.notices if "gain map" in text)
    assert reason in notice


def test_a_damaged_map_in_avif_does_not_cost_the_base() -> None:
    base, gain = scene(), noise(64, 64)
    data = bytearray(heif(avif(base), avif(gain), b"av01", tone_map=b"\0" + iso()))
    at = data.index(avif(gain)[-1000:])
    data[at + 500 : at + 1000] = b""
    picture = read_picture(bytes(data))
    assert_close(picture.rgb, srgb(base / 255))
    assert "the gain map cannot be used" in picture.source.notices[0]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        (jhgm(scene(24, 32, 1), iso(), version=1), "version 1, 0 is known"),
        (jhgm(scene(24, 32, 1), _CUT), "cut off"),
        (jhgm(scene(24, 32, 1), iso(base_colors=False), colors=b"\1"), "colours of the alternate"),
        (struct.pack(">I4s4s", 12, b"brob", b"jhgm"), "compressed"),
        (packed(jhgm(scene(24, 32, 1), _CUT)), "cut off"),
        (packed(jhgm(scene(24, 32, 1), iso()), 9), "compressed box is damaged"),
        (struct.pack(">I4s", 8, b"jhgm"), "cut off"),
    ],
)
def test_a_damaged_map_in_jpeg_xl(box: bytes, reason: str) -> None:
    base = scene()
    picture = read_picture(jxl_container(base, box))
    assert_close(picture.rgb, srgb(base / 255))
    assert reason in picture.source.notices[0]


def test_other_second_pictures_are_no_gain_maps() -> None:
    """Cameras keep other views there."""
    base = jpeg(scene())
    picture = read_picture(joined_jpeg(base, jpeg(scene(24, 32))))
    assert_close(picture.rgb, srgb(pixels(base)))
    assert picture.source.notices == ("the first of 2 pictures is read",)
    assert read_header(jpeg(scene())).gain_map == ""


@pytest.mark.slow
def test_random_damage_of_map_and_index_leaves_a_picture() -> None:
    base, gain = jpeg(scene()), jpeg(scene(24, 32, 1))
    data = joined_jpeg(base, gain, iso_data=iso(), map_xmp=_ADOBE)
    random = np.random.default_rng(5)
    start, second = data.index(b"MPF\0"), data.index(b"\xff\xd8\xff", 4)
    for _ in range(150):
        broken = bytearray(data)
        places = [
            *random.integers(start, start + 80, 1),
            *random.integers(second, len(data), 2),
        ]
        for place in places:
            broken[place] = random.integers(256)
        picture = read_picture(bytes(broken))
        assert np.isfinite(picture.rgb).all()
        assert picture.rgb.shape == (48, 64, 3)


def test_pillow_sees_the_files_that_the_tests_make() -> None:
    base, gain = jpeg(scene()), jpeg(scene(24, 32, 1))
    with Image.open(BytesIO(joined_jpeg(base, gain, iso_data=iso()))) as image:
        assert image.size == (64, 48)
        (first, second) = image._getmp()[0xB002]  # type: ignore[attr-defined]
        assert second["Size"] == len(gain) + 4 + 28 + len(iso())
        assert first["Size"] == second["DataOffset"] + 2 + 4 + 28 + 4 + 8
