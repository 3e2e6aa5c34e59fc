"""Tiles under way at once: who may use the device, what a cancelled one leaves, when files go."""

import asyncio
import gc
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from luxscaler.cog.data_urls import data_url
from luxscaler.errors import ExportError, InputError, UpscaleError
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.pipeline import server as server_module
from luxscaler.pipeline.remote import FetchSettings
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.result import Result
from luxscaler.pipeline.server import TileServer
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.web.reach import Reach
from tests.support.hostile_server import Hostile, drip, hostile_server, whole
from tests.support.picture_files import noise, pillow

SECONDS = 10.0
"""For what must happen; nothing waits as long unless a test fails."""


class Walk:
    """Stands in for the three parts of tile.py: says which tile is where, and stays there until let go.

    Tiles are told apart by `tile_input`.
    """

    def __init__(self) -> None:
        self.where: dict[str, str] = {}
        self.most = {"read": 0, "device": 0, "write": 0}
        self.fails: dict[tuple[str, str], Exception] = {}
        self._open: set[tuple[str, str]] = set()
        self._all_open = False
        self._changed = threading.Condition()

    def let_go(self, *steps: tuple[str, str]) -> None:
        """Let tiles leave steps; without any, all leave all."""
        with self._changed:
            self._open.update(steps)
            self._all_open = self._all_open or not steps
            self._changed.notify_all()

    async def reaches(self, name: str, step: str) -> None:
        """Wait until the tile is there."""
        async with asyncio.timeout(SECONDS):
            while self.where.get(name) != step:
                await asyncio.sleep(0.005)

    def step(self, name: str, step: str, check: Callable[..., None] = lambda: None) -> None:
        """Be there until let go."""
        with self._changed:
            self.where[name] = step
            self.most[step] = max(self.most[step], sum(there == step for there in self.where.values()))
            while not self._all_open and (name, step) not in self._open:
                check()
                self._changed.wait(0.01)
            self.where[name] = f"past {step}"
        if (name, step) in self.fails:
            raise self.fails[name, step]


@pytest.fixture(scope="module", autouse=True)
def _threads_end_with_their_servers() -> Iterator[None]:
    """Futures and tracebacks hold servers in circles, and 80 threads would be there for all later tests."""
    yield
    gc.collect()


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch) -> Walk:
    made = Walk()

    def read(request: UpscaleRequest, names: tuple[str, str]) -> str:
        assert names == ("tile_input", "global_reference")
        made.step(str(request.source), "read")
        return str(request.source)

    def render(name: str, _upscaler: object, progress: Callable[..., None]) -> str:
        made.step(name, "device", progress)
        return name

    def write(name: str, path: Path) -> Result:
        made.step(name, "write")
        path.write_text(name)
        return Result(path, 1, 1, 1.0, timings={"network": 1.0})

    monkeypatch.setattr(server_module, "read_sources", read)
    monkeypatch.setattr(server_module, "render_sources", render)
    monkeypatch.setattr(server_module, "write_finished", write)
    return made


def _server(*, overlap: bool, slots: int = 2, cores: int | None = None) -> TileServer:
    no_upscaler: Any = lambda _model: None  # noqa: E731
    fetching = FetchSettings(Reach.parse("127.0.0.0/8", "here"))
    return TileServer(no_upscaler, overlap=overlap, slots=slots, fetching=fetching, cores=cores)


def _start(server: TileServer, name: str, output_format: str = "exr") -> asyncio.Task[Result]:
    return asyncio.create_task(server.process(UpscaleRequest(Path(name), output_format=output_format)))


async def _end(task: asyncio.Task[Result]) -> Result:
    async with asyncio.timeout(SECONDS):
        return await task


def test_the_next_tile_is_on_the_device_while_the_former_is_written(walk: Walk) -> None:
    async def scenario() -> None:
        server = _server(overlap=True)
        first = _start(server, "a")
        walk.let_go(("a", "read"), ("a", "device"))
        await walk.reaches("a", "write")
        second = _start(server, "b")
        walk.let_go(("b", "read"))
        await walk.reaches("b", "device")
        assert walk.where["a"] == "write"
        walk.let_go()
        assert (await _end(first)).path.read_text() == "a"
        assert (await _end(second)).path.read_text() == "b"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("output_format", "cores", "encoders"),
    [
        ("exr", 4, 2),
        ("tiff", 1, 2),
        ("avif", 4, 2),
        ("webp", 1, 1),
        ("webp", 3, 3),
        ("png", 3, 3),
        ("jpg", 3, 3),
    ],
)
def test_one_tile_on_the_device_and_as_many_in_encoders_as_their_threads_suggest(
    walk: Walk, output_format: str, cores: int, encoders: int
) -> None:
    names = "abcdef"
    expected = sorted(["write"] * encoders + ["past device"] + ["past read"] * (len(names) - encoders - 1))

    async def scenario() -> None:
        server = _server(overlap=True, slots=len(names), cores=cores)
        tasks = [_start(server, name, output_format) for name in names]
        walk.let_go(*((name, "read") for name in names))
        walk.let_go(*((name, "device") for name in names))
        async with asyncio.timeout(SECONDS):
            while sorted(walk.where.values()) != expected:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # the tile that is past the device keeps it: nobody else gets there
        assert sorted(walk.where.values()) == expected
        walk.let_go()
        for task in tasks:
            await _end(task)

    asyncio.run(scenario())
    assert (walk.most["device"], walk.most["write"]) == (1, encoders)


def test_on_a_cpu_a_tile_ends_before_the_next_begins(walk: Walk) -> None:
    async def scenario() -> None:
        server = _server(overlap=False)
        tasks = [_start(server, "a")]
        await walk.reaches("a", "read")  # or the other one may be the first
        tasks.append(_start(server, "b"))
        walk.let_go(("a", "read"), ("a", "device"))
        await walk.reaches("a", "write")
        await asyncio.sleep(0.1)
        assert walk.where == {"a": "write"}
        walk.let_go()
        results = [await _end(task) for task in tasks]
        assert results[0].timings["wait"] < results[1].timings["wait"]
        assert results[1].timings["wait"] >= 0.05

    asyncio.run(scenario())


@pytest.mark.parametrize("step", ["read", "device", "write"])
@pytest.mark.parametrize("overlap", [False, True])
def test_a_tile_that_fails_holds_nothing_up(walk: Walk, step: str, overlap: bool) -> None:
    async def scenario() -> None:
        server = _server(overlap=overlap)
        walk.fails["a", step] = UpscaleError("not finite")
        walk.let_go()
        with pytest.raises(UpscaleError, match="not finite"):
            await _end(_start(server, "a"))
        assert (await _end(_start(server, "b"))).path.read_text() == "b"

    asyncio.run(scenario())


@pytest.mark.parametrize("overlap", [False, True])
def test_a_cancelled_tile_leaves_the_device_and_no_file(
    walk: Walk, overlap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def scenario() -> None:
        server = _server(overlap=overlap)
        walk.let_go(("a", "read"))
        task = _start(server, "a")
        await walk.reaches("a", "device")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await _end(task)
        walk.let_go(*(("b", step) for step in ("read", "device", "write")))
        result = await _end(_start(server, "b"))  # nobody has let "a" go: it went by itself
        assert result.path.is_file()
        async with asyncio.timeout(SECONDS):  # the thread of "a" may still be removing its folder
            while list(tmp_path.iterdir()) != [result.path.parent]:
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_tile_that_is_cancelled_while_it_waits_never_starts(walk: Walk) -> None:
    async def scenario() -> None:
        server = _server(overlap=True)
        walk.let_go(("a", "read"), ("b", "read"))
        first = _start(server, "a")
        await walk.reaches("a", "device")
        second = _start(server, "b")
        await walk.reaches("b", "past read")
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await _end(second)
        await asyncio.sleep(2 * server_module._GLANCE_SECONDS)
        walk.let_go()
        await _end(first)
        await _end(_start(server, "c"))
        assert walk.where["b"] == "past read"

    asyncio.run(scenario())


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_files_stay_as_long_as_a_slot_may_hold_them(walk: Walk, slots: int) -> None:
    async def scenario() -> None:
        server = _server(overlap=True, slots=slots)
        walk.let_go()
        paths = []
        for name in "abcde":
            paths.append((await _end(_start(server, name))).path)
            kept = paths[-slots:]
            assert [path for path in paths if path.exists()] == kept
            assert len({path.parent for path in kept}) == len(kept)

    asyncio.run(scenario())


def test_a_file_goes_after_a_while_though_nothing_follows(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "READ_SECONDS", 0.05)

    async def scenario() -> None:
        walk.let_go()
        result = await _end(_start(_server(overlap=True), "a"))
        assert result.path.read_text() == "a"
        async with asyncio.timeout(SECONDS):
            while result.path.parent.exists():
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_a_file_that_nobody_took_goes_at_once(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def scenario() -> None:
        server = _server(overlap=True)
        task = _start(server, "a")
        walk.let_go(("a", "read"), ("a", "device"))
        await walk.reaches("a", "write")
        task.cancel()
        walk.let_go()
        with pytest.raises(asyncio.CancelledError):
            await _end(task)
        async with asyncio.timeout(SECONDS):
            while list(tmp_path.iterdir()):
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_pictures_are_fetched_and_only_the_result_stays(tiny_network: RRDBNet) -> None:
    picture = pillow(noise(12, 16), "PNG")
    upscaler = Upscaler(tiny_network)
    reach = FetchSettings(Reach.parse("127.0.0.0/8", "here"))
    server = TileServer(lambda _model: upscaler, overlap=False, slots=1, fetching=reach)

    async def scenario(*urls: str) -> None:
        for url in urls:
            result = await server.process(UpscaleRequest(url, url, output_format="exr"))
            assert [path.name for path in result.path.parent.iterdir()] == ["luxscaler.exr"]
            assert result.timings["fetch"] >= 0.0

    with hostile_server(a=whole(picture)) as files:
        asyncio.run(scenario(files.base + "a", data_url("image/png", picture)))


@pytest.mark.parametrize("field", ["source", "reference"])
@pytest.mark.parametrize("text", ["/etc/passwd", "/proc/self/environ", "file:///etc/passwd", "~", "x.png"])
def test_text_is_never_a_path_here_either(walk: Walk, field: str, text: str) -> None:
    named: dict[str, Any] = {field: text}
    request = replace(UpscaleRequest("data:,x", output_format="exr"), **named)

    async def scenario() -> None:
        with pytest.raises(InputError, match="no http or https URL"):
            await _server(overlap=True).process(request)

    asyncio.run(scenario())
    assert walk.where == {}


def test_a_cancel_ends_a_fetch_at_once_and_others_need_not_wait_for_one(
    walk: Walk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def scenario(files: Hostile) -> None:
        server = _server(overlap=False)
        request = UpscaleRequest(files.base + "a", output_format="exr")
        slow = asyncio.create_task(server.process(request))
        async with asyncio.timeout(SECONDS):
            while not files.heads:
                await asyncio.sleep(0.005)
        walk.let_go()
        assert (await _end(_start(server, "quick"))).path.read_text() == "quick"
        slow.cancel()
        start = time.monotonic()
        async with asyncio.timeout(SECONDS):
            while len(list(tmp_path.iterdir())) > 1:
                await asyncio.sleep(0.01)
        assert time.monotonic() - start < 5.0  # the fetch would take more than an hour

    with hostile_server(a=drip()) as files:
        asyncio.run(scenario(files))


@pytest.mark.slow
def test_a_real_tile(tiny_network: RRDBNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_SECONDS", 60.0)  # all are read when all are done
    upscaler = Upscaler(tiny_network)
    server = TileServer(lambda _model: upscaler, overlap=True, slots=2)
    request = UpscaleRequest(pillow(noise(12, 16), "PNG"), output_format="exr")
    wrong = replace(request, output_format="jpg", source=pillow(noise(12, 16, 4), "PNG"))

    async def scenario() -> None:
        tasks = [asyncio.create_task(server.process(some)) for some in (request, wrong, request)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[1], ExportError)
        files = [result.path.read_bytes() for result in results if isinstance(result, Result)]
        assert len(files) == 2
        assert files[0] == files[1]

    asyncio.run(scenario())
