"""A Ray cluster as a place for tiles: two nodes on this machine, of which one is killed at its work."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from luxscaler.backends.base import MasterContext, Session, Tile, TileOutput
from luxscaler.backends.local import LocalBackend
from luxscaler.backends.ray import backend
from luxscaler.backends.ray.backend import RayBackend, RayOptions
from luxscaler.backends.ray.cluster import LostError, Share
from luxscaler.errors import BackendError, InputError, StoppedError, TileError, WeightsError
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import TileSettings
from luxscaler.upscaling.model_cache import Models
from tests.support.fake_backend import nearest
from tests.support.memory_ledger import MemoryLedger
from tests.support.tiles import a_context, a_tile

OPTIONS = RayOptions(cpus=1, load=60.0, again=20.0)


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(BackendError, match=r"optional extra `ray`"),
        RayBackend().open(a_context()),
    ):
        pass


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="cpus is 0"):
        RayOptions(cpus=0)


@pytest.mark.slow
@pytest.mark.sample(2)
@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "here", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_line(address: str) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    with (
        pytest.raises((BackendError, InputError), match="cluster"),
        RayBackend(address).open(a_context()),
    ):
        pass


class FakeWorker:
    """A worker whose calls are decided at once."""

    def __init__(self, cluster: "FakeCluster") -> None:
        self._cluster = cluster
        self.load = SimpleNamespace(remote=lambda *_: lambda: None)
        self.run = SimpleNamespace(remote=lambda tile: lambda: self._upscaled(tile))

    def _upscaled(self, tile: Tile) -> TileOutput:
        if self._cluster.losing:
            raise LostError("gone")
        return nearest(tile)


class FakeCluster:
    """Two shares, and what was done with them."""

    def __init__(self, _address: str | None) -> None:
        self.room = 2
        self.losing = False
        """Whether workers are lost at their work."""
        self.begun: list[FakeWorker] = []
        self.ended: list[FakeWorker] = []
        self.closed = False

    def shares(self, cpus: int) -> list[Share]:
        return [Share(0, cpus)] * self.room

    def put(self, value: object) -> object:
        return value

    def begin(self, _share: Share) -> FakeWorker:
        self.begun.append(FakeWorker(self))
        return self.begun[-1]

    def end(self, worker: FakeWorker) -> None:
        self.ended.append(worker)

    def result(self, call: Callable[[], Any], check: Callable[[], None], _seconds: float) -> Any:
        check()
        return call()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster(None)
    monkeypatch.setattr(backend, "Cluster", lambda _address: made)
    return made


def test_a_lost_worker_is_replaced_and_twice_costs_the_tile_nothing(fake: FakeCluster) -> None:
    with RayBackend().open(a_context()) as session:
        assert session.workers == 2
        fake.losing = True
        for counts in (False, False, True):
            with pytest.raises(TileError, match="a Ray worker is lost: gone") as caught:
                session.run(a_tile())
            assert caught.value.counts is counts
        fake.losing = False
        session.run(a_tile())
        assert len(fake.begun) == 2 + 2
    assert set(fake.ended) == set(fake.begun)
    assert fake.closed


def test_without_room_for_another_worker_the_slots_are_given_up(fake: FakeCluster) -> None:
    with RayBackend().open(a_context()) as session:
        fake.losing, fake.room = True, 0
        for message in ("gone", "gone", "a worker on the Ray cluster", "a worker on the Ray cluster"):
            with pytest.raises(TileError, match=message):
                session.run(a_tile())
        with pytest.raises(BackendError, match="no worker is left"):
            session.run(a_tile())


def test_a_cluster_without_cores_and_a_stop(fake: FakeCluster) -> None:
    stop = threading.Event()
    with RayBackend().open(a_context(stop=stop)) as session:
        stop.set()
        with pytest.raises(StoppedError):
            session.run(a_tile())
    fake.room = 0
    with pytest.raises(BackendError, match="neither GPUs nor CPUs"), RayBackend().open(a_context()):
        pass


@pytest.fixture
def cluster(real_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes of one core each, on this machine."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("LUXSCALER_WEIGHTS", str(real_weights))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    root = str(Path(__file__).resolve().parent.parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        made.add_node(**node)
        yield made
    finally:
        made.shutdown()


def _local(context: MasterContext, tiles: list[Tile]) -> list[TileOutput]:
    with LocalBackend(Models(UpscalerOptions())).open(context) as session:
        return [session.run(tile).on_host() for tile in tiles]


def _until_done(session: Session, tile: Tile, failures: list[TileError]) -> TileOutput:
    while True:
        try:
            return session.run(tile).on_host()
        except TileError as error:  # noqa: PERF203
            failures.append(error)
            assert len(failures) < 50


@pytest.mark.slow
def test_tiles_are_what_they_are_locally_also_when_a_node_is_killed(cluster: Any) -> None:
    context = a_context(12, scale=4.0)
    tiles = [a_tile(index, side=64, scale=4, tiles=12) for index in range(12)]
    failures: list[TileError] = []
    with RayBackend(cluster.address, OPTIONS).open(context) as session:
        assert session.workers == 2
        first = session.run(tiles[0])
        victim = next(node for node in cluster.list_all_nodes() if node is not cluster.head_node)
        threading.Timer(0.3, lambda: cluster.remove_node(victim, allow_graceful=False)).start()
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda tile: _until_done(session, tile, failures), tiles))
        assert all(not failure.counts for failure in failures)
        time.sleep(1)
        again = [_until_done(session, tile, failures) for tile in tiles[:4]]
    expected = _local(context, tiles)
    for result, wanted in zip(
        [first, *results, *again], [expected[0], *expected, *expected[:4]], strict=True
    ):
        np.testing.assert_allclose(result.rgb, wanted.rgb, atol=1e-5)


@pytest.mark.slow
def test_stop_and_unknown_models(cluster: Any) -> None:
    stop = threading.Event()
    context = a_context(4, scale=4.0, stop=stop)
    with RayBackend(cluster.address, OPTIONS).open(context) as session:
        threading.Timer(0.3, stop.set).start()
        start = time.monotonic()
        with pytest.raises(StoppedError):
            [session.run(a_tile(1, side=128, scale=4, tiles=4)) for _ in range(1000)]
        assert time.monotonic() - start < 10
    unknown = MasterContext(TileSettings(4.0, "no such model"), None, 1, MemoryLedger())
    with (
        pytest.raises(WeightsError, match="no such model") as caught,
        RayBackend(cluster.address, OPTIONS).open(unknown),
    ):
        pass
    assert "\n" not in str(caught.value)
