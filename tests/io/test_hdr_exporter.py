"""The exporter against readers that are not ours: OpenEXR, OpenImageIO, OpenCV, Pillow, tifffile."""

import io
import json
import resource
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms

import hdr_exporter
from luxscaler.errors import ExportError
from luxscaler.io import write
from luxscaler.io.formats import FORMATS
from luxscaler.io.options import ExportOptions
from luxscaler.io.sdr import KNEE, tone_map
from luxscaler.io.tiff import write as tiff
from luxscaler.io.write import export

FloatArray = NDArray[np.float32]
METADATA: dict[str, str | float | int] = {
    "hdr_boost": 1.5,
    "model": "photo – ü",
    "seed": 7,
    "job": 2**31,
    "low": -(2**31) - 1,
}
EXPANDED = ExportOptions(estimated_range=True, software="LuxScaler 0.1.0")


@pytest.fixture
def rgb() -> FloatArray:
    """37 × 53 values as a master may hold them: noise, above 1, below 0, denormal, largest, minus zero."""
    values = np.random.default_rng(1).normal(0.5, 0.6, (37, 53, 3)).astype(np.float32)
    values[0, :7, 0] = np.array([1e-45, -1e-40, 49.0, -3.5, 3.4028235e38, -0.0, 70000.0], np.float32)
    return values


@pytest.fixture
def alpha() -> FloatArray:
    values = np.random.default_rng(2).random((37, 53), dtype=np.float32)
    values[0, :2] = [0, 1]
    return values


def same_bits(got: NDArray[Any], expected: FloatArray) -> bool:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    return bool((got.view(np.uint32) == expected.view(np.uint32)).all())


def read_oiio(path: Path) -> tuple[FloatArray, dict[str, Any]]:
    hint = oiio.ImageSpec()
    hint.attribute("oiio:UnassociatedAlpha", 1)  # or OpenImageIO premultiplies what it reads
    file = oiio.ImageInput.open(str(path), hint)
    assert file, oiio.geterror()
    spec = file.spec()
    pixels = file.read_image("float")
    file.close()
    assert pixels is not None
    return pixels, {item.name: item.value for item in spec.extra_attribs}


def read_cv2(path: Path) -> NDArray[Any]:
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.ascontiguousarray(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]])


def decode_srgb(code: NDArray[np.float64], top: int) -> FloatArray:
    coded = code / top
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def grey(levels: NDArray[Any] | list[float]) -> NDArray[np.float64]:
    return np.repeat(np.asarray(levels, np.float64).reshape(1, -1, 1), 3, axis=2)


# Masters: every bit arrives.


def test_exr_round_trip_is_bit_exact(tmp_path: Path, rgb: FloatArray) -> None:
    path = tmp_path / "a.exr"
    export(path, rgb)
    with OpenEXR.File(str(path)) as file:
        assert same_bits(file.channels()["RGB"].pixels, rgb)
    assert same_bits(read_oiio(path)[0], rgb)


def test_exr_alpha_premultiplies(tmp_path: Path, rgb: FloatArray, alpha: FloatArray) -> None:
    path = tmp_path / "a.exr"
    export(path, rgb, alpha)
    with OpenEXR.File(str(path)) as file:
        pixels = file.channels()["RGBA"].pixels
    assert same_bits(pixels, np.dstack([rgb * alpha[..., None], alpha]))
    assert same_bits(read_oiio(path)[0], pixels)


def test_exr_says_what_it_is(tmp_path: Path, rgb: FloatArray) -> None:
    path = tmp_path / "a.exr"
    export(path, rgb, options=EXPANDED, metadata=METADATA)
    with OpenEXR.File(str(path)) as file:
        header = file.header()  # empty once the file is closed
        assert OpenEXR.checkColorMetadata(header) == 0
        assert header["compression"] == OpenEXR.NO_COMPRESSION  # these samples are noise
        assert header["type"] == OpenEXR.scanlineimage
    seen = read_oiio(path)[1]
    assert seen["chromaticities"] == pytest.approx((0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290))
    assert seen["whiteLuminance"] == 203.0
    assert seen["colorInteropID"] == "lin_rec709_scene"
    assert seen["software"] == "LuxScaler 0.1.0"
    assert "estimated" in seen["ImageDescription"]  # OpenImageIO's name of `comments`
    assert seen["luxscaler:hdr_boost"] == 1.5
    assert seen["luxscaler:model"] == "photo – ü"
    assert seen["luxscaler:seed"] == 7
    assert seen["luxscaler:job"] == "2147483648"  # does not fit EXR's integers
    assert seen["luxscaler:low"] == "-2147483649"


@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_tiff_round_trip_is_bit_exact(
    tmp_path: Path, rgb: FloatArray, alpha: FloatArray, with_alpha: bool, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    export(path, rgb, alpha if with_alpha else None)
    expected = np.dstack([rgb, alpha]) if with_alpha else rgb
    assert same_bits(read_oiio(path)[0], expected)
    assert same_bits(read_cv2(path), expected)


def test_tiff_says_what_it_is(tmp_path: Path, rgb: FloatArray, alpha: FloatArray) -> None:
    path = tmp_path / "a.tiff"
    export(path, rgb, alpha, options=EXPANDED, metadata=METADATA)
    with tifffile.TiffFile(path) as file:
        assert not file.is_bigtiff
        page = file.pages.first
        assert page.extrasamples == (tifffile.EXTRASAMPLE.UNASSALPHA,)
        assert (page.compression, page.predictor) == (tifffile.COMPRESSION.ADOBE_DEFLATE, 3)
        assert page.tags["Software"].value == "LuxScaler 0.1.0"
        assert [tag.code for tag in page.tags].count(270) == 1  # one ImageDescription: ours
        notes = json.loads(page.description)
        icc = page.tags["InterColorProfile"].value
    assert notes == {"comments": hdr_exporter.ESTIMATED_RANGE_COMMENT, "luxscaler": METADATA}
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    # Rec.709 red adapted to D50, as in the ICC's own sRGB profile; the date is fixed: same input, same bytes.
    assert profile.profile.red_primary[0] == pytest.approx((0.4360, 0.2225, 0.0139), abs=1e-4)  # type: ignore[index]
    assert struct.unpack(">6H", icc[24:36]) == (2000, 1, 1, 0, 0, 0)
    to_srgb = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    assert to_srgb is not None
    converted = ImageCms.applyTransform(Image.new("RGB", (1, 1), (55, 55, 55)), to_srgb)
    assert converted is not None
    assert abs(np.asarray(converted)[0, 0].astype(int) - 128).max() <= 1  # linear 0.2157 is sRGB 128


def test_tiff_turns_big_by_itself(tmp_path: Path, rgb: FloatArray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "CLASSIC_BYTES", rgb.nbytes - 1)
    export(tmp_path / "a.tif", rgb)
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    assert same_bits(read_cv2(tmp_path / "a.tif"), rgb)


# SDR pictures.


def test_png_keeps_all_65536_codes(tmp_path: Path) -> None:
    codes = np.arange(65536).reshape(256, 256)
    codes = np.dstack([codes, codes[::-1], codes.T])
    export(tmp_path / "a.png", decode_srgb(codes.astype(np.float64), 65535))
    read = read_cv2(tmp_path / "a.png")
    assert read.dtype == np.uint16
    assert (read == codes).all()


def test_png_rounds_to_the_nearest_code(tmp_path: Path) -> None:
    codes = np.arange(0, 65535, 3, dtype=np.float64)[None, :, None]
    export(tmp_path / "a.png", decode_srgb(codes + np.array([0.497, 0.503, 0.0]), 65535))
    assert (read_cv2(tmp_path / "a.png") == codes + np.array([0, 1, 0])).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40000), (40000, 1)])
def test_png_odd_shapes_and_straight_alpha(tmp_path: Path, shape: tuple[int, int]) -> None:
    codes = np.random.default_rng(3).integers(0, 65536, (*shape, 4))
    alpha = (codes[..., 3] / 65535).astype(np.float32)
    export(tmp_path / "a.png", decode_srgb(codes[..., :3].astype(np.float64), 65535), alpha)
    assert (read_cv2(tmp_path / "a.png") == codes).all()


def test_png_chunks(tmp_path: Path, rgb: FloatArray) -> None:
    export(tmp_path / "a.png", rgb, options=EXPANDED, metadata=METADATA)
    data = (tmp_path / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(body)
        chunks.append((body[:4], body[4:]))
        at += 12 + length
    kinds = [kind for kind, _ in chunks]
    assert kinds[:6] == [b"IHDR", b"cICP", b"sRGB", b"tEXt", b"tEXt", b"IDAT"]
    assert kinds[-1] == b"IEND"
    assert chunks[0][1] == struct.pack(">2I5B", 53, 37, 16, 2, 0, 0, 0)
    assert chunks[1][1] == bytes([1, 13, 0, 1])
    assert chunks[2][1] == b"\0"
    assert chunks[3][1] == b"Software\0LuxScaler 0.1.0"
    keyword, text = chunks[4][1].split(b"\0")
    assert keyword == b"Comment"
    assert json.loads(text)["luxscaler"] == METADATA
    assert "estimated" in json.loads(text)["comments"]


def test_webp_is_close_and_smaller_at_lower_quality(tmp_path: Path) -> None:
    y, x = np.mgrid[0:200, 0:300] / 300
    codes = 255 * np.dstack([x, y, 0.5 + 0.4 * np.sin(9 * x) * np.cos(7 * y)])
    alpha = (x > 0.5).astype(np.float32)
    for quality in (20, 90):
        options = ExportOptions(webp_quality=quality)
        export(tmp_path / f"{quality}.webp", decode_srgb(codes, 255), alpha, options=options)
    with Image.open(tmp_path / "90.webp") as image:
        assert (image.format, image.mode, image.size) == ("WEBP", "RGBA", (300, 200))
        pixels = np.asarray(image).astype(np.float64)
        assert json.loads(image.getexif()[0x010E]) == {"luxscaler": {}}
    assert (pixels[..., 3] == 255 * alpha).all()
    error = (pixels[..., :3] - codes)[alpha == 1]
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40
    assert (tmp_path / "20.webp").stat().st_size < (tmp_path / "90.webp").stat().st_size


def test_sdr_rolls_off_highlights_and_clips_negatives(tmp_path: Path) -> None:
    linear = grey([-0.5, 0.0, KNEE, 1.0, 4.0, 8.0]).astype(np.float32)
    export(tmp_path / "a.png", linear)
    codes = read_cv2(tmp_path / "a.png")[0, :, 0]
    assert list(codes[:2]) == [0, 0]
    assert codes[2] == round(65535 * (1.055 * KNEE ** (1 / 2.4) - 0.055))
    assert (np.diff(codes[2:].astype(int)) > 0).all()
    assert codes[5] == 65535


def test_tiles_with_a_common_peak_agree(tmp_path: Path) -> None:
    shared = [0.2, 0.9, 1.5]
    for name, last in (("a", 1.6), ("b", 6.0)):
        tile = grey([*shared, last]).astype(np.float32)
        export(tmp_path / f"{name}.png", tile, options=ExportOptions(sdr_peak=6.0))
    a, b = (read_cv2(tmp_path / f"{name}.png") for name in "ab")
    assert (a[:, :3] == b[:, :3]).all()
    assert b[0, 3, 0] == 65535 > a[0, 3, 0]


# Laws of the tone map.

levels = st.floats(0, 1e6, allow_subnormal=False)
peaks = st.floats(0.01, 1e6)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.floats(0.01, 1))
def test_tone_map_leaves_an_sdr_picture_alone(colour: list[float], peak: float) -> None:
    picture = np.array(colour).reshape(1, 1, 3)
    assert tone_map(picture, peak) is picture


@given(st.floats(0, KNEE), peaks)
def test_tone_map_leaves_what_is_below_the_knee_alone(level: float, peak: float) -> None:
    assert tone_map(grey([level, 1e3]), peak)[0, 0, 0] == level


@given(levels, levels, peaks)
def test_tone_map_is_monotone_and_ends_at_one(one: float, other: float, peak: float) -> None:
    low, high, top = tone_map(grey([min(one, other), max(one, other), max(peak, 1)]), peak)[0, :, 0]
    assert 0 <= low <= high + 1e-12
    assert high <= 1 + 1e-12
    assert top == pytest.approx(1, abs=1e-12)


@given(st.tuples(levels, levels, levels), peaks)
def test_tone_map_keeps_hue_and_never_brightens(colour: tuple[float, float, float], peak: float) -> None:
    before = np.array(colour).reshape(1, 1, 3)
    after = tone_map(before, peak)
    assert np.allclose(after * before.max(), before * after.max(), rtol=1e-12, atol=1e-200)
    assert (after <= before * (1 + 1e-12)).all()


# Files appear whole or not at all, and the same each time.


@pytest.mark.parametrize(
    ("name", "with_alpha"),
    [(name, alpha) for name in FORMATS for alpha in (False, True) if name != "jpg" or not alpha],
)
def test_views_are_written_like_copies(
    tmp_path: Path, rgb: FloatArray, alpha: FloatArray, name: str, with_alpha: bool
) -> None:
    for file, prepare in (("view", np.asarray), ("copy", np.ascontiguousarray)):
        part = prepare(alpha[::2, ::-1]) if with_alpha else None
        export(tmp_path / file, prepare(rgb[::2, ::-1]), part, file_format=name)
    assert (tmp_path / "view").read_bytes() == (tmp_path / "copy").read_bytes()


@contextmanager
def disk_full_after(size: int) -> Iterator[None]:
    """Let the operating system refuse files beyond `size` bytes: a real failure inside the encoder."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a.{name}"
    path.write_bytes(b"old")
    noise = np.random.default_rng(4).random((200, 200, 3), dtype=np.float32)
    with disk_full_after(2000), pytest.raises(ExportError, match=rf"cannot write '.*a\.{name}'.*too large"):
        export(path, noise, file_format=name)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_export_leaves_the_old_file(
    tmp_path: Path, rgb: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, job: object) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(write._WRITERS, "exr", interrupted)
    path = tmp_path / "a.exr"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        export(path, rgb)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", FORMATS)
def test_same_input_same_bytes_whatever_is_replaced(
    tmp_path: Path, rgb: FloatArray, alpha: FloatArray, name: str
) -> None:
    """Also: read-only input, a target that is a link, several writers of one file at once."""
    rgb.setflags(write=False)
    alpha.setflags(write=False)
    real, link = tmp_path / "real", tmp_path / f"link.{name}"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    held = None if name == "jpg" else alpha

    def write(path: Path) -> None:
        export(path, rgb, held, file_format=name, metadata=METADATA)

    with real.open("rb") as reader, ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [link] * 8))
        assert reader.read() == b"old"  # whoever reads the old file keeps it to the end
    assert link.is_symlink()
    write(tmp_path / "again")
    assert real.read_bytes() == (tmp_path / "again").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"real", f"link.{name}", "again"}
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "again").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("Umask:")[1].split()[0], 8)


# Errors: one line, naming what, which value, which limit; no file.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rgb": np.zeros((4, 5), np.float32)}, "rgb.*\\(4, 5\\)"),
        ({"rgb": np.zeros((4, 5, 4), np.float32)}, "rgb.*\\(4, 5, 4\\)"),
        ({"rgb": np.zeros((0, 5, 3), np.float32)}, "rgb.*\\(0, 5, 3\\)"),
        ({"rgb": np.zeros((4, 5, 3), np.float64)}, "rgb.*float64"),
        ({"rgb": np.full((4, 5, 3), np.nan, np.float32)}, "rgb.*60 NaN or infinite of 60"),
        ({"rgb": np.full((4, 5, 3), -np.inf, np.float32)}, "rgb.*60 NaN"),
        ({"alpha": np.zeros((5, 4), np.float32)}, "alpha.*\\(4, 5\\).*\\(5, 4\\)"),
        ({"alpha": np.full((4, 5), 1.5, np.float32)}, "alpha must be 0 to 1, got 1.5"),
        ({"alpha": np.full((4, 5), np.nan, np.float32)}, "alpha.*20 NaN"),
        ({"file_format": "jpeg"}, "'jpeg'; known are webp, png, tiff, tiff16, exr, png-pq, avif, jxl, jpg"),
        ({"path": "a.gif"}, "a.gif' has no suffix of a known format .*exr"),
        ({"path": "a"}, "'a' has no suffix of a known format"),
        ({"sdr": np.ones((5, 4, 3), np.float32)}, "sdr must be \\(4, 5, 3\\).*got \\(5, 4, 3\\)"),
        ({"sdr": np.full((4, 5, 3), np.nan, np.float32)}, "sdr must be finite"),
        ({"path": "a.jpg", "rgb": np.ones((1, 65501, 3), np.float32)}, "JPEG holds at most 65500 pixels"),
        ({"path": "a.avif", "rgb": np.ones((1, 65537, 3), np.float32)}, "AVIF holds at most 65536 pixels"),
        ({"path": "missing/a.exr"}, "missing/a.exr.*No such file or directory"),
        ({"path": "file/a.exr"}, "file/a.exr.*Not a directory"),
        ({"path": "folder.exr"}, "folder.exr.*is a directory"),
        ({"path": "nul\0.exr"}, "null"),
        ({"path": "x" * 300 + ".exr"}, "too long"),
        ({"metadata": {"": 1}}, "metadata name.*''"),
        ({"metadata": {"a b": 1}}, "metadata name.*'a b'"),
        ({"metadata": {"boost": float("nan")}}, "boost.*nan"),
        ({"metadata": {"boost": 1e39}}, "boost.*1e\\+39"),
        ({"metadata": {"text": "\ud800"}}, "surrogates"),
    ],
)
def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("folder.exr").mkdir()
    arguments: dict[str, Any] = {"path": "a.exr", "rgb": np.ones((4, 5, 3), np.float32), **change}
    with pytest.raises(ExportError, match=words) as caught:
        export(**arguments)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.exr"}


@pytest.mark.parametrize("shape", [(16384, 2), (2, 16384)])
def test_webp_size_is_checked_before_any_work(tmp_path: Path, shape: tuple[int, int]) -> None:
    unseen = np.full((*shape, 3), np.nan, np.float32)  # a look at the values would complain of these first
    with pytest.raises(ExportError, match=f"16383 pixels a side, got {shape[1]} × {shape[0]}"):
        export(tmp_path / "a.webp", unseen)
    export(tmp_path / "b.webp", np.zeros((1, 16383, 3), np.float32))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"webp_quality": 101}, "0 to 100, got 101"),
        ({"webp_quality": -1}, "0 to 100, got -1"),
        ({"avif_quality": 101}, "avif_quality must be 0 to 100, got 101"),
        ({"avif_bits": 8}, "avif_bits must be one of 10, 12, got 8"),
        ({"exr_type": "double"}, "exr_type must be one of float, half, got 'double'"),
        ({"exr_compression": "b44"}, "exr_compression must be one of auto, zip, .*got 'b44'"),
        ({"exr_tile": 15}, "exr_tile.* 16 to 4096, got 15"),
        ({"mantissa_bits": 7}, "mantissa_bits must be 8 to 23, got 7"),
        ({"mantissa_bits": 24}, "mantissa_bits must be 8 to 23, got 24"),
        ({"sdr_peak": 0.0}, "above 0.*0.0"),
        ({"sdr_peak": float("nan")}, "finite.*nan"),
        ({"software": "Lüx"}, "ASCII.*Lüx"),
        ({"software": ""}, "ASCII"),
    ],
)
def test_bad_options(option: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        ExportOptions(**option)


@pytest.mark.slow
def test_it_needs_no_pytorch() -> None:
    code = "import sys, hdr_exporter; print({'torch'} & set(sys.modules))"
    root = Path(hdr_exporter.__file__).parent
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
