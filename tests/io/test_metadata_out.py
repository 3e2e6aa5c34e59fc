"""What files inherit from their source: EXIF and resolution, seen by Pillow, OpenImageIO and tifffile."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from luxscaler.errors import ExportError
from luxscaler.io.exif.ifd import EXIF_IFD, GPS_IFD, Entries, Tiff, bytes_reader, tiff_block
from luxscaler.io.formats import FORMATS
from luxscaler.io.options import ExportOptions
from luxscaler.io.own_tags import own_tags
from luxscaler.io.read import read_picture
from luxscaler.io.tiff import write, write_rows
from luxscaler.io.write import export, open_stream
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Inherited, Picture, PictureSource
from luxscaler.pipeline import stages
from luxscaler.pipeline.carried import carried
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.upscaler import Upscaler
from tests.support.picture_files import noise, pillow

ARTIST, COPYRIGHT, MAKE, MODEL, SOFTWARE, DESCRIPTION = 315, 33432, 271, 272, 305, 270
EXIF_DIRECTORY, GPS_DIRECTORY, DATE_TAKEN, EXPOSURE, USER_COMMENT = 0x8769, 0x8825, 0x9003, 0x829A, 0x9286
TAKEN = "2026:05:04 03:02:01"


@pytest.fixture
def rgb() -> NDArray[np.float32]:
    return np.random.default_rng(5).random((40, 60, 3), dtype=np.float32)


def source_exif(**main: str) -> Image.Exif:
    exif = Image.Exif()
    exif[ARTIST], exif[COPYRIGHT] = "Ada Ünal".encode(), "© 2026 Ada".encode()  # as cameras and editors write
    exif[MAKE], exif[MODEL] = "Maker", "Camera 5"
    if "description" in main:
        exif[DESCRIPTION] = main["description"]
    exif.get_ifd(EXIF_DIRECTORY)[DATE_TAKEN] = TAKEN
    exif.get_ifd(EXIF_DIRECTORY)[EXPOSURE] = 0.008
    exif.get_ifd(GPS_DIRECTORY)[1] = "N"
    return exif


def block(exif: Image.Exif) -> bytes:
    return exif.tobytes().removeprefix(b"Exif\0\0")


def utf8(text: str) -> str:
    """Pillow takes EXIF text for Latin-1."""
    return text.encode("latin-1").decode()


def exif_of(path: Path) -> Image.Exif:
    """By Pillow; JPEG XL, which it does not read, by its box."""
    if path.suffix == ".jxl":
        data = path.read_bytes()
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + data[data.rindex(b"Exif") + 8 :])
        return exif
    with Image.open(path) as image:
        image.load()  # a PNG's eXIf may follow its pixels
        return image.getexif()


@pytest.mark.parametrize("suffix", ["webp", "avif", "jxl", "jpg", "png"])
def test_exif_arrives(tmp_path: Path, rgb: NDArray[np.float32], suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    export(path, rgb, metadata={"scale": 4.0}, resolution_dpi=(300.0, 150.0), exif=block(source_exif()))
    seen = exif_of(path)
    assert (utf8(seen[ARTIST]), utf8(seen[COPYRIGHT]), seen[MAKE]) == ("Ada Ünal", "© 2026 Ada", "Maker")
    assert seen.get_ifd(EXIF_DIRECTORY)[DATE_TAKEN] == TAKEN
    assert float(seen.get_ifd(EXIF_DIRECTORY)[EXPOSURE]) == pytest.approx(0.008)
    assert seen.get_ifd(GPS_DIRECTORY)[1] == "N"
    if suffix != "png":  # it says this in chunks of its own
        assert seen[SOFTWARE] == "LuxScaler"
        assert json.loads(seen[DESCRIPTION])["luxscaler"] == {"scale": 4.0}
        assert (seen[282], seen[283], seen[296]) == (300, 150, 2)


def test_a_description_of_the_source_stays(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    exif = block(source_exif(description="A street"))
    export(tmp_path / "a.webp", rgb, metadata={"scale": 4.0}, exif=exif)
    seen = exif_of(tmp_path / "a.webp")
    assert seen[DESCRIPTION] == "A street"
    comment = seen.get_ifd(EXIF_DIRECTORY)[USER_COMMENT]
    assert comment[:8] == b"ASCII\0\0\0"
    assert json.loads(comment[8:])["luxscaler"] == {"scale": 4.0}


def test_a_jpeg_with_exif_keeps_its_gain_map(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    export(tmp_path / "a.jpg", rgb * 6)
    plain = imagecodecs.ultrahdr_decode((tmp_path / "a.jpg").read_bytes())
    export(tmp_path / "b.jpg", rgb * 6, exif=block(source_exif()))
    data = (tmp_path / "b.jpg").read_bytes()
    assert (imagecodecs.ultrahdr_decode(data) == plain).all()
    with Image.open(tmp_path / "b.jpg") as image:
        assert isinstance(image.info["mp"], bytes)
    at = data.index(b"MPF\0") + 4
    order = ">" if data[at : at + 2] == b"MM" else "<"
    second = data.rindex(b"\xff\xd8\xff")
    with Image.open(io.BytesIO(data[second:])) as image:
        image.load()
        assert image.size == (60, 40)
    assert struct.pack(f"{order}I", second) in data[at : at + 100]  # the first picture's size reaches to it
    assert struct.pack(f"{order}I", second - at) in data[at : at + 100]


def test_tiff_and_exr_carry_what_they_have_fields_for(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    for suffix in ("tiff", "exr"):
        export(tmp_path / f"a.{suffix}", rgb, resolution_dpi=(300.0, 150.0), exif=block(source_exif()))
    with tifffile.TiffFile(tmp_path / "a.tiff") as file:
        page = file.pages.first
        assert page.tags["XResolution"].value == (300, 1)
        assert page.tags["YResolution"].value == (150, 1)
        assert page.tags["ResolutionUnit"].value == 2
        assert page.tags["Make"].value == "Maker"
        assert page.tags["Artist"].value in ("Ada Ünal", "Ada Ünal".encode())
    seen = oiio.ImageBuf(str(tmp_path / "a.tiff")).spec()
    assert seen.getattribute("Copyright") == "© 2026 Ada"
    assert seen.getattribute("XResolution") == 300
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        header = file.header()
        assert header["owner"] == "© 2026 Ada"
        assert header["capDate"] == TAKEN
        assert header["xDensity"] == 300
        assert OpenEXR.checkColorMetadata(header) == 0


@pytest.mark.parametrize("name", ["png", "png-pq"])
def test_png_counts_pixels_per_metre(tmp_path: Path, rgb: NDArray[np.float32], name: str) -> None:
    export(tmp_path / "a.png", rgb, file_format=name, resolution_dpi=(300.0, 72.0))
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((300, 72), abs=0.02)


def test_webp_says_srgb(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    export(tmp_path / "a.webp", rgb)
    with Image.open(tmp_path / "a.webp") as image:
        profile = image.info["icc_profile"]
    described = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    assert "sRGB" in described
    assert struct.unpack(">6H", profile[24:36]) == (2000, 1, 1, 0, 0, 0)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_is_made_up(tmp_path: Path, rgb: NDArray[np.float32], name: str) -> None:
    """Without EXIF and resolution there are none, and with them the pixels stay the same."""
    export(tmp_path / "a", rgb, file_format=name)
    data = (tmp_path / "a").read_bytes()
    assert b"eXIf" not in data
    assert b"pHYs" not in data
    assert b"xDensity" not in data
    assert b"owner" not in data


@pytest.mark.parametrize(
    ("exif", "words"),
    [(b"Exif\0\0II*\0", "TIFF header"), (b"", "TIFF header"), (b"II*\0\xff", "cannot be read")],
)
def test_what_is_no_exif_is_refused(
    tmp_path: Path, rgb: NDArray[np.float32], exif: bytes, words: str
) -> None:
    with pytest.raises(ExportError, match=words):
        export(tmp_path / "a.png", rgb, exif=exif)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dpi", [(0.0, 300.0), (300.0, 1e6), (float("nan"), 300.0)])
def test_an_absurd_resolution_is_refused(
    tmp_path: Path, rgb: NDArray[np.float32], dpi: tuple[float, float]
) -> None:
    with pytest.raises(ExportError, match="resolution_dpi must be 1 to 100000"):
        export(tmp_path / "a.png", rgb, resolution_dpi=dpi)


def test_a_tile_hands_on_its_exif_and_resolution(tiny_network: RRDBNet, tmp_path: Path) -> None:
    upscaler = Upscaler(tiny_network, UpscalerOptions(device="cpu"))
    exif = source_exif()
    exif[0x0112] = 6  # orientation: is applied, not handed on
    tile = pillow(noise(12, 16), "JPEG", exif=exif, dpi=(240, 240))
    process(UpscaleRequest(tile, output_format="webp"), lambda _: upscaler, tmp_path / "a.webp")
    seen = exif_of(tmp_path / "a.webp")
    assert utf8(seen[COPYRIGHT]) == "© 2026 Ada"
    assert seen[282] == 240
    assert 0x0112 not in seen
    with Image.open(tmp_path / "a.webp") as image:
        assert image.size == (48, 64)


def test_exif_that_no_writer_takes_is_left_out_with_a_notice(
    tiny_network: RRDBNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = PictureSource(format="png", exif=b"II*\0\xff", notices=("first of 2 pages",))
    picture = Picture(np.full((8, 8, 3), 0.5, np.float32), None, broken)
    monkeypatch.setattr(stages, "read_named", lambda file, *_, **__: None if file is None else picture)
    upscaler = Upscaler(tiny_network, UpscalerOptions(device="cpu"))
    result = process(UpscaleRequest(b"any"), lambda _: upscaler, tmp_path / "a.webp")
    assert result.notices[0] == "first of 2 pages"
    assert result.notices[1].startswith("EXIF is left out: exif cannot be read")
    assert (tmp_path / "a.webp").is_file()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", ["webp", "avif", "jxl", "jpg"])
def test_fields_keep_their_type_and_their_bytes(
    tmp_path: Path, rgb: NDArray[np.float32], suffix: str, order: str
) -> None:
    fields: Entries = {
        0x9101: (7, 4, b"\1\2\3\0"),
        0x9204: (10, 1, struct.pack(order + "2i", 1, 3)),  # a positive exposure compensation is signed too
        0xA300: (7, 1, b"\3"),
        0xA430: (2, 6, "Ünï\0".encode()),
        0xA432: (5, 4, struct.pack(order + "8I", 24, 1, 70, 1, 0, 0, 0, 0)),  # apertures not known
    }
    places: Entries = {5: (1, 1, b"\1"), 6: (5, 1, struct.pack(order + "2I", 123, 10))}
    main: Entries = {0x013C: (2, 4, b"Mac\0"), 0x9C9B: (1, 4, "tí".encode("utf-16-le"))}
    export(
        tmp_path / f"a.{suffix}",
        rgb,
        exif=tiff_block(order, main, {EXIF_IFD: fields, GPS_IFD: places}),
        resolution_dpi=(72.009, 300.0),
    )
    data = (tmp_path / f"a.{suffix}").read_bytes()
    marks = [at for at in (data.find(mark) for mark in (b"II*\0\x08", b"MM\0*\0\0\0\x08")) if at >= 0]
    tiff = Tiff.of(bytes_reader(data[marks[0] :]))
    seen = tiff.directory(tiff.start)
    assert {tag: seen[tag] for tag in main} == main
    assert struct.unpack(order + "2I", seen[282][2]) == (72009, 1000)
    assert tiff.directory(tiff.number(seen[EXIF_IFD][2])) == fields
    assert tiff.directory(tiff.number(seen[GPS_IFD][2])) == places


def test_a_comment_of_the_source_stays_too(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    exif = source_exif(description="A street")
    exif.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = b"ASCII\0\0\0By night"
    export(tmp_path / "a.webp", rgb, metadata={"scale": 4.0}, exif=block(exif))
    seen = exif_of(tmp_path / "a.webp").get_ifd(EXIF_DIRECTORY)
    assert seen[USER_COMMENT] == b"ASCII\0\0\0By night"
    assert json.loads(seen[0x9213])["luxscaler"] == {"scale": 4.0}
    assert own_tags(tmp_path / "a.webp") == {"scale": "4"}


@pytest.mark.parametrize("comment", [b"ASCII\0\0\0" + bytes(20), b"ASCII\0\0\0" + b" " * 20])
def test_a_blank_comment_of_a_camera_makes_room(
    tmp_path: Path, rgb: NDArray[np.float32], comment: bytes
) -> None:
    exif = source_exif(description="A street")
    exif.get_ifd(EXIF_DIRECTORY)[USER_COMMENT] = comment
    export(tmp_path / "a.webp", rgb, metadata={"scale": 4.0}, exif=block(exif))
    seen = exif_of(tmp_path / "a.webp").get_ifd(EXIF_DIRECTORY)[USER_COMMENT]
    assert json.loads(seen[8:])["luxscaler"] == {"scale": 4.0}


@pytest.mark.parametrize("kind", ["EXIF", "XMP", "IPTC"])
def test_what_no_segment_of_a_jpeg_holds_is_an_error(
    kind: str, rgb: NDArray[np.float32], tmp_path: Path
) -> None:
    path, much = tmp_path / "a.jpg", b"x" * 66_000
    parts = {37500 + at: (7, 33_000, much[:33_000]) for at in range(2)}
    rdf = b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    packet = b'<x %s><rdf:RDF><rdf:Description y="%s"/></rdf:RDF></x>' % (rdf, much)
    arguments = {
        "EXIF": {"exif": tiff_block("<", {}, {EXIF_IFD: parts})},
        "XMP": {"inherited": Inherited(xmp=packet)},
        "IPTC": {"inherited": Inherited(iptc=much)},
    }[kind]
    with pytest.raises(ExportError, match=f"a JPEG holds at most 65,533 bytes of {kind}, .* it is 66,"):
        export(path, rgb, **arguments)  # type: ignore[arg-type]
    assert not path.exists()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize("name", ["tiff", "tiff16"])
def test_a_tiff_has_the_exif_of_its_source(
    name: str,
    is_big: bool,
    order: str,
    rgb: NDArray[np.float32],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own is little-endian; at once and row by row."""
    monkeypatch.setattr(write, "CLASSIC_BYTES", 0 if is_big else 1 << 31)
    monkeypatch.setattr(write_rows, "CLASSIC_BYTES", 0 if is_big else 1 << 31)
    utf16 = "utf-16-le" if order == "<" else "utf-16-be"
    comment = b"UNICODE\0" + "né".encode(utf16)
    fields: Entries = {
        0x829A: (5, 1, struct.pack(order + "2I", 1, 125)),
        0x8827: (3, 1, struct.pack(order + "H", 400)),
        0x9204: (10, 1, struct.pack(order + "2i", -1, 3)),
        USER_COMMENT: (7, len(comment), comment),
        0xA434: (2, 7, "50 mé\0".encode()),
    }
    places: Entries = {1: (2, 2, b"N\0"), 2: (5, 3, struct.pack(order + "6I", 48, 1, 6, 1, 0, 1))}
    main: Entries = {DESCRIPTION: (2, 9, b"A street\0"), 0x9C9B: (1, 4, "tí".encode("utf-16-le"))}
    exif = tiff_block(order, main, {EXIF_IFD: fields, GPS_IFD: places})
    whole, rows = tmp_path / "a.tiff", tmp_path / "b.tiff"
    options, metadata = ExportOptions(sdr_peak=1.0), {"scale": 4.0}
    export(whole, rgb, file_format=name, exif=exif, options=options, metadata=metadata)
    with open_stream(rows, 60, 40, file_format=name, exif=exif, options=options, metadata=metadata) as writer:
        writer.write(rgb)
    for path in (whole, rows):
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff == is_big
            assert len(file.pages) == 1
            tags = file.pages.first.tags
            assert tags[DESCRIPTION].value == "A street"
            assert bytes(tags[0x9C9B].value) == "tí".encode("utf-16-le")
            seen = tags[EXIF_DIRECTORY].value
            assert seen["ExposureTime"] == (1, 125)
            assert seen["ExposureBiasValue"] == (-1, 3) or seen["ShutterSpeedValue"] == (-1, 3)
            assert seen["ISOSpeedRatings"] == 400
            assert tags[GPS_DIRECTORY].value["GPSLatitude"] == (48, 1, 6, 1, 0, 1)
        spec = oiio.ImageBuf(str(path)).spec()
        assert spec.getattribute("ExposureTime") == pytest.approx(1 / 125)
        read = read_picture(path)
        assert read.source.notices == ()
        assert read.source.exif is not None
        tiff = Tiff.of(bytes_reader(read.source.exif))
        little = tiff.directory(tiff.number(tiff.directory(tiff.start)[EXIF_IFD][2]))
        assert little[0xA434] == fields[0xA434]
        assert little[USER_COMMENT][2] == b"UNICODE\0" + "né".encode("utf-16-le")
        assert own_tags(path) == {"scale": "4"}
    np.testing.assert_array_equal(read_picture(rows).rgb, read_picture(whole).rgb)


def test_an_exr_says_camera_lens_exposure_and_place(tmp_path: Path, rgb: NDArray[np.float32]) -> None:
    fields: Entries = {
        0x829A: (5, 1, struct.pack("<2I", 1, 125)),
        0x829D: (5, 1, struct.pack("<2I", 28, 10)),
        0x8827: (3, 1, struct.pack("<H", 400)),
        0x920A: (5, 1, struct.pack("<2I", 50, 0)),  # not known
        0x9011: (2, 7, b"-03:30\0"),
        0xA434: (2, 7, "50 mé\0".encode()),
    }
    places: Entries = {
        1: (2, 2, b"S\0"),
        2: (5, 3, struct.pack("<6I", 48, 1, 30, 1, 36, 1)),
        3: (2, 2, b"E\0"),
        4: (5, 3, struct.pack("<6I", 11, 1, 30, 1, 0, 1)),
        5: (1, 1, b"\1"),
        6: (5, 1, struct.pack("<2I", 123, 10)),
    }
    exif = tiff_block("<", {MAKE: (2, 6, b"Maker\0")}, {EXIF_IFD: fields, GPS_IFD: places})
    export(tmp_path / "a.exr", rgb, exif=exif)
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        header = dict(file.header())  # the file's own is empty once it is closed
    assert header["cameraMake"] == "Maker"
    assert header["lensModel"] == "50 mé"
    numbers = {"expTime": 1 / 125, "aperture": 2.8, "isoSpeed": 400, "utcOffset": 12600}
    numbers |= {"latitude": -48.51, "longitude": 11.5, "altitude": -12.3}
    for name, value in numbers.items():
        assert header[name] == pytest.approx(value, rel=1e-6), name
    assert "nominalFocalLength" not in header
    again = read_picture(tmp_path / "a.exr").source
    assert {name for name, _, _ in again.exr_attributes} == {*numbers, "cameraMake", "lensModel"}
    export(tmp_path / "b.exr", rgb, exif=exif, exr_attributes=(("expTime", "float", struct.pack("<f", 2)),))
    with OpenEXR.File(str(tmp_path / "b.exr")) as file:
        assert file.header()["expTime"] == 2


def test_what_an_exr_does_not_say_of_the_exif_is_named() -> None:
    camera: Entries = {MAKE: (2, 6, b"Maker\0"), SOFTWARE: (2, 2, b"x\0")}
    known = tiff_block("<", camera, {EXIF_IFD: {0x8827: (3, 1, b"\1\0")}, GPS_IFD: {1: (2, 2, b"N\0")}})
    more = tiff_block("<", camera, {EXIF_IFD: {0x9209: (3, 1, b"\1\0")}})
    assert carried(PictureSource(exif=known), "exr")[1] == ()
    (notice,) = carried(PictureSource(exif=more), "exr")[1]
    assert notice.startswith("EXIF is left out but for camera")
    assert carried(PictureSource(exif=more), "tiff")[1] == ()
    attributes = (("expTime", "float", bytes(4)),)
    (notice,) = carried(PictureSource(exr_attributes=attributes), "png")[1]
    assert notice == "EXR attributes are left out: not written into png: expTime"
    assert carried(PictureSource(exr_attributes=attributes), "exr")[1] == ()


@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_a_description_of_how_pixels_are_stored_is_no_description_of_the_result(
    kind: str, tmp_path: Path, rgb: NDArray[np.float32]
) -> None:
    """ImageJ's, OME-TIFF's and tifffile's own: of another size or number of pages they break the file."""
    stack = np.zeros((3, 20, 24), np.uint16)
    kinds: dict[str, dict[str, Any]] = {
        "imagej": {"imagej": True},
        "ome": {"ome": True},
        "shaped": {"photometric": "minisblack"},
    }
    tifffile.imwrite(tmp_path / "a.tif", stack, **kinds[kind])
    source = read_picture(tmp_path / "a.tif").source
    export(tmp_path / "b.tif", rgb, exif=source.exif, metadata={"scale": 2.0})
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert (file.is_imagej, file.is_ome, file.is_shaped) == (False, False, False)
        assert file.series[0].shape == rgb.shape
        assert "luxscaler" in json.loads(file.pages.first.description)
