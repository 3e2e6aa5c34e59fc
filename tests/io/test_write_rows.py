"""Pictures written row by row: the same as `export` writes, seen by readers that are not ours.

EXR by OpenEXR (OpenImageIO wrote it), TIFF by tifffile, OpenCV and OpenImageIO, PNG byte by byte and by
OpenCV, OpenImageIO, imagecodecs and Pillow.
"""

import json
import struct
import tempfile
import zlib
from itertools import repeat
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import hdr_exporter
from luxscaler.io import frame
from luxscaler.io.exr import write_rows
from luxscaler.io.formats import STREAM_FORMATS
from luxscaler.io.options import EXR_COMPRESSIONS, ExportOptions
from luxscaler.io.png.write_rows import _joined_adler
from luxscaler.io.write import export
from tests.support.examples import examples
from tests.support.streamed import (
    ABOUT,
    METADATA,
    OPTIONS,
    SAME,
    SUFFIX,
    both,
    chunks,
    exr,
    names,
    picture,
    png_samples,
    png_samples_by_opencv,
    stream,
)


def test_the_formats_that_can_be_streamed() -> None:
    assert set(STREAM_FORMATS) == set(SAME)
    assert set(STREAM_FORMATS) <= set(hdr_exporter.FORMATS)


options = st.builds(
    ExportOptions,
    exr_type=st.sampled_from(["float", "half"]),
    exr_compression=st.sampled_from(EXR_COMPRESSIONS),
    exr_tile=st.sampled_from([0, 16, 33, 64]),
    mantissa_bits=st.sampled_from([8, 12, 23]),
    sdr_peak=st.sampled_from([0.5, 1.0, 7.5]),
    estimated_range=st.booleans(),
)


def split_into_bands(data: st.DataObject, name: str, chosen: ExportOptions) -> None:
    height, width = data.draw(st.integers(1, 150)), data.draw(st.integers(1, 70))
    made = picture(height, width, data.draw(st.booleans()), seed=height)
    about = ABOUT if data.draw(st.booleans()) else {}
    rows, whole = "rows" + SUFFIX[name], "whole" + SUFFIX[name]
    splits = iter(lambda: data.draw(st.integers(1, 40)), 0)
    with tempfile.TemporaryDirectory() as folder:
        stream(Path(folder, rows), made, splits, file_format=name, options=chosen, **about)
        export(Path(folder, whole), *made, file_format=name, options=chosen, **about)
        SAME[name](Path(folder, whole), Path(folder, rows))
        assert names(Path(folder)) == [rows, whole]


any_format = st.sampled_from(STREAM_FORMATS)


@given(st.data(), any_format, options)
@settings(max_examples=examples(25))
def test_any_split_into_bands_gives_what_export_writes(
    data: st.DataObject, name: str, chosen: ExportOptions
) -> None:
    split_into_bands(data, name, chosen)


@pytest.mark.slow
@given(st.data(), any_format, options)
@settings(max_examples=examples(400))
def test_many_splits_into_bands(data: st.DataObject, name: str, chosen: ExportOptions) -> None:
    split_into_bands(data, name, chosen)


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small picture has many of them."""
    monkeypatch.setattr(frame, "_BAND_PIXELS", 1 << 12)
    monkeypatch.setattr(write_rows, "_BAND_BYTES", 1 << 18)


@pytest.mark.sample(2)
@pytest.mark.parametrize("with_alpha", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", STREAM_FORMATS)
def test_pictures_of_many_bands_are_the_same_too(
    tmp_path: Path, name: str, with_alpha: bool, small_bands: None
) -> None:
    """600 × 300: several tiles, bands of every format and, of PNG, more than are in flight."""
    assert 600 // frame.rows_of_a_band(300) > 2 * frame.THREADS
    SAME[name](*both(tmp_path, picture(600, 300, with_alpha), name, options=OPTIONS, **ABOUT))


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize("tile", [0, 64])
def test_a_band_of_exr_need_not_be_the_whole_picture(tmp_path: Path, tile: int, small_bands: None) -> None:
    chosen = ExportOptions(exr_tile=tile, exr_compression="dwaa")
    made = picture(400, 300, True)
    SAME["exr"](*both(tmp_path, made, "exr", options=chosen))


def test_light_levels_are_those_of_export_to_the_last_bit(tmp_path: Path, small_bands: None) -> None:
    for seed in range(5):
        whole, rows = both(tmp_path, picture(300, 201, False, seed), "png-pq")
        levels = [dict(chunks(path))[b"cLLI"] for path in (whole, rows)]
        assert levels[0] == levels[1]
        assert struct.unpack(">2I", levels[1])[1] > 0


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", STREAM_FORMATS)
def test_the_same_picture_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    """Whatever the bands; that EXR has no date of its own is tested below."""
    made = picture(300, 200, True)
    seen = set()
    for rows in (1, 64, 300):
        path = tmp_path / f"{rows}{SUFFIX[name]}"
        stream(path, made, repeat(rows), file_format=name, options=OPTIONS, metadata=METADATA)
        seen.add(path.read_bytes())
    assert len(seen) == 1


def test_text_that_openimageio_drops_from_exr(tmp_path: Path) -> None:
    """The one difference of the headers: attributes without text. And no date of its own."""
    whole, rows = both(tmp_path, picture(4, 4, False), "exr", metadata={"empty": "", "full": "x"})
    missing = set(exr(whole)[0]) - set(exr(rows)[0])
    assert missing == {"luxscaler:empty"}
    assert "capDate" not in exr(rows)[0]


def test_joined_checksums() -> None:
    rng = np.random.default_rng(1)
    for first, second in [(0, 0), (1, 0), (0, 7), (70_000, 1), (65_521, 131_072)]:
        one, other = rng.bytes(first), rng.bytes(second)
        assert _joined_adler(zlib.adler32(one), zlib.adler32(other), second) == zlib.adler32(one + other)


# Other readers.


def test_openexr_reads_the_exr_premultiplied(tmp_path: Path) -> None:
    rgb, alpha = picture(300, 200, True)
    stream(tmp_path / "a.exr", (rgb, alpha), options=ExportOptions(exr_tile=64))
    assert alpha is not None
    premultiplied = np.dstack([rgb * alpha[..., None], alpha])
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert file.channels()["RGBA"].pixels.tobytes() == premultiplied.tobytes()
        assert OpenEXR.checkColorMetadata(file.header()) == 0


@pytest.mark.parametrize("bits", [12, 23])
def test_three_readers_read_the_tiff_bit_for_bit(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "a.tif"
    rgb, _ = picture(300, 600, False)
    stream(path, (rgb, None), options=ExportOptions(mantissa_bits=bits))
    by_tifffile = tifffile.imread(path)
    assert np.abs(by_tifffile / rgb - 1).max() <= 2.0 ** -(bits + 1)
    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert by_opencv is not None
    file = oiio.ImageInput.open(str(path))
    assert file
    by_oiio = np.asarray(file.read_image("float"))
    assert (file.spec().tile_width, file.spec().tile_height) == (256, 256)
    assert by_opencv[..., ::-1].tobytes() == by_tifffile.tobytes() == by_oiio.tobytes()


@pytest.mark.parametrize("name", ["png", "png-pq"])
def test_three_readers_read_the_png(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.png"
    stream(path, picture(300, 200, True), file_format=name, options=OPTIONS, **ABOUT)
    samples = png_samples(path)
    np.testing.assert_array_equal(png_samples_by_opencv(path), samples)
    np.testing.assert_array_equal(imagecodecs.png_decode(path.read_bytes()), samples)
    hint = oiio.ImageSpec()
    hint.attribute("oiio:UnassociatedAlpha", 1)
    file = oiio.ImageInput.open(str(path), hint)
    assert file
    np.testing.assert_array_equal(np.asarray(file.read_image("uint16")), samples)
    with Image.open(path) as image:  # 8 of the bits
        image.load()
        assert image.size == (200, 300)
        assert "luxscaler" in json.loads(image.info["Comment"])
    names = [kind for kind, _ in chunks(path)]
    assert names[:2] == [b"IHDR", b"cICP"]
    assert names[-2:] == [b"IDAT", b"IEND"]
    assert names.index(b"IDAT") > names.index(b"eXIf")
