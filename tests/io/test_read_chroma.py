"""OpenEXR of luminance and chroma, against its closed formulas and OpenCV."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from luxscaler.errors import PictureError
from luxscaler.io.read import read_header, read_picture
from luxscaler.isolation.pool import read_picture_isolated
from tests.support.picture_files import P3, exr_of_chroma, noise

WEIGHTS = {"709": (0.212639, 0.715169, 0.072192), "p3": (0.228975, 0.691739, 0.079287)}
"""Luminance of each primary at D65, to six places."""
D65 = [0.3127, 0.3290]


def split(
    rgb: NDArray[Any], space: str = "709", dtype: Any = np.float32
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Y, RY, BY, the last two at even places only."""
    y = rgb @ np.array(WEIGHTS[space])
    ry, by = (rgb[..., 0] - y) / y, (rgb[..., 2] - y) / y
    return y.astype(dtype), ry[::2, ::2].astype(dtype), by[::2, ::2].astype(dtype)


def one_hue(height: int = 12, width: int = 16) -> NDArray[np.float64]:
    """Light of any strength and one chroma, for which the interpolation does not matter."""
    light = 2.0 ** (noise(height, width, 0) / 32 - 4)
    return np.asarray(light[..., None] * np.array([0.9, 0.4, 0.1]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float16, 5e-3)])
def test_one_hue_comes_back(dtype: Any, tolerance: float) -> None:
    rgb = one_hue()
    data = exr_of_chroma(*split(rgb, dtype=dtype))
    picture = read_picture(data)
    np.testing.assert_allclose(picture.rgb, rgb, rtol=tolerance)
    assert (picture.source.notices, picture.source.is_float) == ((), True)
    header = read_header(data)
    assert (header.channels, header.bits) == (3, np.dtype(dtype).itemsize * 8)
    np.testing.assert_array_equal(read_picture_isolated(data).rgb, picture.rgb)


def test_chroma_is_interpolated_between_its_places() -> None:
    y = np.ones((4, 6), np.float32)
    ry = np.array([[0, 1, 3], [2, 5, -1]], np.float32)
    by = np.zeros((2, 3), np.float32)
    rgb = read_picture(exr_of_chroma(y, ry, by)).rgb
    expected = np.array(
        [[0, 0.5, 1, 2, 3, 3], [1, 2, 3, 2, 1, 1], [2, 3.5, 5, 2, -1, -1], [2, 3.5, 5, 2, -1, -1]]
    )
    np.testing.assert_allclose(rgb[..., 0] - 1, expected, atol=1e-6)
    np.testing.assert_allclose(rgb[..., 2], 1, atol=1e-6)
    np.testing.assert_allclose(rgb @ np.array(WEIGHTS["709"]), 1, atol=1e-5)  # luminance stays


def test_the_weights_follow_the_chromaticities() -> None:
    rgb = one_hue()
    inside = read_picture(exr_of_chroma(*split(rgb, "p3"), chromaticities=[*P3, *D65]))
    to_rec709 = np.array(
        [[1.224940, -0.224940, 0], [-0.042057, 1.042057, 0], [-0.019638, -0.078636, 1.098274]]
    )
    np.testing.assert_allclose(inside.rgb, rgb @ to_rec709.T, rtol=1e-4, atol=1e-4)


def test_alpha_is_associated_and_windows_are_kept() -> None:
    rgb = one_hue()
    alpha = np.full(rgb.shape[:2], 0.5, np.float32)
    # The data window's left half lies outside the picture; the picture's right half has no data.
    picture = read_picture(exr_of_chroma(*split(rgb), alpha, data=(-8, 2), display=(0, 0, 15, 13)))
    assert picture.rgb.shape == (14, 16, 3)
    np.testing.assert_allclose(picture.rgb[2:, :8], rgb[:, 8:] / 0.5, rtol=1e-5)
    assert picture.alpha is not None
    assert (picture.alpha[2:, :8] == 0.5).all()
    assert not picture.rgb[:2].any()
    assert not picture.alpha[:, 8:].any()


def test_damaged_files_are_refused() -> None:
    data = exr_of_chroma(*split(one_hue()))
    for length in range(16, len(data) - 1, 97):
        with pytest.raises(PictureError):
            read_picture_isolated(data[:length])
    y, ry, by = split(one_hue())
    with pytest.raises(PictureError):
        read_picture_isolated(exr_of_chroma(y[:, :-1], ry, by))  # OpenEXR takes whole pairs of columns only


@pytest.mark.slow
def test_opencv_sees_the_same_red_and_blue(tmp_path: Path) -> None:
    """Green it makes with the y of the primaries in place of their luminance.

    In a process of its own, because OpenCV reads EXR where its environment allows that when it is loaded.
    """
    rgb = one_hue()
    (tmp_path / "a.exr").write_bytes(exr_of_chroma(*split(rgb)))
    code = "import cv2, numpy; numpy.save('a.npy', cv2.imread('a.exr', cv2.IMREAD_UNCHANGED))"
    environment = {**os.environ, "OPENCV_IO_ENABLE_OPENEXR": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    seen = np.load(tmp_path / "a.npy")[..., ::-1]
    np.testing.assert_allclose(read_picture(tmp_path / "a.exr").rgb[..., ::2], seen[..., ::2], rtol=1e-3)
