"""The rarer formats: Netpbm, TGA, PSD, icons, DDS, JPEG 2000, bit fields in BMP and more."""

import struct
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.errors import PictureError
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import IS_AVAILABLE, read_picture_isolated
from tests.support.picture_files import P3, iccp, noise, pillow, png, rgb_profile, srgb

RGB, RGBA, GREY = noise(40, 50), noise(40, 50, 4), noise(40, 50, 0)


def expect(data: bytes, stored: NDArray[Any], top: float, tolerance: float = 3e-7) -> None:
    picture = read_picture(data)
    expected = srgb(np.asarray(stored, np.float64)[..., :3] / top)
    if stored.ndim == 2 or stored.shape[2] < 3:
        grey = stored if stored.ndim == 2 else stored[..., 0]
        expected = srgb(np.asarray(grey, np.float64) / top)[..., None].repeat(3, axis=2)
    np.testing.assert_allclose(picture.rgb, expected, rtol=tolerance, atol=1e-7)
    if stored.ndim == 3 and stored.shape[2] in (2, 4):
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, stored[..., -1] / top, rtol=1e-6)
    else:
        assert picture.alpha is None
    if IS_AVAILABLE:
        np.testing.assert_array_equal(read_picture_isolated(data).rgb, picture.rgb)


@pytest.mark.parametrize("kind", ["TGA", "PCX", "SGI", "DIB", "QOI", "PPM", "JPEG2000"])
def test_rgb(kind: str) -> None:
    expect(pillow(RGB, kind), RGB, 255)


@pytest.mark.parametrize("kind", ["TGA", "ICO", "DDS", "SGI", "QOI"])
def test_alpha(kind: str) -> None:
    options: dict[str, Any] = {"sizes": [(50, 40)]} if kind == "ICO" else {}
    expect(pillow(RGBA, kind, **options), RGBA, 255)


@pytest.mark.parametrize("kind", ["TGA", "PCX", "SGI", "PPM", "JPEG2000", "DIB"])
def test_grey(kind: str) -> None:
    expect(pillow(GREY, kind), GREY, 255)


@pytest.mark.parametrize("options", [{"compression": "tga_rle"}, {"orientation": 1}])
def test_tga_of_every_order(options: dict[str, Any]) -> None:
    expect(pillow(RGB, "TGA", **options), RGB, 255)
    indexed = Image.fromarray(RGB).quantize(16)
    expect(pillow(indexed, "TGA", **options), np.asarray(indexed.convert("RGB")), 255)


def plain(magic: str, values: NDArray[Any], top: str = "") -> bytes:
    height, width = values.shape[:2]
    head = f"{magic}\n# a comment\n{width} {height}\n{top}\n"
    return (head + " ".join(str(value) for value in values.ravel())).encode()


@pytest.mark.sample(2)
@pytest.mark.parametrize("top", [1, 3, 100, 255, 1000, 1023, 4095, 65535])
def test_netpbm_of_any_maximum(top: int) -> None:
    values = np.random.default_rng(top).integers(0, top + 1, (6, 7, 3))
    dtype = "u1" if top < 256 else ">u2"
    binary = f"P6\n7 6\n{top}\n".encode() + values.astype(dtype).tobytes()
    expect(binary, values, top, tolerance=1e-3)
    expect(plain("P3", values, str(top)), values, top, tolerance=1e-3)
    expect(plain("P2", values[..., 0], str(top)), values[..., 0], top, tolerance=1e-3)
    grey = f"P5 7 6 {top} ".encode() + values[..., 0].astype(dtype).tobytes()
    expect(grey, values[..., 0], top, tolerance=1e-3)


def test_bitmaps_are_black_on_white() -> None:
    bits = GREY[:, :45] & 1
    packed = b"P4\n45 40\n" + np.packbits(bits, axis=1).tobytes()
    expect(packed, 1 - bits, 1)
    expect(plain("P1", bits), 1 - bits, 1)
    assert (np.asarray(Image.open(BytesIO(packed)), int) == 1 - bits).all()


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("top", [255, 65535])
def test_pam(depth: int, top: int) -> None:
    values = np.random.default_rng(depth).integers(0, top + 1, (6, 7, depth))
    head = f"P7\nWIDTH 7\nHEIGHT 6\n# more\nDEPTH {depth}\nMAXVAL {top}\nTUPLTYPE ANY\nENDHDR\n"
    expect(head.encode() + values.astype("u1" if top == 255 else ">u2").tobytes(), values, top)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pfm_is_linear_light_from_the_bottom(order: str) -> None:
    light = np.random.default_rng(1).normal(1, 2, (6, 7, 3)).astype(np.float32)
    head = f"PF\n7 6\n{'-' if order == '<' else ''}1.0\n".encode()
    picture = read_picture(head + light[::-1].astype(order + "f4").tobytes())
    np.testing.assert_array_equal(picture.rgb, light)
    assert picture.source.is_float


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"P6\n7 6\n255\n" + bytes(10), "is truncated: it has 10 of 126 bytes"),
        (b"P3\n2 1\n255\n1 2 3 4 5", "is truncated: it has 5 of 6 samples"),
        (b"P3\n1 1\n255\n1 2 x", "a sample is no number"),
        (b"P3\n1 1\n255\n1 2 256", "values over its maximum, 255"),
        (b"P6\n7 six\n255\n", "a number is expected"),
        (b"P6\n7", "truncated within it"),
        (b"P6\n0 6\n255\n", "damaged Netpbm header: 0 × 6"),
        (b"P7\nWIDTH 7\nENDHDR\n", "WIDTH, HEIGHT, DEPTH and MAXVAL are needed"),
        (b"P7\nWIDTH 7\n", "has no ENDHDR"),
    ],
)
def test_damaged_netpbm(data: bytes, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        read_picture(data)


def psd(array: NDArray[Any], resources: bytes = b"", mode: int = 3) -> bytes:
    """A Photoshop document of nothing but its merged picture (Adobe's specification of the file format)."""
    height, width, channels = array.shape
    bits = array.dtype.itemsize * 8
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, height, width, bits, mode)
    planes = np.moveaxis(array, 2, 0).astype(array.dtype.newbyteorder(">")).tobytes()
    sections = bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4)
    return head + sections + struct.pack(">H", 0) + planes


@pytest.mark.parametrize("bits", [8, 16])
def test_psd(bits: int) -> None:
    array = noise(40, 50, 3, bits)
    expect(psd(array), array, 2**bits - 1)


def test_psd_with_a_profile() -> None:
    profile = rgb_profile(P3)
    block = b"8BIM" + struct.pack(">HxxI", 1039, len(profile)) + profile + bytes(len(profile) % 2)
    picture = read_picture(psd(RGB, block))
    np.testing.assert_allclose(picture.rgb, read_picture(png(RGB, iccp(profile))).rgb, atol=1e-6)


@pytest.mark.sample(2)
@pytest.mark.parametrize(("bits", "codec"), [(8, "jp2"), (16, "jp2"), (8, "j2k"), (16, "j2k")])
def test_jpeg_2000(bits: int, codec: str) -> None:
    array = noise(40, 50, 3, bits)
    data = bytes(imagecodecs.jpeg2k_encode(array, codecformat=codec, level=0, reversible=True))
    expect(data, array, 2**bits - 1)
    assert read_header(data).bits == bits


def bmp(masks: tuple[int, ...], values: NDArray[Any]) -> bytes:
    """A BMP of bit fields, rows from the bottom (Windows' BITMAPV4HEADER)."""
    height, width = values.shape
    bits = values.dtype.itemsize * 8
    rows = values[::-1]
    pad = bytes(-(width * bits // 8) % 4)
    pixels = b"".join(row.tobytes() + pad for row in rows)
    info = struct.pack("<IiiHHIIiiII", 108, width, height, 1, bits, 3, len(pixels), 2835, 2835, 0, 0)
    info += struct.pack("<4I", *(*masks, 0)[:4]) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(pixels), 0, 0, 14 + len(info)) + info + pixels


@pytest.mark.parametrize(
    ("masks", "dtype"),
    [
        ((0xF800, 0x07E0, 0x001F), "<u2"),
        ((0x7C00, 0x03E0, 0x001F), "<u2"),
        ((0x0F00, 0x00F0, 0x000F, 0xF000), "<u2"),
        ((0x7C00, 0x03E0, 0x001F, 0x8000), "<u2"),
        ((0x00FF0000, 0x0000FF00, 0x000000FF), "<u4"),
        ((0xFF000000, 0x00FF0000, 0x0000FF00), "<u4"),
        ((0x000000FF, 0x0000FF00, 0x00FF0000, 0xFF000000), "<u4"),
        ((0x3FF00000, 0x000FFC00, 0x000003FF), "<u4"),
    ],
)
def test_bmp_of_bit_fields(masks: tuple[int, ...], dtype: str) -> None:
    values = np.random.default_rng(2).integers(0, 2 ** (8 * np.dtype(dtype).itemsize), (5, 7)).astype(dtype)
    picture = read_picture(bmp(masks, values))
    for channel, mask in enumerate(masks[:3]):
        shift = (mask & -mask).bit_length() - 1
        codes = (values.astype(np.int64) & mask) >> shift
        expected = srgb(codes / (mask >> shift))
        np.testing.assert_allclose(picture.rgb[..., channel], expected, atol=0.012)
    assert (picture.alpha is not None) == (len(masks) == 4)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SDPX" + bytes(100), "is DPX, which is not supported"),
        (b"SIMPLE  =" + bytes(100), "is FITS, which is not supported"),
        (bytes(128) + b"DICM" + bytes(100), "is DICOM, which is not supported"),
        (b"%!PS-Adobe" + bytes(100), "is PostScript, which is not supported"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI" + bytes(50), "a PNG of Apple's own kind"),
        (b"#define a_width 8\n#define a_height 8\n", "XBM, which is not supported"),
    ],
)
def test_what_is_unsupported_is_named(data: bytes, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        read_picture(data)


@pytest.mark.parametrize("kind", ["TGA", "PCX", "SGI", "ICO", "DDS", "QOI", "JPEG2000"])
def test_damage_is_one_line(kind: str) -> None:
    data = pillow(RGBA if kind in ("ICO", "DDS") else RGB, kind)
    for length in (20, 60, len(data) // 2, len(data) - 40):
        with pytest.raises(PictureError) as caught:
            read_picture(data[:length])
        assert "\n" not in str(caught.value)


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HxxI", number, len(data)) + data + bytes(len(data) % 2)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_psd(bits: int) -> None:
    array = noise(40, 50, 1, bits)
    expect(psd(array, mode=1), array[..., 0], 2**bits - 1)
    assert read_picture(psd(array, mode=1)).source.is_grey
    selection = psd(noise(40, 50, 2, bits), mode=1)
    assert read_picture(selection).source.notices == ("ignored: 1 extra channel",)


def packed(document: bytes, inks: NDArray[Any], *, big: bool) -> bytes:
    """The document with its channels packed; big: as PSB."""
    rows = [
        bytes(imagecodecs.packbits_encode(row.tobytes())) for row in np.moveaxis(inks, 2, 0).reshape(-1, 50)
    ]
    sizes = struct.pack(f">{len(rows)}{'I' if big else 'H'}", *map(len, rows))
    head = document[:4] + struct.pack(">H", 2 if big else 1) + document[6:26]
    return head + bytes(16 if big else 12) + struct.pack(">H", 1) + sizes + b"".join(rows)


@pytest.mark.parametrize("kind", ["raw", "16 bits", "packed", "big"])
def test_psd_in_cmyk(kind: str) -> None:
    inks = noise(40, 50, 4)
    expected = srgb((1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255))
    stored = 255 - inks  # 0 is full ink
    data = psd(stored.astype(np.uint16) * 257 if kind == "16 bits" else stored, mode=4)
    if kind in ("packed", "big"):
        data = packed(data, stored, big=kind == "big")
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, expected, atol=1e-6)
    assert "CMYK without a usable ICC profile" in picture.source.notices[0]
    image = Image.open(BytesIO(data)) if kind in ("raw", "packed") else None
    if image is not None:
        np.testing.assert_array_equal(np.asarray(image), inks)
    with pytest.raises(PictureError, match="is truncated: it has 159 of 160 rows of channels"):
        read_picture(data[:-1])


def test_metadata_of_psd() -> None:
    exif = Image.Exif()
    exif[271] = "Canon"
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5"/></rdf:RDF></x:xmpmeta>'
    )
    blocks = resource(1005, struct.pack(">IHHIHH", 300 << 16, 1, 1, 240 << 16, 1, 1))
    blocks += resource(1058, exif.tobytes()) + resource(1060, packet) + resource(1028, b"\x1c\x02\x05\0\1x")
    source = read_picture(psd(RGB, blocks)).source
    assert source.resolution_dpi == (300.0, 240.0)
    assert b"Canon" in (source.exif or b"")
    assert b"Rating" in (source.inherited.xmp or b"")
    assert source.inherited.iptc == b"\x1c\x02\x05\0\1x"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (psd(RGB, resource(1057, struct.pack(">IB", 1, 0) + bytes(12))), "has no merged picture"),
        (psd(RGB, mode=9), "colour mode Lab"),
        (psd(RGBA, mode=7), "colour mode multichannel"),
        (psd(RGB, mode=77), "colour mode number 77"),
        (psd(RGB)[:30], "truncated"),
        (psd(RGB, mode=4), "CMYK of 3 × 8 bits"),
    ],
    ids=["not merged", "lab", "multichannel", "unknown", "short", "inks"],
)
def test_psd_that_is_refused(data: bytes, text: str) -> None:
    with pytest.raises(PictureError, match=text):
        read_picture(data)
    with pytest.raises(PictureError, match=text):
        read_header(data)


def test_a_merged_picture_that_is_said_to_be_there_is_read() -> None:
    expect(psd(RGB, resource(1057, struct.pack(">IB", 1, 1) + bytes(12))), RGB, 255)


@pytest.mark.parametrize("array", [RGB, RGBA], ids=["24 bits", "32 bits"])
def test_bmp_with_a_profile(array: NDArray[Any]) -> None:
    """BITMAPV5HEADER with an embedded profile, as ImageMagick writes it."""
    profile, size = rgb_profile(P3), array.shape[2]
    pixels = np.ascontiguousarray(array[::-1][..., [2, 1, 0, 3][:size]])
    rows = np.pad(pixels.reshape(40, -1), ((0, 0), (0, -pixels.shape[1] * size % 4))).tobytes()
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if size == 4 else (0, 0, 0, 0)
    head = struct.pack("<IiiHHIIiiII", 124, 50, 40, 1, 8 * size, 3 if size == 4 else 0, len(rows), 0, 0, 0, 0)
    head += struct.pack("<4I", *masks) + b"DEBM" + bytes(48)
    head += struct.pack("<4I", 4, 124 + len(rows), len(profile), 0)
    data = b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(profile), 0, 0, 138) + head + rows + profile
    picture = read_picture(data)
    np.testing.assert_array_equal(
        picture.rgb, read_picture(png(RGB if size == 3 else RGBA, iccp(profile))).rgb
    )
    assert picture.source.color_space.startswith("ICC: ")
    cut = read_picture(data[: -len(profile)]).source
    assert cut.notices == ("the ICC profile is damaged or of an unknown kind; it is ignored",)


def test_what_openimageio_cannot_open_is_told_without_its_question() -> None:
    data = pillow(RGBA, "DDS")
    with pytest.raises(PictureError, match=r"it may be damaged: OpenImageIO does not take its header$"):
        read_picture(data[:4] + bytes(124) + data[128:])


def moving_webp(codes: NDArray[Any], at: tuple[int, int], canvas: tuple[int, int], *, alpha: bool) -> bytes:
    """An animation whose pictures lie somewhere on a canvas of (width, height)."""

    def three(*numbers: int) -> bytes:
        return b"".join(struct.pack("<I", number)[:3] for number in numbers)

    def part(name: bytes, data: bytes) -> bytes:
        return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)

    height, width = codes.shape[:2]
    frame = three(at[0] // 2, at[1] // 2, width - 1, height - 1, 100) + b"\2"
    frame += pillow(codes, "WEBP", lossless=True)[12:]
    head = bytes([2 | 16 * alpha, 0, 0, 0]) + three(canvas[0] - 1, canvas[1] - 1)
    body = part(b"VP8X", head) + part(b"ANIM", b"\xff\xff\xff\xff\0\0") + 2 * part(b"ANMF", frame)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize("alpha", [False, True])
def test_what_the_first_picture_of_a_webp_leaves_bare_is_clear(alpha: bool) -> None:
    codes = noise(9, 13)
    data = moving_webp(codes, (4, 6), (30, 20), alpha=alpha)
    picture, header = read_picture(data), read_header(data)
    assert (header.width, header.height, header.has_alpha) == (30, 20, True)
    covered = np.zeros((20, 30), bool)
    covered[6:15, 4:17] = True
    np.testing.assert_array_equal(picture.alpha, covered)
    np.testing.assert_allclose(picture.rgb[6:15, 4:17], srgb(codes / 255), atol=1e-6)
    assert (
        "the first picture has 13 × 9 of the 30 × 20 pixels; around it all is clear" in picture.source.notices
    )
    with pytest.raises(PictureError, match=r"beyond its canvas .18 to 31 × 6 to 15, of 30 × 20.$"):
        read_header(moving_webp(codes, (18, 6), (30, 20), alpha=alpha))
    whole = read_picture(moving_webp(codes, (0, 0), (13, 9), alpha=alpha))
    assert whole.source.notices == ("an animation: the first picture is read",)
    assert whole.has_alpha == alpha


@pytest.mark.parametrize("is_animated", [False, True])
def test_what_the_first_picture_of_a_gif_leaves_bare_is_clear(is_animated: bool) -> None:
    picture = Image.fromarray(noise(4, 5)).quantize(8)
    data = bytearray(pillow(picture, "GIF"))
    data[6:10] = struct.pack("<HH", 9, 7)  # the canvas
    at = data.index(b",\0\0\0\0")
    data[at + 1 : at + 5] = struct.pack("<HH", 3, 2)  # where the picture lies on it
    if is_animated:  # a second picture, over the whole canvas
        second = pillow(Image.fromarray(noise(7, 9)).quantize(8), "GIF")
        data[-1:] = second[second.index(b",\0\0\0\0") :]
    found = read_picture(bytes(data))
    expected = np.zeros((7, 9, 3))
    expected[2:6, 3:8] = srgb(np.asarray(picture.convert("RGB")) / 255)
    np.testing.assert_allclose(found.rgb, expected, rtol=3e-7)
    assert found.alpha is not None
    np.testing.assert_array_equal(found.alpha, expected.any(axis=2))
    assert "5 × 4 of the 9 × 7 pixels" in found.source.notices[-1]
    assert len(found.source.notices) == 1 + is_animated


@pytest.mark.parametrize(("kind", "order"), [(1, [2, 1, 0]), (3, [0, 1, 2])])
def test_sun_raster_of_32_bits(kind: int, order: list[int]) -> None:
    """Type 3 is RGB, the others BGR; the first of four bytes has no meaning."""
    stored = np.dstack([np.full((40, 50), 77, np.uint8), RGB[..., order]])
    head = struct.pack(">8I", 0x59A66A95, 50, 40, 32, stored.nbytes, kind, 0, 0)
    expect(head + stored.tobytes(), RGB, 255)
    expect(head[:12] + struct.pack(">5I", 24, 6000, kind, 0, 0) + stored[..., 1:].tobytes(), RGB, 255)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("packed", [False, True])
def test_sgi_of_16_bits_and_as_ffmpeg_packs_it(channels: int, bits: int, packed: bool) -> None:
    """Without a mark at the ends of rows, which Pillow takes for damage; it keeps 8 bits of 16."""
    stored = noise(40, 50, channels, bits)
    planes = np.moveaxis(stored[::-1], 2, 0).astype(f">u{bits // 8}")
    fields = (474, packed, bits // 8, 3, 50, 40, channels, 0, 2**bits - 1, b"", 0)
    head = struct.pack(">hbbHHHHii4x80si404x", *fields)
    if packed:  # literal runs of 50
        number = ">H" if bits == 16 else "B"
        rows = [struct.pack(number, 0x80 | 50) + planes[at].tobytes() for at in np.ndindex(*planes.shape[:2])]
        first = 512 + 8 * len(rows)
        starts = [first + sum(map(len, rows[:index])) for index in range(len(rows))]
        tables = struct.pack(f">{2 * len(rows)}I", *starts, *map(len, rows))
        data = head + tables + b"".join(rows)
    else:
        data = head + planes.tobytes()
    picture = read_picture(data)
    assert picture.source.bits == bits
    expect(data, stored if channels > 1 else stored[..., 0], 2**bits - 1)
    with pytest.raises(PictureError, match=r"damaged|truncated"):
        read_picture(data[:-300])


def tga_of_four(alpha: int, *, says: int | None = None) -> bytes:
    """32 bits a pixel, no attribute bits. says: the extension area's word on the fourth channel."""
    pixels = np.full((4, 6, 4), alpha, np.uint8)
    pixels[..., :3] = 90
    data = struct.pack("<12x2HBB", 6, 4, 32, 0x20) + pixels.tobytes()
    data = data[:2] + b"\x02" + data[3:]
    if says is None:
        return data
    area = bytearray(495)
    area[494] = says
    return data + area + struct.pack("<2I", len(data), 0) + b"TRUEVISION-XFILE.\0"


@pytest.mark.parametrize(
    ("alpha", "says", "read", "light", "said"),
    [
        (0, None, None, 90, "is 0 everywhere"),
        (128, None, 128, 90, ""),
        (128, 0, None, 90, "is no alpha, as the TGA says"),
        (128, 3, 128, 90, ""),
        (0, 3, 0, 90, ""),
        (180, 4, 180, 127.5, ""),
    ],
)
def test_the_fourth_channel_of_a_tga(
    alpha: int, says: int | None, read: int | None, light: float, said: str
) -> None:
    picture = read_picture(tga_of_four(alpha, says=says))
    np.testing.assert_allclose(picture.rgb, srgb(light / 255), rtol=1e-4)
    if read is None:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        np.testing.assert_allclose(picture.alpha, read / 255, rtol=1e-6)
    assert said in "".join(picture.source.notices)
    assert bool(said) == bool(picture.source.notices)


def test_a_pfm_whose_lines_end_in_two_bytes() -> None:
    light = (noise(4, 6) / 64).astype("<f4")
    for line_end in (b"\n", b"\r\n"):
        data = line_end.join([b"PF", b"6 4", b"-1.0", b""]) + light[::-1].tobytes()
        np.testing.assert_array_equal(read_picture(data).rgb, light)
