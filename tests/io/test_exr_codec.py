"""EXR: the codec that fits the samples, and the bound of what half floats lose."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.color import decode_srgb
from luxscaler.io.exr.codec import WORTH, zipped_share
from luxscaler.io.exr.write import write_exr
from luxscaler.io.float_rounding import to_half
from luxscaler.io.frame import Frame
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export, open_stream
from luxscaler.picture import HALF_MAX, FloatArray


def computed(height: int, width: int) -> FloatArray:
    """As a network leaves it: no two samples alike."""
    rng = np.random.default_rng(1)
    return (0.5 + 0.1 * rng.standard_normal((height, width, 3))).astype(np.float32)


def drawing(height: int, width: int) -> FloatArray:
    """Light of 8-bit codes, with even areas."""
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (-(-height // 24), -(-width // 24), 3)) / 255
    blocks = np.repeat(np.repeat(coarse, 24, 0), 24, 1)[:height, :width]
    return np.asarray(decode_srgb(blocks), np.float32)


def codec_of(path: Path) -> object:
    with OpenEXR.File(str(path), header_only=True) as file:
        return file.header()["compression"]


def zip_size(tmp_path: Path, rgb: FloatArray) -> float:
    """What OpenEXR's own ZIP makes of it / its bytes."""
    path = tmp_path / "zip.exr"
    write_exr(path, Frame(rgb, None, 1.0, ExportOptions(exr_compression="zip"), {}))
    return path.stat().st_size / rgb.nbytes


@pytest.mark.parametrize("make", [computed, drawing])
def test_the_look_at_some_blocks_foretells_what_zip_makes_of_all(tmp_path: Path, make: object) -> None:
    rgb = make(400, 600)  # type: ignore[operator]
    assert zipped_share(rgb) == pytest.approx(zip_size(tmp_path, rgb), abs=0.06)


def test_auto_takes_zip_where_it_pays_and_nothing_where_it_does_not(tmp_path: Path) -> None:
    for make, codec in ((computed, OpenEXR.NO_COMPRESSION), (drawing, OpenEXR.ZIP_COMPRESSION)):
        rgb = make(200, 300)
        assert (zip_size(tmp_path, rgb) <= WORTH) == (codec == OpenEXR.ZIP_COMPRESSION)
        export(tmp_path / "whole.exr", rgb)
        with open_stream(tmp_path / "rows.exr", 300, 200) as writer:
            writer.write(rgb)
        assert codec_of(tmp_path / "whole.exr") == codec_of(tmp_path / "rows.exr") == codec


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 400), (400, 1), (16, 256), (17, 5)])
def test_pictures_smaller_than_a_block_are_looked_at_too(height: int, width: int) -> None:
    assert 0.0 < zipped_share(computed(height, width)) < 20.0
    assert zipped_share(np.zeros((height, width, 4), np.float32)) > 0.0


@given(st.floats(-HALF_MAX, HALF_MAX, width=32))
def test_half_floats_keep_to_the_bound_that_is_stated(value: float) -> None:
    kept = float(to_half(np.array([value], np.float32))[0])
    bound = 2.0**-11 * abs(value) if abs(value) >= 2.0**-14 else 2.0**-25
    assert abs(kept - value) <= bound


def test_half_floats_clip_where_the_documents_say() -> None:
    assert to_half(np.array([1e9, -1e9], np.float32)).tolist() == [HALF_MAX, -HALF_MAX]
