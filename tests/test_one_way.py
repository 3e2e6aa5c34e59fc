"""The same picture with the same options gives the same bytes, whichever way it is asked for."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import luxscaler
from luxscaler.backends.local import LocalBackend
from luxscaler.geometry import TileBox
from luxscaler.io.formats import format_of
from luxscaler.io.read import read_picture
from luxscaler.masters.job import folder_of
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.upscaler import Upscaler


@pytest.fixture
def upscaler() -> Upscaler:
    """A network that repeats pixels and adds to them what changes detail and, a little, colours."""
    torch.manual_seed(7)
    network = build_network(SRVGGConfig(features=8, convs=2))
    for parameter in network.parameters():
        parameter.data *= 0.5
    return Upscaler(network, UpscalerOptions(device="cpu"))


def _picture(path: Path, mode: str) -> Path:
    """100 × 70: light, dark and colour, some of it clipped."""
    rng = np.random.default_rng(3)
    small = rng.integers(0, 300, (6, 9, len(mode))).clip(0, 255).astype(np.uint8)
    Image.fromarray(small, mode).resize((100, 70), Image.Resampling.BICUBIC).save(path)
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("suffix", "mode", "tile", "is_masked"),
    [
        (".png", "RGBA", 64, False),
        (".exr", "RGB", 1024, True),
        pytest.param(".exr", "RGBA", 1024, False, marks=pytest.mark.slow),
        pytest.param(".exr", "RGB", 64, True, marks=pytest.mark.slow),
        pytest.param(".jpg", "RGB", 1024, False, marks=pytest.mark.slow),
        pytest.param(".jpg", "RGB", 64, False, marks=pytest.mark.slow),
    ],
)
def test_the_short_way_the_job_and_the_api_write_the_same_bytes(
    suffix: str, mode: str, tile: int, is_masked: bool, tmp_path: Path, upscaler: Upscaler
) -> None:
    source = _picture(tmp_path / "in.png", mode)
    mask = None
    if is_masked:
        mask = tmp_path / "mask.png"
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (7, 5), np.uint8)).save(mask)
    request = UpscaleRequest(
        source,
        output_format=format_of(Path(f"a{suffix}")),
        hdr_boost=3.0,
        boost_mask=mask,
        fractality=1.2,
        model="own.pth",
        tile=tile,
    )
    backend = LocalBackend(lambda _model: upscaler)
    process(request, lambda _model: upscaler, tmp_path / f"container{suffix}")
    upscale_picture(request, tmp_path / f"command{suffix}", backend)
    upscale_picture(request, tmp_path / f"page{suffix}", backend, RunOptions(report=tmp_path / "page.html"))
    luxscaler.upscale(
        source,
        tmp_path / f"api{suffix}",
        hdr_boost=3.0,
        boost_mask=mask,
        fractality=1.2,
        scale=4,
        model="own.pth",
        tile=tile,
        backend=backend,
    )
    names = ("container", "command", "page", "api")
    assert len({_digest(tmp_path / f"{name}{suffix}") for name in names}) == 1


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize("tile", [1024, 64], ids=["one tile", "several"])
def test_step_by_step_gives_the_same_pixels(tile: int, tmp_path: Path, upscaler: Upscaler) -> None:
    source = _picture(tmp_path / "in.png", "RGBA")
    request = UpscaleRequest(source, output_format="exr", hdr_boost=3.0, model="own.pth", tile=tile)
    process(request, lambda _model: upscaler, tmp_path / "whole.exr")
    model = luxscaler.Model("own.pth", 4, upscaler.device, upscaler.dtype, upscaler)
    picture = luxscaler.read(source)
    big = model.upscale(picture, tile=tile)
    luxscaler.write(tmp_path / "steps.exr", luxscaler.expand(big, 3.0, like=picture))
    whole, steps = (read_picture(tmp_path / f"{name}.exr") for name in ("whole", "steps"))
    np.testing.assert_array_equal(whole.rgb, steps.rgb)
    np.testing.assert_array_equal(np.asarray(whole.alpha), np.asarray(steps.alpha))


@pytest.mark.slow
@pytest.mark.sample(1)
@pytest.mark.parametrize("tile", [1024, 64], ids=["one tile", "several"])
def test_a_mask_keeps_the_boost_from_where_it_is_black(tile: int, tmp_path: Path, upscaler: Upscaler) -> None:
    source = _picture(tmp_path / "in.png", "RGB")
    Image.fromarray(np.array([[0] * 5 + [255] * 5], np.uint8)).save(tmp_path / "mask.png")
    request = UpscaleRequest(source, output_format="exr", hdr_boost=3.0, model="own.pth", tile=tile)
    asked = {
        "plain": replace(request, hdr_boost=1.0),
        "boosted": request,
        "masked": replace(request, boost_mask=tmp_path / "mask.png"),
    }
    for name, each in asked.items():
        process(each, lambda _model: upscaler, tmp_path / f"{name}.exr")
    plain, boosted, masked = (read_picture(tmp_path / f"{name}.exr").rgb for name in asked)
    left, right = slice(0, 150), slice(250, 400)
    np.testing.assert_array_equal(masked[:, left], plain[:, left])
    np.testing.assert_array_equal(masked[:, right], boosted[:, right])
    assert (boosted[:, left] != plain[:, left]).any()
    assert (boosted[:, right] != plain[:, right]).any()


@pytest.mark.slow
def test_a_tile_of_a_master_is_one_even_beside_an_unfinished_job(tmp_path: Path, upscaler: Upscaler) -> None:
    source = _picture(tmp_path / "in.png", "RGB")
    dark = tmp_path / "dark.png"
    Image.open(source).point(lambda code: code * 3 // 4).save(dark)
    request = UpscaleRequest(source, dark, TileBox(0, 0, 1, 1), output_format="exr", model="own.pth")
    for name in ("alone", "beside"):
        if name == "beside":
            folder_of(tmp_path / "beside.exr").mkdir()
        upscale_picture(request, tmp_path / f"{name}.exr", LocalBackend(lambda _model: upscaler))
    assert _digest(tmp_path / "alone.exr") == _digest(tmp_path / "beside.exr")


def test_a_checkpoint_of_ones_own_may_change_colours(tmp_path: Path, upscaler: Upscaler) -> None:
    source = _picture(tmp_path / "in.png", "RGB")
    request = UpscaleRequest(source, output_format="exr", model="own.pth")
    for name, changed in (("kept", request), ("changed", replace(request, self_reference=False))):
        process(changed, lambda _model: upscaler, tmp_path / f"{name}.exr")
    before, kept, changed = (
        read_picture(path).rgb.mean((0, 1))
        for path in (source, tmp_path / "kept.exr", tmp_path / "changed.exr")
    )
    assert np.abs(kept - before).max() < 0.01 < np.abs(changed - before).max()
