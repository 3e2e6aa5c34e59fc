"""HDR pictures for the web and the options of the masters, against readers that are not ours.

PNG by OpenCV and byte by byte, AVIF by OpenCV and Pillow (each with a libavif of its own), JPEG XL by
OpenImageIO, the gain map of a JPEG by libultrahdr and by the formula of ISO 21496-1, written out here.
"""

import io
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import imagecodecs
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

from luxscaler.color import REC709, REC709_TO_REC2020, REC2020, decode_pq, pq_signal, rgb_to_rgb
from luxscaler.errors import ExportError
from luxscaler.io.float_rounding import round_mantissa
from luxscaler.io.jxl.luminance import with_luminance
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export

FloatArray = NDArray[np.float32]
METADATA: dict[str, str | float | int] = {"hdr_boost": 4.0, "model": "photo"}
EXPANDED = ExportOptions(estimated_range=True, software="LuxScaler 0.1.0")


@pytest.fixture
def scene() -> FloatArray:
    """96 × 128: a smooth picture from 0.004 to 16 times SDR white in coloured blobs, all inside Rec.709."""
    y, x = np.mgrid[0:96, 0:128] / 128
    stops = np.dstack([np.sin(9 * x + 2 * y), np.cos(7 * y - x), np.sin(5 * x * y + 1)]) * 6 - 2
    return (2.0**stops).astype(np.float32)


def chunks(path: Path) -> dict[bytes, bytes]:
    data, at = path.read_bytes(), 8
    found: dict[bytes, bytes] = {}
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.setdefault(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return found


def opencv(path: Path) -> NDArray[Any]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])


def from_pq(codes: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """Linear Rec.709, 1.0 = 203 cd/m², by the code that reads pictures."""
    light = decode_pq(codes[..., :3].astype(np.float64) / (2**bits - 1))
    return np.asarray(light @ np.asarray(rgb_to_rgb(REC2020, REC709)).T)


# PNG with PQ.


def test_png_pq_chunks_equal_bytes_computed_by_hand(tmp_path: Path) -> None:
    """Two grey pixels: 1.0 = 203 cd/m² and 4.0 = 812 cd/m². MaxCLL is 812 cd/m², MaxFALL the mean, 507.5."""
    grey = np.repeat(np.array([[1, 4]], np.float32)[..., None], 3, axis=2)
    export(tmp_path / "a.png", grey, file_format="png-pq", options=EXPANDED, metadata=METADATA)
    found = chunks(tmp_path / "a.png")
    assert list(found)[:4] == [b"IHDR", b"cICP", b"mDCV", b"cLLI"]
    assert list(found)[-2:] == [b"IDAT", b"IEND"]
    assert b"sRGB" not in found
    assert found[b"IHDR"] == struct.pack(">2I5B", 2, 1, 16, 2, 0, 0, 0)
    assert found[b"cICP"] == bytes([9, 16, 0, 1])
    # 0.00002 is one: .708 .292 · .170 .797 · .131 .046 · .3127 .3290; then 1000 and 0.0001 cd/m².
    assert found[b"mDCV"].hex(" ", 2) == "8a48 3908 2134 9baa 1996 08fc 3d13 4042 0098 9680 0000 0001"
    assert found[b"cLLI"].hex(" ", 4) == "007be6c0 004d7038"  # 8,120,000 and 5,075,000
    codes = opencv(tmp_path / "a.png")
    assert codes[0, 0, 0] == round(65535 * 0.5806888810416109)  # 203 cd/m² (ITU-R BT.2408-7: 58 %)


@pytest.mark.parametrize(
    ("colour", "cd_m2"),
    [
        ((1.0, 0.0, 0.0), 0.627403896 * 203),  # Rec.709 red inside BT.2020: its largest component counts
        ((5.0, 5.0, 5.0), 1015.0),
        ((60.0, 60.0, 60.0), 10_000.0),
        ((-1.0, -1.0, -1.0), 0.0),
    ],
)
def test_light_levels_are_those_of_the_coded_picture(
    tmp_path: Path, colour: tuple[float, float, float], cd_m2: float
) -> None:
    picture = np.full((3, 5, 3), colour, np.float32)
    export(tmp_path / "a.png", picture, file_format="png-pq")
    found = chunks(tmp_path / "a.png")
    levels = struct.unpack(">2I", found[b"cLLI"])
    assert levels == pytest.approx((cd_m2 * 1e4, cd_m2 * 1e4), abs=1)
    display = struct.unpack(">8H2I", found[b"mDCV"])[8]
    assert display == 10_000 * (10_000 if cd_m2 > 4000 else 2000 if cd_m2 > 1000 else 1000)
    codes = opencv(tmp_path / "a.png")
    if cd_m2 in (0.0, 10_000.0):
        assert (codes == (0 if cd_m2 == 0 else 65535)).all()


def test_png_pq_decodes_back_to_the_scene(tmp_path: Path, scene: FloatArray) -> None:
    """16 bits: within 1e-4 of each pixel's largest component, out-of-Rec.709 colours inside BT.2020 too."""
    scene[:20, :, 2] *= -0.02  # Rec.709 negative, BT.2020 positive
    light = scene.astype(np.float64) @ REC709_TO_REC2020.T
    inside = (light >= 0).all(axis=2)
    assert inside.mean() > 0.85
    alpha = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128)
    export(tmp_path / "a.png", scene, alpha, file_format="png-pq")
    codes = opencv(tmp_path / "a.png")
    assert codes.dtype == np.uint16
    decoded = from_pq(codes, 16)
    error = np.abs(decoded - scene) / scene.max(axis=2, keepdims=True)
    assert error[inside].max() < 2e-4
    assert np.abs(codes[..., 3] / 65535 - alpha).max() <= 0.5 / 65535 + 1e-7


def test_the_coding_equals_that_of_the_reader() -> None:
    np.testing.assert_allclose(REC709_TO_REC2020, rgb_to_rgb(REC709, REC2020), atol=1e-15)
    light = np.geomspace(1e-7, 1, 1000)
    np.testing.assert_allclose(decode_pq(pq_signal(light)), light * 10_000 / 203, rtol=1e-9)
    # SMPTE ST 2084, 5.3, at 0, 100, 1000 and 10,000 cd/m².
    np.testing.assert_allclose(
        pq_signal(np.array([0, 0.01, 0.1, 1])), [7.30955903e-7, 0.508078421, 0.751827097, 1], rtol=1e-8
    )


# AVIF.


@pytest.mark.parametrize("bits", [10, 12])
def test_avif_decodes_back_to_the_scene(tmp_path: Path, scene: FloatArray, bits: int) -> None:
    """Every code within one at quality 100; at the default, 45 dB in PQ code values at least."""
    alpha = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128)
    light = np.clip(scene.astype(np.float64) @ REC709_TO_REC2020.T * 203 / 10_000, 0, 1)
    expected = pq_signal(light) * (2**bits - 1)
    errors = {}
    for quality in (100, 90):
        path = tmp_path / f"{quality}.avif"
        export(path, scene, alpha, options=ExportOptions(avif_quality=quality, avif_bits=bits))
        codes = opencv(path)
        assert codes.dtype == np.uint16
        errors[quality] = codes[..., :3] - expected
        assert np.abs(codes[..., 3] - alpha * (2**bits - 1)).max() <= 0.5 + 1e-3
    assert np.abs(errors[100]).max() <= 1.6  # half a code of rounding, one of the colour matrix
    assert 20 * np.log10((2**bits - 1) / np.sqrt(np.mean(errors[90] ** 2))) > 45


@pytest.mark.parametrize("with_alpha", [False, True])
def test_avif_says_what_it_is(tmp_path: Path, scene: FloatArray, with_alpha: bool) -> None:
    path = tmp_path / "a.avif"
    alpha = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128) if with_alpha else None
    export(path, scene, alpha, options=EXPANDED)
    data = path.read_bytes()
    assert data[4:12] == b"ftypavif"
    at = data.index(b"colrnclx") + 8
    assert data[at : at + 7] == struct.pack(">3HB", 9, 16, 9, 0x80)  # full range
    brightest = np.clip(scene.astype(np.float64) @ REC709_TO_REC2020.T * 203, 0, 10_000).max(axis=2)
    at = data.index(b"clli") + 4
    assert struct.unpack_from(">2H", data, at) == (round(brightest.max()), round(brightest.mean()))
    with Image.open(path) as image:
        assert (image.size, image.mode) == ((128, 96), "RGBA" if with_alpha else "RGB")
        assert image.getexif()[0x0131] == "LuxScaler 0.1.0"
        assert "estimated" in image.getexif()[0x010E]
        shown = np.asarray(image)[..., :3].astype(float)
    expected = pq_signal(np.clip(scene.astype(np.float64) @ REC709_TO_REC2020.T * 203 / 10_000, 0, 1)) * 255
    assert np.abs(shown - expected).mean() < 1.5  # Pillow's libavif reads 8 of the 10 bits


def test_avif_light_levels_equal_bytes_computed_by_hand(tmp_path: Path) -> None:
    """Grey of 1.0 and 4.0, as for PNG above; mdcv has the numbers of mDCV, but green, blue, red."""
    grey = np.repeat(np.array([[1, 4]], np.float32)[..., None], 3, axis=2)
    export(tmp_path / "a.avif", grey)
    data = (tmp_path / "a.avif").read_bytes()
    at = data.index(b"clli") - 4
    assert data[at : at + 12].hex(" ", 4) == "0000000c 636c6c69 032c01fc"  # 812 and 507.5, to even
    at = data.index(b"mdcv") - 4
    assert data[at : at + 8] == b"\0\0\0\x20mdcv"
    body = data[at + 8 : at + 32]
    assert body.hex(" ", 2) == "2134 9baa 1996 08fc 8a48 3908 3d13 4042 0098 9680 0000 0001"
    for codes in (opencv(tmp_path / "a.avif"), imagecodecs.avif_decode(data)):
        assert np.abs(codes[0, :, 0] - np.array([0.5806889, 0.7291450]) * 1023).max() < 3


# JPEG XL.


@pytest.mark.parametrize("with_alpha", [False, True])
def test_jxl_keeps_every_bit(tmp_path: Path, scene: FloatArray, with_alpha: bool) -> None:
    scene[0, :6, 0] = [1e-45, -3.5, 49.0, 3.4028235e38, -0.0, 70000.0]
    alpha = np.linspace(0, 1, 96 * 128, dtype=np.float32).reshape(96, 128) if with_alpha else None
    path = tmp_path / "a.jxl"
    export(path, scene, alpha, options=EXPANDED, metadata=METADATA)
    hint = oiio.ImageSpec()
    hint.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), hint)
    assert file, oiio.geterror()
    spec, pixels = file.spec(), np.asarray(file.read_image("float"))
    file.close()
    expected = scene if alpha is None else np.dstack([scene, alpha])
    assert (pixels.view(np.uint32) == expected.view(np.uint32)).all()
    assert str(spec.format) == "float"
    assert list(spec.getattribute("CICP"))[:2] == [1, 8]  # H.273: Rec.709 primaries, linear


def test_jxl_carries_exif(tmp_path: Path, scene: FloatArray) -> None:
    path = tmp_path / "a.jxl"
    export(path, scene, options=EXPANDED, metadata=METADATA)
    data, at = path.read_bytes(), 0
    boxes: dict[bytes, bytes] = {}
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        boxes[kind] = data[at + 8 : at + size]
        at += size
    assert list(boxes)[:2] == [b"JXL ", b"ftyp"]
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + boxes[b"Exif"][4:])
    assert exif[0x0131] == "LuxScaler 0.1.0"
    assert json.loads(exif[0x010E])["luxscaler"] == METADATA


def test_the_header_of_a_jxl_equals_bits_computed_by_hand(tmp_path: Path) -> None:
    """ISO/IEC 18181-1, annexes A and D, least significant bit first; intensity_target: 203 as a half."""
    export(tmp_path / "a.jxl", np.ones((1, 1, 3), np.float32))
    data = (tmp_path / "a.jxl").read_bytes()
    at = data.index(b"jxlc\xff\x0a") + 6
    bits = "".join(f"{byte:08b}"[::-1] for byte in data[at : at + 20])
    size = "0" + "00" + "000000000" + "100"  # not in eighths, height 1, as wide as high
    fields = (
        "0" + "1" + "000" + "000"
    )  # not all default, extra fields, upright, three things that there are not
    channels = (
        "1" + "00" + "1110" + "0" + "00" + "0"
    )  # float32, exponent of 8 bits; no extra channels, not XYB
    color = "0" + "0" + "00" + "10" + "10" + "0" + "010110" + "10"  # RGB, D65, sRGB, linear, relative
    half = "0001101001" + "01101" + "0"  # 203 = (1 + 600 / 1024) · 2^(22 - 15)
    tone = "0" + half + "0" * 16 + "0" + "0" * 16
    assert bits.startswith(size + fields + channels + color + tone + "00" + "1")
    end = 8 * -(-len(size + fields + channels + color + tone + "001") // 8)
    assert "1" not in bits[len(size + fields + channels + color + tone + "001") : end]


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("shape", [(8, 8), (16, 24), (3, 9000)])
def test_jxls_of_all_sizes_keep_their_pixels_behind_the_longer_header(
    tmp_path: Path, shape: tuple[int, int], channels: int
) -> None:
    rng = np.random.default_rng(5)
    rgb = rng.random((*shape, 3), np.float32) * 40 - 1
    alpha = rng.random(shape, np.float32) if channels == 4 else None
    export(tmp_path / "a.jxl", rgb, alpha)
    decoded = imagecodecs.jpegxl_decode((tmp_path / "a.jxl").read_bytes())
    assert (decoded == (rgb if alpha is None else np.dstack([rgb, alpha]))).all()


def test_a_jxl_larger_than_32_bits_count_is_extended_too() -> None:
    picture = np.full((8, 8, 3), 0.5, np.float32)
    container = bytes(imagecodecs.jpegxl_encode(picture, lossless=True, effort=1, usecontainer=True))
    at = container.index(b"jxlc") - 4
    wide = container[:at] + b"\0\0\0\1jxlc" + struct.pack(">Q", len(container) - at + 8) + container[at + 8 :]
    for old, header in ((container, 8), (wide, 16)):
        head, rest = with_luminance(old, 203.0)
        new = head + old[rest:]
        grown = len(new) - len(old)
        assert grown > 0
        layout, place = (">I", at) if header == 8 else (">Q", at + 8)
        assert struct.unpack_from(layout, new, place)[0] == len(new) - at
        assert (imagecodecs.jpegxl_decode(new) == picture).all()


@pytest.mark.parametrize("change", [lambda c: c[:40], lambda c: c + b"\0", lambda c: c[:-1]])
def test_only_the_jxls_that_the_encoder_writes_are_extended(change: Callable[[bytes], bytes]) -> None:
    picture = np.full((8, 8, 3), 0.5, np.float32)
    container = bytes(imagecodecs.jpegxl_encode(picture, lossless=True, effort=1, usecontainer=True))
    with pytest.raises(ValueError, match="unexpected"):
        with_luminance(change(container), 203.0)
    of_bytes = imagecodecs.jpegxl_encode((picture * 255).astype(np.uint8), lossless=True, usecontainer=True)
    with pytest.raises(ValueError, match="unexpected"):
        with_luminance(bytes(of_bytes), 203.0)


@pytest.mark.skipif(shutil.which("jxlinfo") is None, reason="needs jxlinfo (Debian: libjxl-tools)")
def test_libjxl_reads_the_luminance(tmp_path: Path, scene: FloatArray) -> None:
    export(tmp_path / "a.jxl", scene)
    said = subprocess.run(["jxlinfo", "-v", tmp_path / "a.jxl"], check=True, capture_output=True, text=True)
    assert "intensity_target: 203.0" in said.stdout


# JPEG with a gain map.


def second_picture(jpeg: bytes) -> bytes:
    """By the multi-picture index, which Pillow parses (it opens none but the first of an Ultra HDR file)."""
    with Image.open(io.BytesIO(jpeg)) as image:
        first, second = image._getmp()[0xB002]  # type: ignore[attr-defined]
    assert first["Size"] + second["Size"] == len(jpeg)
    assert jpeg.index(b"MPF\0") + 4 + second["DataOffset"] == first["Size"]
    return jpeg[first["Size"] :]


def gain_map_metadata(app2: bytes) -> dict[str, float]:
    """ISO 21496-1:2025, annex C: one channel's values."""
    body = app2.split(b"urn:iso:std:iso:ts:21496:-1\0", 1)[1]
    _, _, flags = struct.unpack_from(">2HB", body)
    names = ("base_headroom", "headroom", "low", "high", "gamma", "base_offset", "offset")
    if flags & 0x08:
        (common,) = struct.unpack_from(">I", body, 5)
        return {n: v / common for n, v in zip(names, struct.unpack_from(">2I2iI2i", body, 9), strict=True)}
    pairs = struct.unpack_from(">IIIIiIiIIIiIiI", body, 5)
    return {name: pairs[2 * i] / pairs[2 * i + 1] for i, name in enumerate(names)}


def test_gain_map_decodes_back_to_the_scene(tmp_path: Path, scene: FloatArray) -> None:
    """By libultrahdr and by the formula: median error below 2 %, 95 % of the pixels within 6 %."""
    path = tmp_path / "a.jpg"
    export(path, scene)
    data = path.read_bytes()
    with Image.open(path) as image:
        assert (image.format, image.size) == ("JPEG", (128, 96))
        base = np.asarray(image.convert("RGB")).astype(np.float64) / 255
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
    with Image.open(io.BytesIO(second_picture(data))) as image:
        gain = np.asarray(image.convert("RGB")).astype(np.float64) / 255
    values = gain_map_metadata(data[data.index(b"\xff\xd8\xff", 2) :])
    assert values["headroom"] == pytest.approx(np.log2(scene.max()), abs=1e-3)
    sdr = np.where(base <= 0.04045, base / 12.92, ((base + 0.055) / 1.055) ** 2.4)
    log = values["low"] + (values["high"] - values["low"]) * gain ** (1 / values["gamma"])
    by_formula = (sdr + values["base_offset"]) * 2**log - values["offset"]
    by_library = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float64)
    for hdr in (by_formula, by_library):
        error = np.abs(hdr - scene).max(axis=2) / scene.max(axis=2)
        assert np.median(error) < 0.02
        assert np.quantile(error, 0.95) < 0.06


def segments(jpeg: bytes) -> list[tuple[int, bytes]]:
    """Markers and data up to the coded picture (ITU-T T.81, annex B)."""
    found, at = [], 2
    while (marker := jpeg[at + 1]) != 0xDA:
        (size,) = struct.unpack_from(">H", jpeg, at + 2)
        found.append((marker, jpeg[at + 4 : at + 2 + size]))
        at += 2 + size
    return found


def xmp_of(jpeg: bytes) -> ElementTree.Element:
    """The rdf:Description of the only XMP packet."""
    marker = b"http://ns.adobe.com/xap/1.0/\0"
    (packet,) = (data[len(marker) :] for kind, data in segments(jpeg) if data.startswith(marker))
    found = ElementTree.fromstring(packet).find(f"{RDF}RDF/{RDF}Description")
    assert found is not None
    return found


RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
HDRGM = "{http://ns.adobe.com/hdr-gain-map/1.0/}"
CONTAINER = "{http://ns.google.com/photos/1.0/container/}"
ITEM = "{http://ns.google.com/photos/1.0/container/item/}"


def test_the_xmp_of_a_jpeg_names_both_pictures_and_says_what_iso_21496_says(
    tmp_path: Path, scene: FloatArray
) -> None:
    export(tmp_path / "a.jpg", scene, exif=None)
    data = (tmp_path / "a.jpg").read_bytes()
    base = xmp_of(data)
    assert base.attrib[f"{HDRGM}Version"] == "1.0"
    items = [
        dict(item.attrib) for item in base.iterfind(f"{CONTAINER}Directory/{RDF}Seq/{RDF}li/{CONTAINER}Item")
    ]
    length = items[1].pop(f"{ITEM}Length")
    assert items == [
        {f"{ITEM}Semantic": "Primary", f"{ITEM}Mime": "image/jpeg"},
        {f"{ITEM}Semantic": "GainMap", f"{ITEM}Mime": "image/jpeg"},
    ]
    gain = data[-int(length) :]
    assert gain == second_picture(data)
    assert gain.startswith(b"\xff\xd8\xff")
    assert data[-int(length) - 2 : -int(length)] == b"\xff\xd9"  # where the base ends
    values, said = gain_map_metadata(gain), xmp_of(gain).attrib
    assert said[f"{HDRGM}Version"] == "1.0"
    assert said[f"{HDRGM}BaseRenditionIsHDR"] == "False"
    names = {
        "GainMapMin": "low",
        "GainMapMax": "high",
        "Gamma": "gamma",
        "OffsetSDR": "base_offset",
        "OffsetHDR": "offset",
        "HDRCapacityMin": "base_headroom",
        "HDRCapacityMax": "headroom",
    }
    for xmp_name, iso_name in names.items():
        assert float(said[HDRGM + xmp_name]) == pytest.approx(values[iso_name], abs=1e-6), xmp_name


def without(jpeg: bytes, begins: bytes) -> bytes:
    """The JPEG without the segments whose data begins so."""
    result = jpeg[:2]
    kept = [(kind, data) for kind, data in segments(jpeg) if not data.startswith(begins)]
    for kind, data in kept:
        result += struct.pack(">BBH", 0xFF, kind, 2 + len(data)) + data
    return result + jpeg[2 + sum(4 + len(data) for _, data in segments(jpeg)) :]


@pytest.mark.parametrize("kept", ["XMP", "ISO"])
def test_libultrahdr_decodes_the_gain_map_by_either_metadata_alone(
    tmp_path: Path, scene: FloatArray, kept: str
) -> None:
    export(tmp_path / "a.jpg", scene)
    data = (tmp_path / "a.jpg").read_bytes()
    length = int(data.split(b'Item:Length="')[1].split(b'"')[0])
    dropped = b"urn:iso:std:iso:ts:21496:-1\0" if kept == "XMP" else b"http://ns.adobe.com/xap/1.0/\0"
    parts = [without(part, dropped) for part in (data[:-length], data[-length:])]
    assert sum(map(len, parts)) < len(data) - 40
    assert not any(dropped in part for part in parts)
    hdr = imagecodecs.ultrahdr_decode(b"".join(parts))[..., :3].astype(np.float64)
    error = np.abs(hdr - scene).max(axis=2) / scene.max(axis=2)
    assert np.median(error) < 0.02
    assert np.quantile(error, 0.95) < 0.06
    with pytest.raises(imagecodecs.UltrahdrError):
        imagecodecs.ultrahdr_decode(
            b"".join(without(without(part, b"urn:iso"), b"http://ns.adobe") for part in parts)
        )


def test_the_base_of_a_jpeg_is_the_sdr_picture(tmp_path: Path, scene: FloatArray) -> None:
    """Given one: that. Else, as in PNG and WebP, the tone-mapped picture."""
    sdr = np.clip(scene / 4, 0, 1).astype(np.float32)
    for name, shown in (("given", sdr), ("mapped", None)):
        export(tmp_path / f"{name}.jpg", scene, sdr=shown)
        export(tmp_path / f"{name}.png", scene if shown is None else shown)
        expected = opencv(tmp_path / f"{name}.png") / 257
        with Image.open(tmp_path / f"{name}.jpg") as image:
            base = np.asarray(image).astype(np.float64)
        assert np.abs(base - expected).mean() < 1.5
    hdr = imagecodecs.ultrahdr_decode((tmp_path / "given.jpg").read_bytes())[..., :3].astype(np.float64)
    error = np.abs(hdr - scene).max(axis=2) / scene.max(axis=2)
    assert np.median(error) < 0.02


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 9000)])
def test_jpegs_of_odd_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 2.0, np.float32)
    export(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == shape[::-1]
    with Image.open(io.BytesIO(second_picture((tmp_path / "a.jpg").read_bytes()))) as image:
        assert image.size == shape[::-1]


def test_jpeg_refuses_transparency_and_takes_an_opaque_alpha(tmp_path: Path, scene: FloatArray) -> None:
    opaque = np.ones(scene.shape[:2], np.float32)
    export(tmp_path / "a.jpg", scene, opaque)
    opaque[0, 0] = 0.99
    with pytest.raises(ExportError, match="no transparency"):
        export(tmp_path / "b.jpg", scene, opaque)


# Masters with fewer bits.


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(8, 22))
def test_rounding_is_to_nearest_and_stays_finite(value: float, bits: int) -> None:
    values = np.array([value], np.float32)
    before = values.tobytes()
    rounded = round_mantissa(values, bits)
    assert values.tobytes() == before
    assert np.isfinite(rounded).all()
    assert rounded.view(np.uint32)[0] % 2 ** (23 - bits) == 0
    assert np.signbit(rounded[0]) == np.signbit(values[0])
    if 1.2e-38 < abs(value) < 1e38:
        assert abs(float(rounded[0]) - float(values[0])) <= abs(value) * 2.0 ** -(bits + 1)


def test_rounding_takes_ties_to_even_and_saturates() -> None:
    step = 2.0**-8
    values = np.array([1 + step / 2, 1 + 1.5 * step, 3.4028235e38, -3.4028235e38], np.float32)
    rounded = round_mantissa(values, 8)
    assert list(rounded[:2]) == [1, 1 + 2 * step]
    largest = float(np.float32((2 - step) * 2.0**127))
    assert list(rounded[2:]) == [largest, -largest]
    assert round_mantissa(values, 23) is values


@pytest.mark.parametrize("name", ["exr", "tiff"])
def test_masters_with_a_rounded_mantissa_are_smaller_and_say_so(
    tmp_path: Path, scene: FloatArray, name: str
) -> None:
    options = ExportOptions(mantissa_bits=12, exr_compression="zip")
    export(tmp_path / f"full.{name}", scene, metadata=METADATA)
    export(tmp_path / f"less.{name}", scene, options=options, metadata=METADATA)
    assert (tmp_path / f"less.{name}").stat().st_size < 0.8 * (tmp_path / f"full.{name}").stat().st_size
    image = oiio.ImageBuf(str(tmp_path / f"less.{name}"))
    pixels = np.asarray(image.get_pixels("float"))
    assert (pixels == round_mantissa(scene, 12)).all()
    assert (np.abs(pixels - scene) <= scene * 2.0**-13).all()
    if name == "exr":
        assert image.spec().getattribute("luxscaler:mantissa_bits") == 12
        full = oiio.ImageBuf(str(tmp_path / "full.exr")).spec()
        assert full.getattribute("luxscaler:mantissa_bits") is None
    if name == "tiff":
        notes = json.loads(tifffile.TiffFile(tmp_path / "less.tiff").pages.first.description)
        assert notes["luxscaler"] == {**METADATA, "mantissa_bits": 12}


def test_exr_half_is_clipped_not_infinite(tmp_path: Path, scene: FloatArray) -> None:
    scene[0, :3, 0] = [70000, -1e9, 65504]
    alpha = np.full(scene.shape[:2], 0.5, np.float32)
    export(tmp_path / "a.exr", scene, options=ExportOptions(exr_type="half", mantissa_bits=12))
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        pixels = file.channels()["RGB"].pixels
        assert "luxscaler:mantissa_bits" not in file.header()
    assert pixels.dtype == np.float16
    assert list(pixels[0, :3, 0]) == [65504, -65504, 65504]
    assert (pixels[1:] == scene[1:].astype(np.float16)).all()
    export(tmp_path / "b.exr", scene, alpha, options=ExportOptions(exr_type="half"))
    spec = oiio.ImageBuf(str(tmp_path / "b.exr")).spec()
    assert str(spec.format) == "half"
    assert spec.channelnames == ("R", "G", "B", "A")


@pytest.mark.parametrize(
    ("options", "codec"),
    [
        (ExportOptions(), "zip"),
        (ExportOptions(mantissa_bits=17), "zip"),
        (ExportOptions(mantissa_bits=16), "piz"),
        (ExportOptions(exr_type="half"), "piz"),
        (ExportOptions(exr_compression="zip"), "zip"),
        (ExportOptions(exr_compression="zip", exr_type="half"), "zip"),
    ],
)
def test_the_codec_follows_the_bits_of_the_samples_unless_it_is_named(
    tmp_path: Path, scene: FloatArray, options: ExportOptions, codec: str
) -> None:
    export(tmp_path / "a.exr", scene, options=options)
    assert oiio.ImageBuf(str(tmp_path / "a.exr")).spec().getattribute("compression") == codec


@pytest.mark.sample(4)
@pytest.mark.parametrize("codec", ["zip", "zips", "piz", "pxr24", "dwaa", "dwab", "rle", "none"])
@pytest.mark.parametrize("tile", [0, 64])
def test_exr_codecs_and_tiles(tmp_path: Path, scene: FloatArray, codec: str, tile: int) -> None:
    path = tmp_path / "a.exr"
    export(path, scene, options=ExportOptions(exr_compression=codec, exr_tile=tile))
    image = oiio.ImageBuf(str(path))
    spec = image.spec()
    assert spec.getattribute("compression") == codec or codec in ("dwaa", "dwab", "none")
    assert (spec.tile_width, spec.tile_height) == (tile, tile)
    assert (spec.width, spec.height) == (128, 96)
    pixels = np.asarray(image.get_pixels("float"))
    if codec in ("dwaa", "dwab"):
        assert np.median(np.abs(pixels - scene) / scene) < 0.02
    elif codec == "pxr24":
        assert (np.abs(pixels - scene) <= scene * 2.0**-16).all()
    else:
        assert (pixels.view(np.uint32) == scene.view(np.uint32)).all()
    with OpenEXR.File(str(path)) as file:
        assert OpenEXR.checkColorMetadata(file.header()) == 0


@pytest.mark.skipif(shutil.which("djxl") is None, reason="djxl of libjxl-tools is not installed")
@pytest.mark.parametrize("alpha", [False, True])
def test_the_oldest_reader_of_jpeg_xl_opens_negative_values(alpha: bool, tmp_path: Path) -> None:
    """djxl 0.7 is what Debian 12 ships; efforts 1 and 2 write such samples so that it fails."""
    rng = np.random.default_rng(4)
    rgb = (rng.normal(0.2, 0.4, (90, 130, 3)) * rng.choice([1, 300], (90, 130, 1))).astype(np.float32)
    assert rgb.min() < -1
    path = tmp_path / "a.jxl"
    export(path, rgb, np.full((90, 130), 0.5, np.float32) if alpha else None)
    seen = tmp_path / "a.pfm"
    command = ["djxl", str(path), str(seen.with_suffix(".png") if alpha else seen)]  # PFM has no alpha
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if alpha:  # what PNG cannot hold, djxl says after it has decoded all
        assert "Decoded to pixels" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    kind, size, scale, pixels = seen.read_bytes().split(b"\n", 3)
    assert (kind, size) == (b"PF", b"130 90")
    order = ">" if float(scale) > 0 else "<"
    np.testing.assert_array_equal(np.frombuffer(pixels, order + "f4").reshape(90, 130, 3)[::-1], rgb)
