"""`overscan: keep`: what lies beyond the display window is upscaled too, and the result has both windows."""

from pathlib import Path

import numpy as np
import OpenEXR
import OpenImageIO as oiio  # noqa: N813
import pytest
import torch

from luxscaler.backends.local import LocalBackend
from luxscaler.errors import ExportError, InputError, PictureError
from luxscaler.io.exr.overscan import Windows
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import open_stream
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.picture import FloatArray
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.upscaling.upscaler import Upscaler

RGB = np.random.default_rng(1).random((14, 20, 3), np.float32)


def plate(path: Path, data: tuple[int, int], display: tuple[int, int, int, int]) -> Path:
    """An EXR whose data window, 20 × 14, begins at `data`."""
    left, top = data
    header = {
        "dataWindow": (np.array([left, top], np.int32), np.array([left + 19, top + 13], np.int32)),
        "displayWindow": (np.array(display[:2], np.int32), np.array(display[2:], np.int32)),
    }
    with OpenEXR.File(header, {"RGB": RGB}) as file:
        file.write(str(path))
    return path


@pytest.fixture(scope="module")
def backend() -> LocalBackend:
    torch.manual_seed(7)
    network = build_network(SRVGGConfig(features=8, convs=2))
    upscaler = Upscaler(network, UpscalerOptions(device="cpu"))
    return LocalBackend(lambda _model: upscaler)


def windows(path: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    spec = oiio.ImageBuf(str(path)).spec()
    return (spec.x, spec.y, spec.width, spec.height), (
        spec.full_x,
        spec.full_y,
        spec.full_width,
        spec.full_height,
    )


def pixels(path: Path) -> FloatArray:
    return np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), np.float32)


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("data", "display"),
    [((-4, -3), (0, 0, 11, 7)), ((5, 6), (0, 0, 99, 49)), ((100, 50), (100, 50, 119, 63))],
    ids=["more than is shown", "less", "elsewhere"],
)
def test_both_windows_grow(
    data: tuple[int, int], display: tuple[int, int, int, int], tmp_path: Path, backend: LocalBackend
) -> None:
    source = plate(tmp_path / "in.exr", data, display)
    request = UpscaleRequest(source, output_format="exr", model="own.pth", scale=4.0, overscan="keep")
    upscale_picture(request, tmp_path / "out.exr", backend)
    left, top, right, bottom = display
    shown = (4 * left, 4 * top, 4 * (right - left + 1), 4 * (bottom - top + 1))
    assert windows(tmp_path / "out.exr") == ((4 * data[0], 4 * data[1], 80, 56), shown)
    whole = plate(tmp_path / "whole.exr", (0, 0), (0, 0, 19, 13))
    plain = UpscaleRequest(whole, output_format="exr", model="own.pth", scale=4.0)
    upscale_picture(plain, tmp_path / "plain.exr", backend)
    np.testing.assert_array_equal(pixels(tmp_path / "out.exr"), pixels(tmp_path / "plain.exr"))


@pytest.mark.parametrize("tile", [0, 16])
def test_row_by_row_has_the_same_windows(tile: int, tmp_path: Path) -> None:
    options = ExportOptions(exr_windows=Windows((-8, -6), (0, 0, 11, 7)), exr_tile=tile)
    with open_stream(tmp_path / "a.exr", 20, 14, options=options) as writer:
        writer.write(RGB[:5])
        writer.write(RGB[5:])
    assert windows(tmp_path / "a.exr") == ((-8, -6, 20, 14), (0, 0, 12, 8))
    np.testing.assert_array_equal(pixels(tmp_path / "a.exr"), RGB)


def test_without_it_the_display_window_is_the_picture(tmp_path: Path, backend: LocalBackend) -> None:
    source = plate(tmp_path / "in.exr", (-4, -3), (0, 0, 11, 7))
    request = UpscaleRequest(source, output_format="exr", model="own.pth")
    upscale_picture(request, tmp_path / "out.exr", backend)
    assert windows(tmp_path / "out.exr") == ((0, 0, 48, 32), (0, 0, 48, 32))


def test_what_cannot_be_kept_is_said(tmp_path: Path, backend: LocalBackend) -> None:
    source = plate(tmp_path / "in.exr", (-3, -3), (0, 0, 11, 7))
    with pytest.raises(InputError, match="overscan is 'all'; it must be crop or keep"):
        UpscaleRequest(source, overscan="all")
    with pytest.raises(InputError, match="png has no windows"):
        UpscaleRequest(source, output_format="png", overscan="keep")
    half = UpscaleRequest(source, output_format="exr", model="own.pth", scale=1.5, overscan="keep")
    with pytest.raises(InputError, match=r"at the scale 1\.5 the edges"):
        upscale_picture(half, tmp_path / "out.exr", backend)
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    other = UpscaleRequest(tmp_path / "a.png", output_format="exr", model="own.pth", overscan="keep")
    with pytest.raises(PictureError, match=r"a\.png is no EXR"):
        upscale_picture(other, tmp_path / "out.exr", backend)
    same = UpscaleRequest(source, output_format="exr", model="own.pth", overscan="keep")
    with pytest.raises(ExportError, match="is the same file as"):
        upscale_picture(same, source, backend)
