"""Pictures stored on disk band by band: the same as read at once, in little memory, whole or not at all."""

import errno
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io import read_rows
from luxscaler.io.read import header_of, read_picture
from luxscaler.isolation import linear_file
from luxscaler.isolation.linear_file import LinearFile, write_linear_file
from luxscaler.isolation.pool import IS_AVAILABLE, decode_to_file
from luxscaler.options import DecodeLimits
from luxscaler.picture import Picture
from tests.conftest import ROOT
from tests.io.test_read_errors import FILES
from tests.support.examples import examples
from tests.support.picture_files import (
    P3,
    avif,
    exif,
    exr,
    exr_of_chroma,
    iccp,
    noise,
    pillow,
    png,
    rgb_profile,
    tiff,
)

pytestmark = pytest.mark.skipif(not IS_AVAILABLE, reason="bands and isolation need Linux")

GREY, RGB, RGBA = noise(40, 50, 0), noise(40, 50), noise(40, 50, 4)
SMOOTH = np.asarray(Image.fromarray(noise(5, 6)).resize((50, 41), Image.Resampling.BICUBIC))
LIGHT = (noise(40, 50, 4, 16) / np.float32(9000)).astype(np.float32)
LIGHT[..., 3] /= LIGHT[..., 3].max()
BAND = 700
"""Bytes; a few rows of these pictures."""


def planes(light: NDArray[Any], kind: Any = np.float32) -> dict[str, NDArray[Any]]:
    return {name: light[..., i].astype(kind) for i, name in enumerate("RGBA"[: light.shape[2]])}


def tiles(width: int, height: int) -> dict[str, Any]:
    return {"type": OpenEXR.tiledimage, "tiles": _tiles(width, height)}


def _tiles(width: int, height: int) -> Any:
    found = OpenEXR.TileDescription()
    found.xSize, found.ySize = width, height
    return found


RGB_TIFF: dict[str, Any] = {"photometric": "rgb"}
IN_BANDS: dict[str, bytes] = {
    "jpeg": pillow(SMOOTH, "JPEG"),
    "jpeg 4:4:4": pillow(SMOOTH, "JPEG", quality=95, subsampling=0),
    "jpeg grey": pillow(GREY, "JPEG"),
    "jpeg rgb": pillow(SMOOTH, "JPEG", keep_rgb=True),
    "jpeg progressive": pillow(SMOOTH, "JPEG", progressive=True),
    "jpeg P3": pillow(SMOOTH, "JPEG", icc_profile=rgb_profile(P3)),
    "png": png(RGB),
    "png 16": png(noise(40, 50, 3, 16)),
    "png grey": png(GREY),
    "png grey 16 alpha": png(noise(40, 50, 2, 16)),
    "png alpha": png(RGBA),
    "png palette": pillow(Image.fromarray(RGB).quantize(16), "PNG"),
    "png palette alpha": pillow(Image.fromarray(RGB).quantize(16), "PNG", transparency=3),
    "png bilevel": pillow(Image.fromarray(GREY).convert("1"), "PNG"),
    "png transparent colour": png(RGB, (b"tRNS", struct.pack(">3H", *map(int, RGB[0, 0])))),
    "png gamma": png(RGB, (b"gAMA", struct.pack(">I", 100000))),
    "png P3": png(noise(40, 50, 3, 16), iccp(rgb_profile(P3))),
    "tiff": tiff(RGB, **RGB_TIFF),
    "tiff grey 16": tiff(noise(40, 50, 0, 16), photometric="minisblack"),
    "tiff big-endian": tiff(noise(40, 50, 3, 16).astype(">u2"), byteorder=">", **RGB_TIFF),
    "tiff planar": tiff(np.moveaxis(RGB, 2, 0), planarconfig="separate", **RGB_TIFF),
    "tiff tiles": tiff(RGB, tile=(16, 32), compression="zlib", predictor=True, **RGB_TIFF),
    "tiff strips": tiff(RGB, rowsperstrip=7, compression="lzw", iccprofile=rgb_profile(P3), **RGB_TIFF),
    "tiff alpha": tiff(RGBA, extrasamples=["unassalpha"], **RGB_TIFF),
    "tiff float": tiff(LIGHT[..., :3], compression="zlib", predictor=3, **RGB_TIFF),
    "tiff half": tiff(LIGHT[..., :3].astype(np.float16), **RGB_TIFF),
    "tiff float associated alpha": tiff(LIGHT, tile=(16, 16), extrasamples=["assocalpha"], **RGB_TIFF),
    "exr": exr(planes(LIGHT[..., :3])),
    "exr half": exr(planes(LIGHT[..., :3], np.float16), compression=OpenEXR.PIZ_COMPRESSION),
    "exr alpha": exr(planes(LIGHT)),
    "exr tiles": exr(planes(LIGHT, np.float16), **tiles(16, 32)),
    "exr one large tile": exr(planes(LIGHT), **tiles(64, 64)),
    "exr Y": exr({"Y": LIGHT[..., 0]}),
    "exr P3": exr(planes(LIGHT[..., :3]), chromaticities=(*P3, 0.3127, 0.329)),
}
WHOLE: dict[str, bytes] = {
    **{name: FILES[name] for name in ("webp", "hdr", "jxl", "bmp", "gif")},
    "avif 12": avif(noise(40, 50, 3, 16) >> 4, 12),
    "jpeg cmyk": pillow(Image.fromarray(RGBA, "CMYK"), "JPEG"),
    "tiff white is zero": tiff(GREY, photometric="miniswhite"),
    "tiff associated alpha": tiff(RGBA, extrasamples=["assocalpha"], **RGB_TIFF),
    "tiff palette": pillow(Image.fromarray(RGB).quantize(16), "TIFF"),
    "tiff jpeg": tiff(SMOOTH, photometric="ycbcr", compression="jpeg", rowsperstrip=8),
    "tiff jpeg tiles": tiff(
        SMOOTH, photometric="ycbcr", compression="jpeg", subsampling=(2, 2), tile=(16, 16)
    ),
    "tiff double": tiff(LIGHT[..., :3].astype(np.float64) / 3, **RGB_TIFF),
    "exr window": exr(planes(LIGHT), displayWindow=(np.zeros(2, np.int32), np.full(2, 29, np.int32))),
    "exr chroma": exr_of_chroma(LIGHT[..., 0], LIGHT[::2, ::2, 1], LIGHT[::2, ::2, 2]),
    "exr integers": exr({"Y": noise(40, 50, 0, 16).astype(np.uint32) * 60000}),
}


def laid_out(data: bytes, folder: Path, max_pixels: int = 10**6) -> LinearFile:
    """In this process."""
    source, path = folder / "picture", folder / "linear"
    source.write_bytes(data)
    with source.open("rb") as stream, path.open("w+b") as target:
        size = write_linear_file(
            stream,
            "picture",
            target.fileno(),
            max_pixels=max_pixels,
            limits=DecodeLimits(),
            on_header=lambda _: None,
        )
    return LinearFile(path, *size)


def same(one: Picture, other: Picture) -> None:
    np.testing.assert_array_equal(one.rgb, other.rgb)
    assert one.source == other.source
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None and other.alpha is not None:
        np.testing.assert_array_equal(one.alpha, other.alpha)


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_rows, "BAND_BYTES", BAND)


def count_of_bands(data: bytes, folder: Path) -> int:
    path = folder / "counted"
    path.write_bytes(data)
    with path.open("rb") as stream:
        _, info = header_of(stream)
        if not read_rows.can_stream(info):
            return 0
        with read_rows._streamed(stream, info) as bands:
            return 0 if bands is None else sum(1 for _ in bands)


@pytest.mark.sample(9)
@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("data", IN_BANDS.values(), ids=IN_BANDS)
def test_bands_are_the_picture_to_the_last_bit(data: bytes, tmp_path: Path) -> None:
    same(laid_out(data, tmp_path).whole(), read_picture(data))


@pytest.mark.sample(9)
@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("name", IN_BANDS)
def test_these_really_come_in_bands(name: str, tmp_path: Path) -> None:
    assert count_of_bands(IN_BANDS[name], tmp_path) > (0 if "one large tile" in name else 1)


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_other_layouts_are_decoded_at_once_and_the_same(data: bytes, tmp_path: Path) -> None:
    assert count_of_bands(data, tmp_path) == 0
    same(laid_out(data, tmp_path).whole(), read_picture(data))


def turned(kind: str, orientation: int) -> bytes:
    tag = (274, 3, 1, orientation, True)
    return {
        "jpeg": lambda: pillow(SMOOTH, "JPEG", exif=exif(orientation), dpi=(300, 150)),
        "png": lambda: pillow(RGBA, "PNG", exif=exif(orientation)),
        "tiff": lambda: tiff(LIGHT, extrasamples=["assocalpha"], extratags=[tag], **RGB_TIFF),
        "webp": lambda: pillow(RGBA, "WEBP", exif=exif(orientation), lossless=True),
    }[kind]()


@pytest.mark.sample(8)
@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
def test_pictures_are_upright(kind: str, orientation: int, tmp_path: Path) -> None:
    data = turned(kind, orientation)
    file = laid_out(data, tmp_path)
    same(file.whole(), read_picture(data))
    assert (file.width < file.height) == (orientation > 4)


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["jpeg", "png alpha", "tiff tiles", "exr tiles", "webp", "exr window"])
def test_the_decoding_process_makes_the_same_file(name: str, tmp_path: Path) -> None:
    data = {**IN_BANDS, **WHOLE}[name]
    (tmp_path / "picture").write_bytes(data)
    for source in (data, tmp_path / "picture"):
        same(decode_to_file(source, tmp_path / "linear", max_pixels=10**6).whole(), read_picture(data))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linear", "picture"]


@settings(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("alpha", [False, True])
def test_any_region_can_be_read(alpha: bool, data: st.DataObject, tmp_path: Path) -> None:
    data_of_file = png(RGBA if alpha else RGB)
    laid, whole = laid_out(data_of_file, tmp_path), read_picture(data_of_file)
    top, left = data.draw(st.integers(0, 39)), data.draw(st.integers(0, 49))
    bottom, right = data.draw(st.integers(top + 1, 40)), data.draw(st.integers(left + 1, 50))
    part = laid.region(top, bottom, left, right)
    np.testing.assert_array_equal(part.rgb, whole.rgb[top:bottom, left:right])
    if part.alpha is not None and whole.alpha is not None:
        np.testing.assert_array_equal(part.alpha, whole.alpha[top:bottom, left:right])
    assert (part.alpha is not None) == alpha


def test_a_file_that_was_cut_off_is_told(tmp_path: Path) -> None:
    laid = laid_out(png(RGB), tmp_path)
    with laid.path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(PictureError, match="is shorter than it was"):
        laid.whole()


# Damage


def refused(data: bytes, folder: Path) -> str:
    with pytest.raises(PictureError) as caught:
        decode_to_file(data, folder / "linear", max_pixels=10**6)
    assert list(folder.iterdir()) == []
    text = str(caught.value)
    assert text.startswith("the data ")
    assert "\n" not in text
    assert "/proc/" not in text
    return text


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("jpeg progressive", 0.9),
        ("png", 0.3),
        ("tiff tiles", 0.9),
        ("exr alpha", 0.3),
        ("webp", 0.9),
        ("gif", 0.9),
    ],
)
def test_a_truncated_file_leaves_nothing_behind(name: str, share: float, tmp_path: Path) -> None:
    data = {**IN_BANDS, **WHOLE}[name]
    refused(data[: int(share * len(data))], tmp_path)


def outcome(read: Callable[[], Picture]) -> Picture | None:
    try:
        return read()
    except PictureError:
        return None


@pytest.mark.sample(9)
@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("name", IN_BANDS)
def test_where_the_file_is_cut_off_does_not_matter(name: str, tmp_path: Path) -> None:
    data = IN_BANDS[name]
    for share in (0.1, 0.5, 0.9):
        cut = data[: int(share * len(data))]
        expected, found = (
            outcome(lambda: read_picture(cut)),  # noqa: B023
            outcome(lambda: laid_out(cut, tmp_path).whole()),  # noqa: B023
        )
        assert (found is None) == (expected is None)


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("name", ["png 16", "tiff tiles", "tiff float", "exr half", "jpeg"])
def test_damage_never_shows_other_pixels_than_the_decoder(name: str, tmp_path: Path) -> None:
    data, random = IN_BANDS[name], np.random.default_rng(3)
    for place in random.integers(len(data) // 4, len(data), 12):
        harmed = bytearray(data)
        harmed[place] ^= int(random.integers(1, 256))
        found = outcome(lambda: laid_out(bytes(harmed), tmp_path).whole())  # noqa: B023
        if found is not None:
            same(found, read_picture(bytes(harmed)))


def test_no_picture_at_all(tmp_path: Path) -> None:
    refused(b"hello", tmp_path)
    with pytest.raises(PictureError, match="does not exist"):
        decode_to_file(tmp_path / "none.png", tmp_path / "linear", max_pixels=100)


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"cannot be written: No such file or directory$"):
        decode_to_file(png(RGB), tmp_path / "none" / "linear", max_pixels=10**6)


# Limits


def test_exactly_the_largest_picture_is_read_with_all_that_is_said_of_it(tmp_path: Path) -> None:
    data = pillow(RGBA, "PNG", exif=exif(1, adobe=True), dpi=(300, 300))
    same(decode_to_file(data, tmp_path / "linear", max_pixels=2000).whole(), read_picture(data))


@pytest.mark.parametrize("name", ["png", "webp"])
@pytest.mark.parametrize("max_pixels", [1, 1999])
def test_one_pixel_more_is_too_large(name: str, max_pixels: int, tmp_path: Path) -> None:
    data = {"png": png(RGB), "webp": pillow(RGB, "WEBP")}[name]
    with pytest.raises(PictureTooLargeError, match=r"has 2,000 pixels \(50 × 40\), the limit is ") as caught:
        decode_to_file(data, tmp_path / "linear", max_pixels=max_pixels)
    assert str(caught.value).endswith(f"{max_pixels:,}")
    assert list(tmp_path.iterdir()) == []


def test_only_what_comes_in_bands_may_be_larger_than_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_rows, "MAX_WHOLE_PIXELS", 1999)
    assert laid_out(IN_BANDS["png"], tmp_path).width == 50
    for data in (pillow(RGB, "WEBP"), WHOLE["tiff palette"], WHOLE["tiff double"]):
        with pytest.raises(PictureTooLargeError, match=r"the limit is 1,999 for its layout"):
            laid_out(data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_large_picture_needs_little_memory(kind: str, tmp_path: Path) -> None:
    """300 MB of floats in 160 MB."""
    large = Image.fromarray(noise(40, 40)).resize((5000, 5000), Image.Resampling.BILINEAR)
    (tmp_path / "large").write_bytes(
        pillow(large, kind.upper(), **({"compress_level": 1} if kind == "png" else {}))
    )
    limits = DecodeLimits(memory_bytes=160 * 10**6)
    file = decode_to_file(tmp_path / "large", tmp_path / "linear", max_pixels=10**8, limits=limits)
    assert (file.width, file.height) == (5000, 5000)
    assert file.region(4990, 5000, 0, 5000).rgb.max() > 0


@pytest.mark.slow
def test_lack_of_memory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(pillow(Image.new("RGB", (3000, 3000)), "PNG"))
    limits = DecodeLimits(memory_bytes=60_000_000)
    with pytest.raises(PictureError, match=r"^large cannot be read: decoding it needed more than 60 MB$"):
        decode_to_file(tmp_path / "large", tmp_path / "linear", max_pixels=10**8, limits=limits)
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


# Values and disk


@pytest.mark.usefixtures("small_bands")
@pytest.mark.parametrize("kind", ["exr", "tiff"])
def test_values_that_are_not_finite_are_repaired_and_told_once(kind: str, tmp_path: Path) -> None:
    light = LIGHT[..., :3].copy()
    light[3, 4, 0], light[20, 5], light[39, 49, 2] = np.nan, np.nan, np.inf
    file = laid_out(exr(planes(light)) if kind == "exr" else tiff(light, **RGB_TIFF), tmp_path)
    picture = file.whole()
    assert np.isfinite(picture.rgb).all()
    assert picture.source.notices == ("repaired: 3 pixels with NaN or infinite values",)
    assert picture.rgb[3, 4, 0] == 0.0
    untouched = np.isfinite(light)
    np.testing.assert_array_equal(picture.rgb[untouched], light[untouched])


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from pathlib import Path
from luxscaler.errors import PictureError
from luxscaler.isolation.pool import decode_to_file
try:
    decode_to_file(Path(sys.argv[1]), Path(sys.argv[2]), max_pixels=10**6)
except PictureError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(RGB))
    arguments = [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.png"), str(tmp_path / "linear")]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "a.png cannot be stored on disk: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_full_disk_is_told_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(linear_file, "_reserve", full)
    monkeypatch.setattr(linear_file, "read_bands", None)
    with pytest.raises(OSError, match="No space left on device"):
        laid_out(png(RGB), tmp_path)
