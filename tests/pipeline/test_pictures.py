"""The boost mask of a request: grey pictures of every depth, and one line for what is none."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from luxscaler.errors import InputError, PictureError
from luxscaler.geometry import TileBox
from luxscaler.picture import Picture
from luxscaler.pipeline.pictures import mask_of, read_mask
from luxscaler.pipeline.request import UpscaleRequest


def _request(mask: object, **changes: object) -> UpscaleRequest:
    values: dict[str, object] = {"hdr_boost": 4.0, "decode_limits": None, **changes}
    return UpscaleRequest(b"", boost_mask=mask, **values)  # type: ignore[arg-type]


def test_no_mask() -> None:
    assert read_mask(_request(None)) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_code_values_are_the_shares(dtype: type[np.unsignedinteger], tmp_path: Path) -> None:
    top = np.iinfo(dtype).max
    codes = np.array([[0, 1, top // 2, top - 1, top]], dtype)
    Image.fromarray(codes).save(tmp_path / "mask.png")
    mask = read_mask(_request(tmp_path / "mask.png"))
    assert mask is not None
    np.testing.assert_allclose(mask.numpy(), codes / np.float32(top), atol=1e-5)
    assert (float(mask[0, 0]), float(mask[0, -1])) == (0.0, 1.0)


def test_floats_are_the_shares_themselves() -> None:
    shares = np.array([[0.0, 0.25, 1.0]], np.float32)
    np.testing.assert_array_equal(mask_of(Picture.from_array(shares)).numpy(), shares)


def test_grey_of_a_jpeg_is_grey(tmp_path: Path) -> None:
    codes = np.tile(np.linspace(0, 255, 64, dtype=np.uint8), (32, 1))
    Image.fromarray(codes).convert("RGB").save(tmp_path / "mask.jpg", quality=90)
    mask = read_mask(_request(tmp_path / "mask.jpg"))
    assert mask is not None
    np.testing.assert_allclose(mask.numpy(), codes / np.float32(255), atol=0.03)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[[255, 0, 0]]], np.uint8), "boost_mask is coloured, by 255 of 255 code values"),
        (np.array([[[9, 9, 9, 128]]], np.uint8), "boost_mask has transparent pixels"),
        (np.array([[0.0, 1.5]], np.float32), "boost_mask has values from 0 to 1.5; it must have 0 to 1"),
        (np.array([[-0.5, 1.0]], np.float32), "boost_mask has values from -0.5 to 1"),
    ],
)
def test_what_is_no_mask(array: NDArray[np.generic], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        mask_of(Picture.from_array(array))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"boost_mask: .*absent\.png does not exist"):
        read_mask(_request(tmp_path / "absent.png"))


def test_a_mask_needs_a_boost_and_a_place() -> None:
    with pytest.raises(InputError, match="hdr_boost is 1: give more than 1"):
        _request(b"", hdr_boost=1.0)
    with pytest.raises(InputError, match="by tile_box"):
        _request(b"", reference=b"")
    _request(b"", reference=b"", box=TileBox(0, 0, 0.5, 1))
