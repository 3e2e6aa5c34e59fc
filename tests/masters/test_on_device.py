"""Tiles that stay on a card until rows are made of them: the same bytes, and only rows over the bus.

The card is the CPU, said to be one: the same code runs, and every copy to the host is counted.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from luxscaler.backends import local
from luxscaler.backends.base import DeviceOutput, TileOutput
from luxscaler.backends.local import LocalBackend, TileRenderer
from luxscaler.masters import held
from luxscaler.masters.upscale import upscale_picture
from luxscaler.networks.build import build_network
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.tiling import assembly, blending
from luxscaler.upscaling.pinned_copy import to_host
from luxscaler.upscaling.upscaler import Upscaler
from tests.support.picture_files import noise, pillow
from tests.support.stored_tiles import stored

TILES = 6
SIDE = (90, 120)


@pytest.fixture
def backend() -> LocalBackend:
    torch.manual_seed(5)
    upscaler = Upscaler(build_network(SRVGGConfig(features=8, convs=2)), UpscalerOptions(device="cpu"))
    return LocalBackend(lambda _model: upscaler)


CHANNELS = {"RGB": 3, "RGBA": 4}


@pytest.fixture(params=CHANNELS)
def request_(request: pytest.FixtureRequest, tmp_path: Path) -> UpscaleRequest:
    """A picture of TILES tiles, with and without alpha."""
    source = tmp_path / "in.png"
    source.write_bytes(pillow(noise(*SIDE, CHANNELS[request.param]), "PNG"))
    return UpscaleRequest(source, output_format="tiff", tile=64, overlap=16, hdr_boost=3.0)


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "stays_on", lambda _device: True)
    monkeypatch.setattr(blending, "library_of", lambda _device: torch)


class Bus:
    """Counts what comes to the host, by where it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = self.tiles = 0
        on_host = DeviceOutput.on_host

        def counted(tensor: torch.Tensor) -> NDArray[np.float32]:
            self.rows += tensor.nbytes
            return to_host(tensor)

        def counted_tile(output: DeviceOutput) -> TileOutput:
            self.tiles += 1
            return on_host(output)

        monkeypatch.setattr(assembly, "to_host", counted)
        monkeypatch.setattr(DeviceOutput, "on_host", counted_tile)


def lasting(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every tile say that it took so long."""
    render = TileRenderer.__call__
    monkeypatch.setattr(
        TileRenderer, "__call__", lambda *arguments: replace(render(*arguments), seconds=seconds)
    )


@pytest.mark.sample(1)
@pytest.mark.usefixtures("on_card")
def test_rows_come_over_once_and_nothing_else_does(
    request_: UpscaleRequest, backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting(monkeypatch, 1e-6)
    bus, numbers = Bus(monkeypatch), stored(monkeypatch)
    upscale_picture(request_, tmp_path / "out.tiff", backend)
    channels = 4 if bus.rows > 12 * 16 * SIDE[0] * SIDE[1] else 3
    assert bus.rows == 4 * channels * 16 * SIDE[0] * SIDE[1]
    assert bus.tiles == 0
    assert not numbers


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("request_", "seconds", "room", "written"),
    [
        ("RGB", 1e-6, 10**9, 0),
        ("RGBA", 1e-6, 0, 0),  # they are held in the host's memory instead
        ("RGB", 1e-6, 400_000, 0),
        ("RGBA", 100.0, 10**9, TILES),  # what took long is kept for the next run besides
        ("RGB", 100.0, 0, TILES),
        pytest.param("RGBA", 1e-6, 10**9, 0, marks=pytest.mark.slow),
        pytest.param("RGB", 1e-6, 0, 0, marks=pytest.mark.slow),
        pytest.param("RGBA", 1e-6, 400_000, 0, marks=pytest.mark.slow),
        pytest.param("RGB", 100.0, 10**9, TILES, marks=pytest.mark.slow),
        pytest.param("RGBA", 100.0, 0, TILES, marks=pytest.mark.slow),
    ],
    indirect=["request_"],
)
def test_the_same_bytes_wherever_tiles_are_kept(
    request_: UpscaleRequest,
    backend: LocalBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    room: int,
    written: int,
) -> None:
    expected, target = tmp_path / "expected.tiff", tmp_path / "out.tiff"
    upscale_picture(request_, expected, backend)
    monkeypatch.setattr(local, "stays_on", lambda _device: True)
    monkeypatch.setattr(blending, "library_of", lambda _device: torch)
    monkeypatch.setattr(held, "has_room", lambda _device, others, more: others + more <= room)
    lasting(monkeypatch, seconds)
    numbers = stored(monkeypatch)
    upscale_picture(request_, target, backend)
    assert target.read_bytes() == expected.read_bytes()
    assert len(numbers) == written
