"""The container as cog.yaml has Cog run it: two predictions under way, in the real server, real weights."""

import base64
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.cog_server import CogServer, cog_server, output_file
from tests.support.picture_files import noise, pillow

pytestmark = pytest.mark.slow

TILE = "data:image/png;base64," + base64.b64encode(pillow(noise(24, 32), "PNG")).decode()
LARGE = "data:image/png;base64," + base64.b64encode(pillow(noise(160, 160), "PNG")).decode()
"""A second and more in the default network."""
FLAT = "data:image/png;base64," + base64.b64encode(pillow(noise(8, 8) // 255, "PNG")).decode()
"""A reference in which no tile has a place, which is said in the log."""
FAST = {"model": "fast", "output_format": "exr"}


@pytest.fixture(scope="module")
def server(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CogServer]:
    environment = {"LUXSCALER_WEIGHTS": str(real_weights), "COG_MAX_CONCURRENCY": "2"}
    with cog_server(tmp_path_factory.mktemp("cog"), **environment) as running:
        assert running.is_ready()
        yield running


def test_cog_yaml_asks_for_as_many() -> None:
    lines = (ROOT / "cog.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("concurrency:") + 1] == "  max: 8"


def test_two_predictions_have_each_their_file_metrics_and_log(server: CogServer) -> None:
    alone = [server.file(tile_input=TILE, scale=scale, **FAST) for scale in (2, 3)]
    with ThreadPoolExecutor(2) as clients:
        for _ in range(3):
            # By `predict`, which waits for a slot: Cog answers a moment before the slot is free again.
            with_log = clients.submit(server.predict, tile_input=TILE, scale=2, global_reference=FLAT, **FAST)
            without = clients.submit(server.predict, tile_input=TILE, scale=3, **FAST)
            first, second = with_log.result(), without.result()
            assert "ambiguous" in first["logs"]
            assert "ambiguous" not in second["logs"]
            assert "resampled to 3" in second["logs"]
            assert first["metrics"]["output"]["width"] == 64
            assert second["metrics"]["output"]["width"] == 96
            assert output_file(second) == alone[1]
            assert len(output_file(first)) == pytest.approx(len(alone[0]), rel=0.01)


def test_a_full_server_is_busy_and_one_with_a_free_slot_is_ready(server: CogServer) -> None:
    with ThreadPoolExecutor(2) as clients:
        first = clients.submit(server.put, "long-1", tile_input=LARGE)
        time.sleep(0.2)
        assert server.status() == "READY"
        second = clients.submit(server.put, "long-2", tile_input=LARGE)
        time.sleep(0.2)
        assert server.status() == "BUSY"
        replies = [first.result(), second.result()]
    assert [reply["status"] for reply in replies] == ["succeeded"] * 2
    # On a CPU they take turns; what the second waited is part of its predict_time, and said.
    waited = [reply["metrics"]["timing"]["wait"] for reply in replies]
    assert waited[0] < 0.1 < waited[1]


def test_a_cancelled_prediction_ends_at_once_and_makes_room(server: CogServer) -> None:
    with ThreadPoolExecutor(2) as clients:
        running = clients.submit(server.put, "running", tile_input=LARGE, scale=8)
        waiting = clients.submit(server.put, "waiting", tile_input=LARGE, scale=8)
        time.sleep(0.3)
        start = time.monotonic()
        for name in ("waiting", "running"):
            server.cancel(name)
        assert {running.result()["status"], waiting.result()["status"]} == {"canceled"}
        assert time.monotonic() - start < 1.0
    reply = server.predict(tile_input=TILE, **FAST)
    assert reply["status"] == "succeeded"
    # It waited for the cancelled one to leave the network, which it does between two blocks or strips.
    assert reply["metrics"]["timing"]["wait"] < 5.0


def test_a_prediction_that_fails_beside_another_one_leaves_it_alone(server: CogServer) -> None:
    with ThreadPoolExecutor(2) as clients:
        good = clients.submit(server.put, "good", tile_input=LARGE)
        time.sleep(0.1)
        bad = clients.submit(server.put, "bad", tile_input=TILE, hdr_boost=0)
        assert "hdr_boost is 0" in bad.result()["error"]
        assert good.result()["status"] == "succeeded"
    assert server.is_ready()


def test_files_do_not_pile_up(server: CogServer) -> None:
    for _ in range(4):
        server.file(tile_input=TILE, **FAST)
    files = list(server.temporary.glob("luxscaler-*/*"))
    assert len(files) <= 2
