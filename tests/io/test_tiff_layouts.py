"""TIFF in every layout: the samples are the same, at once and in bands, whatever their order on disk."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import decode_to_file
from tests.support.picture_files import noise, srgb, tiff

DEEP = noise(37, 50, bits=16)
LIGHT = DEEP.astype(np.float32) / 16384 - 1
SAMPLES: dict[str, NDArray[Any]] = {
    "uint8": (DEEP >> 8).astype(np.uint8),
    "uint16": DEEP,
    "uint32": DEEP.astype(np.uint32) * 65537,
    "float16": LIGHT.astype(np.float16),
    "float32": LIGHT,
    "float64": LIGHT.astype(np.float64),
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "planes": {"planarconfig": "separate"},
    "planes of tiles": {"planarconfig": "separate", "tile": (16, 16)},
    "packbits": {"compression": "packbits"},
    "predictor 2": {"compression": "lzw", "predictor": 2},
    "predictor 2, zstd": {"compression": "zstd", "predictor": 2},
    "predictor 3": {"compression": "zlib", "predictor": 3},
    "predictor 3 in planes": {"compression": "zlib", "predictor": 3, "planarconfig": "separate"},
    "predictor 3 in tiles": {"compression": "zlib", "predictor": 3, "tile": (16, 16)},
}


def _fits(kind: str, layout: str) -> bool:
    """Predictor 2 is of integers, predictor 3 of floats."""
    predictor = LAYOUTS[layout].get("predictor")
    return predictor is None or (predictor == 3) == kind.startswith("float")


CASES = [(kind, layout) for kind in SAMPLES for layout in LAYOUTS if _fits(kind, layout)]


@pytest.mark.sample(6)
@pytest.mark.parametrize(("kind", "layout"), CASES)
@pytest.mark.parametrize("big", [False, True], ids=["", "BigTIFF"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_samples_do_not_depend_on_their_layout(
    kind: str, layout: str, big: bool, order: str, tmp_path: Path
) -> None:
    samples, options = SAMPLES[kind], LAYOUTS[layout]
    stored = np.moveaxis(samples, -1, 0) if "planarconfig" in options else samples
    data = tiff(stored, photometric="rgb", byteorder=order, bigtiff=big, **options)
    whole = read_picture(data)
    is_float = samples.dtype.kind == "f"
    expected = samples.astype(np.float32) if is_float else srgb(samples / np.iinfo(samples.dtype).max)
    np.testing.assert_allclose(whole.rgb, expected, rtol=1e-6, atol=1e-6)
    assert (read_header(data).bits, read_header(data).is_float) == (samples.dtype.itemsize * 8, is_float)
    laid = decode_to_file(data, tmp_path / "laid", max_pixels=10**6).whole()
    np.testing.assert_array_equal(laid.rgb, whole.rgb)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "float16", "float32"])
def test_white_is_zero_in_every_depth(kind: str, order: str) -> None:
    grey = SAMPLES[kind][..., 0]
    is_float = grey.dtype.kind == "f"
    picture = read_picture(tiff(grey, photometric="miniswhite", byteorder=order))
    top = 1 if is_float else np.iinfo(grey.dtype).max
    share = 1 - grey.astype(np.float64) / top
    expected = share if is_float else srgb(share)
    np.testing.assert_allclose(picture.rgb, expected[..., None] * np.ones(3), rtol=1e-5, atol=1e-6)
    assert picture.source.is_grey


@pytest.mark.parametrize("color", ["rgb", "ycbcr 1 1", "ycbcr 2 1", "ycbcr 2 2", "minisblack"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 16}, {"tile": (32, 32)}])
def test_jpeg_in_tiff_is_what_libtiff_says(color: str, layout: dict[str, Any], tmp_path: Path) -> None:
    smooth = np.kron(SAMPLES["uint8"][:5, :7], np.ones((9, 8, 1), np.uint8))
    smooth = smooth[..., 0].copy() if color == "minisblack" else smooth
    name, *steps = color.split()
    options: dict[str, Any] = {"subsampling": tuple(map(int, steps))} if steps else {}
    data = tiff(smooth, photometric=name, compression="jpeg", **options, **layout)
    path = tmp_path / "seen.tif"
    path.write_bytes(data)
    seen = np.asarray(Image.open(path)).reshape(45, 56, -1)
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, srgb(seen / 255) * np.ones(3), atol=1e-6)
    assert picture.source.is_grey == (color == "minisblack")


def test_jpeg_of_12_bits_in_tiff() -> None:
    down, across = np.mgrid[0:45, 0:56]
    ramps = np.stack([across * 73, down * 90, (down + across) * 40], axis=-1).astype(np.uint16)
    options = {"compression": "jpeg", "compressionargs": {"bitspersample": 12, "level": 100}}
    data = tiff(ramps, photometric="rgb", **options)
    np.testing.assert_allclose(read_picture(data).rgb, srgb(ramps / 4095), atol=0.03)
    assert read_header(data).bits == 12
