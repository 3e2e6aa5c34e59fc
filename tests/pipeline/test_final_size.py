"""Results of a size in pixels, megapixels or centimetres."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from luxscaler.backends.local import LocalBackend
from luxscaler.errors import InputError
from luxscaler.geometry import Wrap
from luxscaler.io.read import read_picture
from luxscaler.masters.options import RunOptions
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Picture
from luxscaler.pipeline.final_size import FinalSize, PrintSize, scale_for
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.upscaler import Upscaler


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (FinalSize(width=300), (300, 200)),
        (FinalSize(height=300), (450, 300)),
        (FinalSize(long_edge=300), (300, 200)),
        (FinalSize(megapixels=0.06), (300, 200)),
        (FinalSize.of(print_size="60x40cm@300"), (7087, 4724)),
        (FinalSize.of(print_size="40x60cm@300"), (7087, 4724)),
        (FinalSize.of(print_size="10x10in@72"), (720, 480)),
        (FinalSize.of(print_size="254x50.8mm@100"), (300, 200)),
    ],
    ids=str,
)
def test_the_picture_keeps_its_proportions(size: FinalSize, wanted: tuple[int, int]) -> None:
    assert size.of_picture(150, 100) == wanted
    assert size.of_picture(100, 150) == (
        wanted[::-1] if not (size.width or size.height) else size.of_picture(100, 150)
    )


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 40000))
def test_a_long_edge_is_met_to_the_pixel(width: int, height: int, edge: int) -> None:
    found = FinalSize(long_edge=edge).of_picture(width, height)
    assert max(found) == edge
    assert min(found) >= 1


def test_one_way_at_a_time() -> None:
    assert FinalSize.of() is None
    with pytest.raises(InputError, match=r"give one of width, height, .*; got width and print"):
        FinalSize.of(width=100, print_size="6x4in@300")
    with pytest.raises(InputError, match="got none"):
        FinalSize()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("60x40@300", "must be WIDTHxHEIGHT"),
        ("60x40cm", "must be WIDTHxHEIGHT"),
        ("0x40cm@300", "sizes must be above 0"),
        ("60x40cm@0", "DPI from 1 to 10000"),
        ("-6x4in@300", "must be WIDTHxHEIGHT"),
    ],
)
def test_a_bad_sheet_is_one_clear_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        PrintSize.parse(text)


@pytest.mark.parametrize(
    ("name", "value"), [("width", 0), ("height", -3), ("long_edge", 2**21), ("megapixels", 0.0)]
)
def test_sizes_have_limits(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name} is .*above 0, at most"):
        FinalSize(**{name: value})  # type: ignore[arg-type]


def test_the_network_runs_at_a_scale_that_is_enough() -> None:
    assert scale_for((300, 200), 100, 67, 4.0) == 4.0
    assert scale_for((400, 267), 100, 67, 4.0) == 4.0
    assert scale_for((401, 268), 100, 67, 4.0) == 5.0
    with pytest.raises(InputError, match=r"9\.00 times the picture's 100 × 50; 8 times is the most"):
        scale_for((900, 450), 100, 50, 4.0)


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    torch.manual_seed(7)
    network = build_network(SRVGGConfig(features=8, convs=2))
    for parameter in network.parameters():
        parameter.data *= 0.5
    return Upscaler(network, UpscalerOptions(device="cpu"))


def scene(height: int, width: int) -> Picture:
    return Picture(np.random.default_rng(1).random((height, width, 3), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [pytest.param("", marks=pytest.mark.slow), "xy"])
def test_a_master_and_a_tile_in_memory_give_the_same_bytes(
    wrap: str, tmp_path: Path, upscaler: Upscaler
) -> None:
    request = UpscaleRequest(
        scene(48, 80),
        output_format="exr",
        model="own.pth",
        hdr_boost=3.0,
        tile=64,
        overlap=16,
        size=FinalSize(width=219),
        wrap=Wrap.parse(wrap),
    )
    in_memory = process(request, lambda _model: upscaler, tmp_path / "memory.exr")
    page = RunOptions(report=tmp_path / "page.html")
    master = upscale_picture(request, tmp_path / "master.exr", LocalBackend(lambda _model: upscaler), page)
    assert (tmp_path / "memory.exr").read_bytes() == (tmp_path / "master.exr").read_bytes()
    assert (in_memory.width, in_memory.height) == (master.width, master.height) == (219, 131)
    assert in_memory.peak == master.peak
    spec = oiio.ImageBuf(str(tmp_path / "master.exr")).spec()
    assert (spec.width, spec.height) == (219, 131)
    assert spec.getattribute("luxscaler:reduced_from") == "320x192"


def test_a_print_says_its_resolution_and_its_size_on_paper(tmp_path: Path, upscaler: Upscaler) -> None:
    size = FinalSize.of(print_size="30x20mm@150")
    request = UpscaleRequest(scene(40, 50), output_format="tiff16", model="own.pth", size=size)
    result = process(request, lambda _model: upscaler, tmp_path / "a.tif")
    assert (result.width, result.height) == (148, 118)
    assert any("148 × 118 pixels, 2.5 × 2.0 cm on paper" in notice for notice in result.notices)
    spec = oiio.ImageBuf(str(tmp_path / "a.tif")).spec()
    assert (spec.getattribute("XResolution"), spec.getattribute("YResolution")) == (150.0, 150.0)
    assert spec.getattribute("ResolutionUnit") == "in"


def test_more_than_the_scale_says_that_it_resamples(tmp_path: Path, upscaler: Upscaler) -> None:
    request = UpscaleRequest(scene(12, 16), output_format="png", model="own.pth", size=FinalSize(width=83))
    result = process(request, lambda _model: upscaler, tmp_path / "a.png")
    assert any("5.19 times the picture, more than the scale 4" in notice for notice in result.notices)
    found = read_picture(tmp_path / "a.png")
    assert (found.width, found.height) == (83, 62)
    plain = process(replace(request, size=FinalSize(width=64)), lambda _model: upscaler, tmp_path / "b.png")
    assert plain.notices == ()
    same = process(replace(request, size=None), lambda _model: upscaler, tmp_path / "c.png")
    assert (same.width, same.height) == (64, 48)
    np.testing.assert_allclose(
        read_picture(tmp_path / "b.png").rgb, read_picture(tmp_path / "c.png").rgb, atol=1e-6
    )


def test_a_tile_of_a_reference_has_the_scale_of_its_master() -> None:
    with pytest.raises(InputError, match="a size is for a whole picture"):
        UpscaleRequest(scene(8, 8), reference=scene(8, 8), size=FinalSize(width=20))
