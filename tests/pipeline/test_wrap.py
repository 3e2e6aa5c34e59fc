"""A picture that wraps: moved around its edges, its result is the same, moved; so no edge shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from luxscaler.backends.local import LocalBackend
from luxscaler.errors import InputError
from luxscaler.geometry import Wrap
from luxscaler.io.read import read_picture
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process, read_sources, render_sources
from luxscaler.upscaling.upscaler import Upscaler

SCALE = 4
PHOTO = PictureSource(format="png", bits=8, is_float=False)
BOTH = Wrap(x=True, y=True)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    """It draws a border of another brightness where it is given nothing beyond an edge."""
    torch.manual_seed(7)
    network = build_network(SRVGGConfig(features=8, convs=2))
    for parameter in network.parameters():
        parameter.data *= 0.5
    return Upscaler(network, UpscalerOptions(device="cpu"))


def texture(height: int, width: int, *, is_hdr: bool = False) -> Picture:
    """A picture that tiles: waves with a whole number of periods, and noise."""
    y, x = np.mgrid[:height, :width]
    waves = sum(
        np.sin(2 * np.pi * (a * x / width + b * y / height) + c)
        for a, b, c in ((1, 0, 0.3), (0, 1, 1.0), (2, 3, 2.0))
    )
    noise = np.random.default_rng(3).standard_normal((height, width, 3))
    rgb = (0.45 + 0.15 * np.asarray(waves)[..., None] + 0.03 * noise).clip(0, 1).astype(np.float32)
    return Picture(rgb * 6.0, None) if is_hdr else Picture(rgb, None, PHOTO)


def rendered(picture: Picture, upscaler: Upscaler, **asked: object) -> FloatArray:
    request = replace(UpscaleRequest(picture, output_format="exr", model="own.pth"), **asked)  # type: ignore[arg-type]
    return render_sources(read_sources(request), upscaler).light.rgb


def rolled(picture: Picture, down: int, across: int) -> Picture:
    return replace(picture, rgb=np.ascontiguousarray(np.roll(picture.rgb, (down, across), (0, 1))))


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("asked", "move", "tolerance"),
    [
        ({"tile": 1024}, (7, 5), 1e-5),
        ({"tile": 64, "overlap": 16}, (7, 5), 2e-3),
        pytest.param({"tile": 1024, "fractality": 1.3}, (7, 5), 1e-4, marks=pytest.mark.slow),
        pytest.param({"tile": 1024, "scale": 1.5}, (8, 6), 1e-5, marks=pytest.mark.slow),
        # The map of gains is made of 64 cells in four steps: it moves in quarters of a picture.
        ({"tile": 1024, "hdr_boost": 4.0}, (8, 12), 1e-4),
    ],
    ids=["one tile", "several", "detail", "scale 1.5", "hdr_boost"],
)
def test_moved_around_its_edges_a_picture_gives_the_same_result_moved(
    asked: dict[str, object], move: tuple[int, int], tolerance: float, upscaler: Upscaler
) -> None:
    picture, scale = texture(32, 48), float(str(asked.get("scale", SCALE)))
    result = rendered(picture, upscaler, wrap=BOTH, **asked)
    moved = rendered(rolled(picture, *move), upscaler, wrap=BOTH, **asked)
    wanted = np.roll(result, [round(pixels * scale) for pixels in move], (0, 1))
    np.testing.assert_allclose(moved, wanted, atol=tolerance)


def test_without_wrap_the_edges_are_drawn_otherwise(upscaler: Upscaler) -> None:
    picture = texture(32, 48)
    result, moved = (rendered(each, upscaler) for each in (picture, rolled(picture, 7, 5)))
    assert np.abs(moved - np.roll(result, (28, 20), (0, 1))).max() > 0.02


@pytest.mark.slow
@pytest.mark.parametrize("is_hdr", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_jump_where_edges_meet_is_no_larger_than_inside(is_hdr: bool, upscaler: Upscaler) -> None:
    picture = texture(32, 40, is_hdr=is_hdr)
    result = rendered(picture, upscaler, wrap=BOTH, hdr_boost=4.0, fractality=1.2)
    for axis in (0, 1):
        # Between pixels of the source, where the network has its steps, wrapped edge first.
        lines = np.moveaxis(result, axis, 0)
        jumps = np.abs(lines - np.roll(lines, 1, 0)).mean((1, 2))[::SCALE]
        assert jumps[0] <= jumps[1:].max()


def test_only_the_axes_that_are_named_wrap(upscaler: Upscaler) -> None:
    picture = texture(24, 32)
    result = rendered(picture, upscaler, wrap=Wrap(x=True))
    moved = rendered(rolled(picture, 0, 5), upscaler, wrap=Wrap(x=True))
    np.testing.assert_allclose(moved, np.roll(result, 20, 1), atol=1e-5)
    other = rendered(rolled(picture, 5, 0), upscaler, wrap=Wrap(x=True))
    assert np.abs(other - np.roll(result, 20, 0)).max() > 0.02


@pytest.mark.slow
def test_a_master_and_a_tile_in_memory_give_the_same_bytes(tmp_path: Path, upscaler: Upscaler) -> None:
    picture = texture(60, 72)
    request = UpscaleRequest(
        picture, output_format="exr", model="own.pth", wrap=BOTH, hdr_boost=3.0, tile=64, overlap=16
    )
    process(request, lambda _model: upscaler, tmp_path / "memory.exr")
    backend = LocalBackend(lambda _model: upscaler)
    page = RunOptions(report=tmp_path / "page.html")
    made = upscale_picture(request, tmp_path / "master.exr", backend, page)
    assert made.seams is not None
    assert (tmp_path / "memory.exr").read_bytes() == (tmp_path / "master.exr").read_bytes()
    assert (read_picture(tmp_path / "master.exr").width, made.height) == (288, 240)


def test_a_tile_of_a_reference_has_no_other_side() -> None:
    picture = texture(16, 16)
    with pytest.raises(InputError, match="wrap is for a whole picture"):
        UpscaleRequest(picture, reference=picture, wrap=BOTH)
