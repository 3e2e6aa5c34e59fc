"""Tiles through real servers: the gateway with faults and kill -9, and Cog with real weights."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from luxscaler.backends.base import Backend, MasterContext, Session, Tile, TileOutput
from luxscaler.backends.cog.backend import CogBackend
from luxscaler.backends.local import LocalBackend
from luxscaler.backends.replicate.backend import ReplicateBackend
from luxscaler.backends.replicate.session import ReplicateOptions
from luxscaler.errors import StoppedError, TileError
from luxscaler.geometry import TileBox
from luxscaler.io.read import read_picture
from luxscaler.masters.job import Job
from luxscaler.options import UpscalerOptions
from luxscaler.picture import Picture
from luxscaler.pipeline.request import TileSettings
from luxscaler.replicate.prices import Price
from luxscaler.upscaling.model_cache import Models
from tests.conftest import ROOT, SAMPLE
from tests.support.cog_server import CogServer, cog_server
from tests.support.fake_cog import fake_cog
from tests.support.gateway_faults import Faults, Reset, ServerError, SlowBody, Throttle, Truncate
from tests.support.gateway_server import GatewayServer, gateway_server
from tests.support.memory_ledger import MemoryLedger
from tests.support.tiles import a_context, a_tile, enlarged

pytestmark = pytest.mark.slow

QUICK = ReplicateOptions(settling=0.5, price=Price(own=0.001))
CLOSE = 1e-5


def _replicate(gateway: GatewayServer, options: ReplicateOptions = QUICK) -> ReplicateBackend:
    return ReplicateBackend(gateway.token, gateway.version, options, base_url=gateway.url)


def _until_done(session: Session, tile: Tile) -> TileOutput:
    for _ in range(50):
        try:
            return session.run(tile).on_host()
        except TileError:  # noqa: PERF203
            time.sleep(0.01)
    raise AssertionError(f"tile {tile.index} was never done")


def _creates(gateway: GatewayServer) -> Counter[str]:
    """Predictions ever created, by tile."""
    return Counter(found["input"]["tile_box"] for found in gateway.predictions())


def test_a_tile_goes_through_the_gateway(tmp_path: Path) -> None:
    ledger, tile = MemoryLedger(), a_tile(1, tiles=4)
    with fake_cog() as cog, gateway_server(tmp_path, cog.url) as gateway:
        with _replicate(gateway).open(a_context(4, ledger=ledger)) as session:
            result = session.run(tile).on_host()
        assert len(gateway.predictions()) == 1
        assert gateway.token not in ledger.everything()
    np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert ledger.ended("succeeded") == 1


def test_faults_between_backend_and_gateway_are_paid_for_once(tmp_path: Path) -> None:
    faults, random = Faults(), Random(1)
    faults.add(ServerError(503), path="/v1/files", times=3)
    for _ in range(8):
        faults.add(Throttle(retry_after=1), path="/v1/predictions", method="POST")
        faults.add(ServerError(502), path="/v1/predictions", method="POST", after=True)
        faults.add(Reset(), path="/v1/predictions", method="POST", after=random.random() < 0.7)
        faults.add(Reset(), path="/v1/predictions/")
        faults.add(Truncate(0.5, honest=random.random() < 0.5), path="/outputs/")
        faults.add(SlowBody(0.2), path="/outputs/")
    tiles = [a_tile(index, side=4, tiles=40) for index in range(40)]
    ledger = MemoryLedger()
    with (
        fake_cog() as cog,
        gateway_server(tmp_path, cog.url, middleware=faults.around) as gateway,
        _replicate(gateway).open(a_context(40, ledger=ledger)) as session,
        ThreadPoolExecutor(8) as pool,
    ):
        results = list(pool.map(lambda tile: _until_done(session, tile), tiles))
        faults.clear()
        creates = _creates(gateway)
    for tile, result in zip(tiles, results, strict=True):
        np.testing.assert_array_equal(result.rgb, enlarged(tile))
    assert faults.done > 40
    assert sum(creates.values()) == 40 + ledger.ended("unusable")
    assert len(creates) == 40
    assert not ledger.open


def test_kill_9_at_any_moment_is_paid_for_once(tmp_path: Path) -> None:
    count, random, kills = 12, Random(5), 0
    job = tmp_path / "job"
    with fake_cog(seconds=0.05) as cog, gateway_server(tmp_path, cog.url) as gateway:
        command = [
            sys.executable,
            "-m",
            "tests.support.run_tiles",
            gateway.url,
            gateway.token,
            gateway.version,
        ]
        while True:
            process = subprocess.Popen([*command, str(job), str(count)], cwd=ROOT)
            try:
                # Starting Python and PyTorch takes most of the time: the kills fall after the first call.
                begun = len(gateway.predictions())
                while process.poll() is None and len(gateway.predictions()) == begun:
                    time.sleep(0.01)
                process.wait(random.random() * 1.2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
            else:
                assert process.returncode == 0
                break
        creates = _creates(gateway)
    assert kills >= 2
    assert len(creates) == count
    assert set(creates.values()) == {1}
    with closing(Job(job, {"test": "run_tiles"})) as folder:
        assert folder.intact() == set(range(count))
        for index in range(count):
            stored = folder.tile(index)
            wanted = enlarged(a_tile(index, tiles=count))
            assert (stored.width, stored.height) == (wanted.shape[1], wanted.shape[0])
        assert not folder.open_intents()


def test_stop_cancels_at_the_gateway(tmp_path: Path) -> None:
    context = a_context(4)
    with fake_cog(seconds=30.0) as cog, gateway_server(tmp_path, cog.url) as gateway:
        with _replicate(gateway).open(context) as session, ThreadPoolExecutor(1) as pool:
            running = pool.submit(session.run, a_tile(1, tiles=4))
            while not cog.running:
                time.sleep(0.01)
            start = time.monotonic()
            context.stop.set()
            assert isinstance(running.exception(), StoppedError)
            assert time.monotonic() - start < 5
        assert [found["status"] for found in gateway.predictions()] == ["canceled"]


# Real weights


@pytest.fixture(scope="module")
def cogs(real_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CogServer, ...]]:
    """Two containers."""
    weights = {"LUXSCALER_WEIGHTS": str(real_weights)}
    with (
        cog_server(tmp_path_factory.mktemp("one"), **weights) as one,
        cog_server(tmp_path_factory.mktemp("two"), **weights) as two,
    ):
        yield one, two


@pytest.fixture(scope="module")
def master() -> tuple[MasterContext, list[Tile]]:
    """Three tiles of 48 pixels of the sample photo, and the photo as their reference."""
    reference = read_picture(SAMPLE / "master.jpg")
    height, width, side = reference.height, reference.width, 48
    context = MasterContext(TileSettings(4.0, "fast", 1.2), reference, 3, MemoryLedger())
    tiles = []
    for index, (x, y) in enumerate(((40, 60), (301, 211), (590, 370))):
        rgb = np.ascontiguousarray(reference.rgb[y : y + side, x : x + side])
        box = TileBox(x / width, y / height, side / width, side / height)
        tiles.append(Tile(index, 1, Picture(rgb, None, reference.source), box, (4 * side, 4 * side)))
    assert not reference.source.is_float
    return context, tiles


def _locally(context: MasterContext, tiles: list[Tile]) -> list[TileOutput]:
    with LocalBackend(Models(UpscalerOptions())).open(context) as session:
        return [session.run(tile).on_host() for tile in tiles]


def _compare(backend: Backend, context: MasterContext, tiles: list[Tile]) -> None:
    expected = _locally(context, tiles)
    with backend.open(replace(context, ledger=MemoryLedger())) as session, ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda tile: _until_done(session, tile), tiles))
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.rgb, wanted.rgb, atol=CLOSE)
        assert (result.alpha is None) == (wanted.alpha is None)
        if result.alpha is not None and wanted.alpha is not None:
            np.testing.assert_allclose(result.alpha, wanted.alpha, atol=CLOSE)
        assert result.seconds > 0


def test_containers_give_what_this_machine_gives(
    cogs: tuple[CogServer, ...], master: tuple[MasterContext, list[Tile]]
) -> None:
    _compare(CogBackend([cog.url for cog in cogs]), *master)


def test_the_model_photo_too(cogs: tuple[CogServer, ...], master: tuple[MasterContext, list[Tile]]) -> None:
    context, tiles = master
    context = replace(context, settings=TileSettings(2.5, "photo", 1.0))
    size = (120, 120)
    _compare(CogBackend([cogs[0].url]), context, [replace(tiles[1], output_size=size)])


def test_tiles_with_alpha_too(cogs: tuple[CogServer, ...], master: tuple[MasterContext, list[Tile]]) -> None:
    """Colour that nobody sees does not travel: what is compared is what is seen."""
    context, tiles = master
    tile = tiles[0]
    alpha = np.linspace(0.2, 1.0, 48 * 48, dtype=np.float32).reshape(48, 48)
    translucent = replace(tile, picture=replace(tile.picture, alpha=alpha))
    _compare(CogBackend([cogs[0].url]), context, [translucent])


def test_a_dark_tile_of_an_hdr_master_too(
    cogs: tuple[CogServer, ...], master: tuple[MasterContext, list[Tile]]
) -> None:
    """The container sees no highlight in it; this machine knows of those in the master."""
    context, tiles = master
    _compare(CogBackend([cogs[0].url]), replace(context, is_hdr=True), [tiles[2]])


def test_replicate_by_the_gateway_gives_what_this_machine_gives(
    cogs: tuple[CogServer, ...], master: tuple[MasterContext, list[Tile]], tmp_path: Path
) -> None:
    with gateway_server(tmp_path, *(cog.url for cog in cogs)) as gateway:
        _compare(_replicate(gateway), *master)
        assert len(gateway.predictions()) == 3
        assert {found["status"] for found in gateway.predictions()} == {"succeeded"}


def test_a_container_that_is_killed_gives_its_tiles_to_the_other(
    cogs: tuple[CogServer, ...],
    master: tuple[MasterContext, list[Tile]],
    real_weights: Path,
    tmp_path: Path,
) -> None:
    context, tiles = master
    expected = _locally(context, tiles)
    many = [replace(tile, attempt=attempt) for attempt in range(1, 9) for tile in tiles]
    with (
        cog_server(tmp_path, LUXSCALER_WEIGHTS=str(real_weights)) as victim,
        CogBackend([cogs[0].url, victim.url]).open(replace(context, ledger=MemoryLedger())) as session,
        ThreadPoolExecutor(2) as pool,
    ):
        results = [pool.submit(_until_done, session, tile) for tile in many]
        time.sleep(0.5)
        victim.process.kill()
        for tile, result in zip(many, results, strict=True):
            np.testing.assert_allclose(result.result().rgb, expected[tile.index].rgb, atol=CLOSE)
