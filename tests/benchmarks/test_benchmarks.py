"""The benchmarks' own rules: who is left out and why, and what the seconds cost."""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import money, network
from benchmarks.encoders import at
from benchmarks.masters import run as run_master
from benchmarks.prediction import measure, write_tile
from luxscaler.networks.build import build_network
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.options import UpscalerOptions
from luxscaler.replicate.prices import DOLLARS_PER_SECOND
from luxscaler.upscaling.upscaler import Upscaler
from tests.conftest import SAMPLE

OPTIONS: Any = argparse.Namespace(
    size=64,
    device="cpu",
    threads=1,
    peers="",
    most_seconds=1.0,
    model="fast",
    rounds=1,
    picture=str(SAMPLE / "tile.png"),
)


def a_peer(seconds_at_32: float) -> Any:
    """A candidate whose time grows with its pixels."""

    def build(_network: object, coded: Any, *_: object) -> Any:
        def run() -> Any:
            time.sleep(seconds_at_32 * coded.size / (32 * 32 * 3))
            return coded

        return run

    return build


@pytest.mark.slow
def test_a_peer_that_would_take_too_long_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = {"quick": a_peer(0.0), "slow": a_peer(0.3), "another bf16": a_peer(0.0)}
    monkeypatch.setattr(network, "builders", lambda *_: peers)
    monkeypatch.setattr(network, "ours", lambda _: a_peer(0.0))
    monkeypatch.setattr(network, "has_bf16", lambda: False)
    coded = np.zeros((64, 64, 3), np.float32)
    tiny = build_network(SRVGGConfig(features=4, convs=1))
    found, missing = network.build(tiny, coded, OPTIONS)
    assert set(found) == {"ours fp32", "quick"}
    assert "--most-seconds is 1" in missing["slow"]
    assert "bfloat16" in missing["another bf16"]
    assert "bfloat16" in missing["ours bf16"]


def test_dollars_are_those_of_the_price_list(capsys: pytest.CaptureFixture[str]) -> None:
    money.print_dollars("tile", {"exr": 2.0}, "cpu")
    assert f"${2.0 * DOLLARS_PER_SECOND['cpu']:.6f}" in capsys.readouterr().out


def test_bytes_at_equal_similarity_lie_between_the_qualities_beside_it() -> None:
    found = [(2.0, 400, 0.9), (1.0, 100, 0.8)]
    assert at(0.85, found) == pytest.approx((1.5, 200.0))
    assert np.isnan(at(0.95, found)[1])


def test_the_stages_of_a_prediction_are_measured(tiny_network: RRDBNet, tmp_path: Path) -> None:
    upscaler = Upscaler(tiny_network, UpscalerOptions(device="cpu"))
    options = argparse.Namespace(**{**vars(OPTIONS), "size": 16})
    tile = write_tile(options, tmp_path)
    inputs = {"output_format": "exr", "global_reference": True}
    row = measure(options, lambda _: upscaler, tile, "exr", inputs)  # type: ignore[arg-type]
    assert row["stages"]["network"] > 0.0
    assert row["bytes"] > 64 * 64 * 3


@pytest.mark.parametrize("own", [False, True])
def test_a_master_is_measured(tmp_path: Path, own: bool) -> None:
    options = argparse.Namespace(
        folder=tmp_path / "work", one=512, format="tiff", tile=64, seconds=0.0, at_once=1, own=own
    )
    options.folder.mkdir()
    found = run_master(options)
    assert found["tiles"] > 1
    assert found["file"] > 0
    assert found["processor"] > 0.0
