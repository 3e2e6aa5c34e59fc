"""XMP, IPTC, PNG texts and the shape of pixels go into the result, or are named."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from luxscaler.backends.local import LocalBackend
from luxscaler.io.formats import FORMATS, suffix_of
from luxscaler.io.read import read_picture
from luxscaler.io.xmp import scaled_xmp, usable_xmp
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.upscaling.upscaler import Upscaler
from tests.support.notices import told
from tests.support.picture_files import exif, exr, noise, png, tiff

RGB = noise(16, 20)
PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
    b' xmp:Rating="4" tiff:Orientation="6" tiff:ImageWidth="20" GPano:ProjectionType="equirectangular"'
    b' GPano:FullPanoWidthPixels="20"><GPano:FullPanoHeightPixels>16</GPano:FullPanoHeightPixels>'
    b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
IPTC = b"\x1c\x02\x78\x00\x05Hello\x1c\x02\x19\x00\x03sea"
TEXTS = {"parameters": "a castle at dusk\nSteps: 20", "workflow": '{"name": "夕"}'}


def slow(*values: object) -> Any:
    """Parameters of a test that is left out of the inner loop."""
    return pytest.param(*values, marks=pytest.mark.slow)


def upscaled(data: bytes, path: Path, name: str, scale: float = 2.0) -> Result:
    network = Upscaler(build_network(SRVGGConfig(features=4, convs=1)), UpscalerOptions(device="cpu"))
    request = UpscaleRequest(data, output_format=name, scale=scale)
    return upscale_picture(request, path, LocalBackend(lambda _: network))


def photo(**options: Any) -> bytes:
    """A JPEG with XMP, and IPTC in Photoshop's block."""
    file = BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", xmp=PACKET, **options)
    data = file.getvalue()
    block = (
        b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC + bytes(len(IPTC) % 2)
    )
    return data[:2] + b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block + data[2:]


def prompt(**options: Any) -> bytes:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", TEXTS["parameters"], zip=True)
    texts.add_itxt("workflow", TEXTS["workflow"])
    file = BytesIO()
    Image.fromarray(RGB).save(file, "PNG", pnginfo=texts, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "name", ["png", "jpg", *(slow(name) for name in FORMATS if name not in ("png", "jpg"))]
)
def test_xmp_and_iptc(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix_of(name)}"
    result = upscaled(photo(), path, name)
    data, lost = path.read_bytes(), set()
    if name == "exr":
        lost.add("XMP is left out: not written into exr")
    else:
        found = Image.open(path).info["xmp"] if name in ("png", "png-pq", "webp", "jpg", "avif") else data
        found = found if isinstance(found, bytes) else found.encode()
        for text in (b'Rating="4"', b'FullPanoWidthPixels="40"', b">32</GPano:FullPanoHeightPixels>"):
            assert text in found
        assert b"Orientation" not in found.partition(b"</rdf:RDF>")[0].partition(b"<rdf:RDF")[2]
    if name in ("tiff", "tiff16"):
        assert tifffile.TiffFile(path).pages.first.tags[33723].value == IPTC
    elif name == "jpg":
        assert Image.open(path).info["photoshop"][0x0404] == IPTC
    else:
        lost.add(f"IPTC is left out: not written into {name}")
    assert set(told(result)) == lost
    if name != "exr":
        again = read_picture(data, sdr=True).source.inherited
        assert again.xmp is not None
        assert b'Rating="4"' in again.xmp
        assert again.iptc == (IPTC if name in ("tiff", "tiff16", "jpg") else None)


@pytest.mark.parametrize("name", ["png", "exr", slow("png-pq"), slow("webp")])
def test_prompts(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix_of(name)}"
    result = upscaled(prompt(), path, name)
    if name.startswith("png"):
        image = Image.open(path)
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert {key: image.text[key] for key in TEXTS} == TEXTS
        assert told(result) == ()
    else:
        assert told(result) == (f"PNG texts are left out: not written into {name}: parameters, workflow",)


def anamorphic(kind: str) -> bytes:
    if kind == "exr":
        light = (RGB / 255).astype(np.float32)
        planes = {name: np.ascontiguousarray(light[..., index]) for index, name in enumerate("RGB")}
        return exr(planes, pixelAspectRatio=2.0)
    if kind == "tiff":
        return tiff(RGB, photometric="rgb", resolution=(1, 2), resolutionunit="NONE")
    file = BytesIO()
    Image.fromarray(RGB).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("exr", "exr"), ("exr", "webp"), *(slow(kind, name) for kind in ("exr", "tiff") for name in FORMATS)],
)
def test_the_shape_of_pixels(kind: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix_of(name)}"
    result = upscaled(anamorphic(kind), path, name, 1.0)
    if name in ("exr", "tiff", "tiff16", "png", "png-pq"):
        assert told(result) == ()
        assert read_picture(path).source.inherited.pixel_aspect == pytest.approx(2.0)
        seen = oiio.ImageBuf(str(path)).spec()
        x, y = seen.get_float_attribute("XResolution"), seen.get_float_attribute("YResolution")
        assert seen.get_float_attribute("PixelAspectRatio", y / x if x else 0.0) == pytest.approx(2.0)
    else:
        assert told(result) == (f"pixels are 2 times as wide as high, and {name} does not say so",)


def test_a_resolution_of_two_numbers_is_the_shape_of_exrs_pixels(tmp_path: Path) -> None:
    path = tmp_path / "out.exr"
    upscaled(tiff(RGB, photometric="rgb", resolution=(100, 150), resolutionunit="INCH"), path, "exr")
    assert oiio.ImageBuf(str(path)).spec().get_float_attribute("PixelAspectRatio") == pytest.approx(1.5)
    assert read_picture(path).source.resolution_dpi == pytest.approx((100, 150))


@pytest.mark.parametrize(
    ("packet", "notice"),
    [
        (b"<x:xmpmeta", "the XMP data is damaged and was not kept"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "the XMP data is damaged and was not kept"),
        (
            PACKET.replace(b'Rating="4"', b'Label="' + b"x" * 70_000 + b'"'),
            "the XMP data is over 60000 bytes",
        ),
    ],
)
def test_xmp_that_is_not_kept_is_named(packet: bytes, notice: str) -> None:
    kept, (said,) = usable_xmp(packet)
    assert kept is None
    assert said.startswith(notice)


def test_a_packet_with_nothing_to_keep_is_nothing() -> None:
    only_size = PACKET.replace(b' xmp:Rating="4"', b"").replace(b"GPano:", b"tiff:")
    assert usable_xmp(only_size) == (None, ())
    assert scaled_xmp(None, 2, 2) is None


def raw_profile(name: str, data: bytes, length: int | None = None) -> tuple[bytes, bytes]:
    """As ImageMagick packs it: lines of 72 hexadecimal digits."""
    digits = data.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    text = f"\n{name}\n{len(data) if length is None else length:8}\n{lines}\n"
    return b"zTXt", f"Raw profile type {name}".encode() + b"\0\0" + zlib.compress(text.encode())


def test_profiles_that_imagemagick_packs_into_png_texts_are_read() -> None:
    iptc = b"\x1c\x02\x19\0\3cat"
    resource = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc + b"\0"
    block = exif(6)
    marked = block if block.startswith(b"Exif") else b"Exif\0\0" + block
    array = noise(4, 6)
    for packed in (
        [raw_profile("exif", marked), raw_profile("xmp", PACKET), raw_profile("iptc", iptc)],
        [raw_profile("APP1", marked), raw_profile("xmp", PACKET), raw_profile("8bim", resource)],
        [raw_profile("exif", marked), raw_profile("xmp", PACKET), raw_profile("iptc", resource)],
    ):
        picture = read_picture(png(array, *packed))
        assert picture.rgb.shape == (6, 4, 3)  # turned
        assert picture.source.inherited.iptc == iptc
        assert b'Rating="4"' in (picture.source.inherited.xmp or b"")
        assert picture.source.inherited.texts == ()
        assert picture.source.notices == ()


def test_png_texts_that_are_left_out_are_named() -> None:
    chunks = [
        (b"tEXt", b"kept\0yes"),
        (b"tEXt", b"long\0" + bytes(1 << 20)),
        (b"zTXt", b"damaged\0\0zzz"),
        raw_profile("xmp", b"<x/>", 9),
        raw_profile("other", b"x"),
    ]
    source = read_picture(png(noise(4, 6), *chunks)).source
    assert source.inherited.texts == (("kept", "yes"),)
    (notice,) = source.notices
    assert notice.endswith("long, damaged, Raw profile type xmp, Raw profile type other")
