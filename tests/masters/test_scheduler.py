"""The scheduler: every tile once, retries within their budget, and clean ends."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest

from luxscaler.backends.base import MasterContext, Output, Tile, TileOutput
from luxscaler.errors import BackendError, StoppedError, TileError
from luxscaler.masters import scheduler
from luxscaler.masters.scheduler import Scheduler, Work
from luxscaler.picture import Picture
from luxscaler.pipeline.request import TileSettings
from tests.support.fake_backend import FakeBackend, Mishap
from tests.support.memory_ledger import MemoryLedger

PICTURE = Picture(np.zeros((2, 2, 3), np.float32))


def failing(message: str = "lost", *, delay: float = 0.0, counts: bool = True) -> Mishap:
    def mishap(tile: Tile, output: TileOutput) -> TileOutput:
        raise TileError(message, delay=delay, counts=counts)

    return mishap


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


@dataclass
class Bench:
    """A scheduler on a FakeBackend, and what it kept."""

    backend: FakeBackend = field(default_factory=FakeBackend)
    jobs: int | None = None
    attempts: int = 3
    stop: threading.Event = field(default_factory=threading.Event)
    cut: Callable[[int, int], None] = lambda _number, _attempt: None
    check: Callable[[Tile, Output], None] = lambda _tile, _output: None
    keep: Callable[[Tile, Output], None] = lambda _tile, _output: None
    retried: Callable[[int, TileError], None] = lambda _number, _error: None
    kept: list[int] = field(default_factory=list)
    retries: list[tuple[int, str]] = field(default_factory=list)

    def run(self, tiles: Iterable[int]) -> None:
        settings = TileSettings(2.0)
        context = MasterContext(settings, None, 1, MemoryLedger(), stop=self.stop)
        work = Work(self._cut, self.check, self._keep, self._retried)
        with self.backend.open(context) as session:
            Scheduler(session, work, name="fake", jobs=self.jobs, attempts=self.attempts, stop=self.stop).run(
                list(tiles)
            )

    def _cut(self, number: int, attempt: int) -> Tile:
        self.cut(number, attempt)
        return Tile(number, attempt, PICTURE, None, (4, 4))

    def _keep(self, tile: Tile, output: Output) -> None:
        self.keep(tile, output)
        self.kept.append(tile.index)

    def _retried(self, number: int, error: TileError) -> None:
        self.retried(number, error)
        self.retries.append((number, str(error)))


def with_mishaps(
    mishaps: dict[tuple[int, int], Mishap], workers: int = 2, seconds: float = 0.0
) -> FakeBackend:
    return FakeBackend(workers=workers, seconds=seconds, mishaps=mishaps)


@pytest.mark.parametrize("workers", [1, 3, 50])
def test_every_tile_is_done_once(workers: int) -> None:
    bench = Bench(FakeBackend(workers=workers))
    bench.run(range(20))
    assert sorted(bench.kept) == list(range(20))
    assert sorted(bench.backend.calls) == [(number, 1) for number in range(20)]


@pytest.mark.parametrize(("workers", "jobs", "most"), [(3, None, 3), (3, 2, 2), (2, 9, 2)])
def test_no_more_tiles_at_once_than_workers_or_jobs(workers: int, jobs: int | None, most: int) -> None:
    bench = Bench(FakeBackend(workers=workers, seconds=0.02), jobs=jobs)
    bench.run(range(12))
    assert bench.backend.most_at_once == most


def test_tiles_are_begun_row_by_row_whatever_order_they_are_given_in() -> None:
    bench = Bench(FakeBackend(workers=1))
    bench.run([5, 1, 9, 0, 4])
    assert bench.kept == [0, 1, 4, 5, 9]


def test_nothing_to_do_is_done_at_once() -> None:
    Bench().run([])


def test_a_failed_tile_is_tried_again_with_the_next_number_and_counted() -> None:
    bench = Bench(with_mishaps({(1, 1): failing("first"), (1, 2): failing("second")}))
    bench.run(range(3))
    assert sorted(bench.backend.calls) == [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1)]
    assert bench.retries == [(1, "first"), (1, "second")]


def test_what_the_check_refuses_is_tried_again() -> None:
    seen: list[int] = []

    def check(tile: Tile, _: Output) -> None:
        seen.append(tile.attempt)
        if tile.attempt < 3:
            raise TileError("wrong")

    bench = Bench(check=check)
    bench.run([7])
    assert seen == [1, 2, 3]
    assert bench.kept == [7]


def test_a_failure_that_does_not_count_costs_no_attempt() -> None:
    busy = iter([True] * 5 + [False])

    def check(tile: Tile, _: Output) -> None:
        assert tile.attempt == 1
        if next(busy):
            raise TileError("busy", counts=False)

    bench = Bench(check=check, attempts=1)
    bench.run([0])
    assert len(bench.retries) == 5


def test_failures_that_do_not_count_end_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "MAX_FREE_RETRIES", 4)
    bench = Bench(with_mishaps({(0, 1): failing("busy", counts=False)}))
    with pytest.raises(BackendError, match=r"^fake: tile 0 failed 4 times; the last: busy$"):
        bench.run([0])


@pytest.mark.slow
def test_the_next_attempt_waits_as_long_as_asked_and_others_go_on_meanwhile() -> None:
    bench = Bench(with_mishaps({(0, 1): failing(delay=0.3)}, workers=1))
    started = time.monotonic()
    bench.run(range(4))
    assert bench.kept == [1, 2, 3, 0]
    assert time.monotonic() - started >= 0.3


def test_the_end_of_the_budget_names_tile_attempts_and_reason() -> None:
    mishaps = {(2, attempt): failing(f"reason {attempt}") for attempt in (1, 2, 3)}
    bench = Bench(with_mishaps(mishaps))
    with pytest.raises(BackendError, match=r"^fake: tile 2 failed 3 times; the last: reason 3$") as caught:
        bench.run([2])
    assert isinstance(caught.value.__cause__, TileError)


def test_after_an_error_tiles_under_way_are_kept_and_none_is_begun() -> None:
    others_run = threading.Barrier(3)

    def meet(tile: Tile, output: TileOutput) -> TileOutput:
        others_run.wait(5)
        if tile.index == 0:
            raise TileError("broken")
        time.sleep(0.2)
        return output

    mishaps: dict[tuple[int, int], Mishap] = {(number, 1): meet for number in range(3)}
    bench = Bench(with_mishaps(mishaps, workers=3), attempts=1)
    with pytest.raises(BackendError, match="tile 0"):
        bench.run(range(9))
    assert sorted(bench.kept) == [1, 2]
    assert len(bench.backend.calls) == 3


@pytest.mark.parametrize("part", ["cut", "check", "keep", "retried"])
def test_other_exceptions_reach_the_caller(part: str) -> None:
    error = ZeroDivisionError(part)
    bench = Bench(with_mishaps({(1, 1): failing()}))
    setattr(bench, part, raising(error))
    with pytest.raises(ZeroDivisionError) as caught:
        bench.run(range(4))
    assert caught.value is error


def test_stop_ends_the_work_promptly() -> None:
    bench = Bench(FakeBackend(workers=2, seconds=20.0))
    threading.Timer(0.1, bench.stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError, match=r"^stopped$"):
        bench.run(range(9))
    assert time.monotonic() - started < 3.0
    assert bench.kept == []


def test_stop_ends_a_long_delay() -> None:
    bench = Bench(with_mishaps({(0, 1): failing(delay=60.0)}))
    threading.Timer(0.1, bench.stop.set).start()
    started = time.monotonic()
    with pytest.raises(StoppedError):
        bench.run([0])
    assert time.monotonic() - started < 3.0


def test_stopped_before_the_first_tile_begins_none() -> None:
    bench = Bench()
    bench.stop.set()
    with pytest.raises(StoppedError):
        bench.run(range(3))
    assert bench.backend.calls == []


@pytest.mark.slow
def test_ctrl_c_stops_the_workers_and_waits_for_them() -> None:
    bench = Bench(FakeBackend(workers=2, seconds=20.0))
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(StoppedError, match=r"^stopped$"):
        bench.run(range(9))
    assert bench.stop.is_set()
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("tiles-") and thread.is_alive()
    ]
