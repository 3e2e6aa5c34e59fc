"""Holds quick tests to what a quick test may cost: seconds of processor time, not of a clock on the wall.

Counted are this process, all its threads, and the processes that it started, for the test itself and the
fixtures made for it alone. Fixtures of a module or a session are made once, and are not counted. Before a
test fails, a fixed piece of work is measured: on a slow or shared processor the limit is larger.
"""

import os
import resource
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

LIMIT_SECONDS = 2.5
"""Of processor time, for one quick test on a processor that does YARDSTICK_STEPS in YARDSTICK_SECONDS."""
THOROUGH_FACTOR = 10
"""Tests of random examples look at so many times as many in the whole run."""
YARDSTICK_STEPS = 400_000
YARDSTICK_SECONDS = 0.015
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_TASKS = "/proc/self/task"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def spent() -> float:
    """Seconds of processor time of this process and of its children, those that still run included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(_of_child, _children()))


def _children() -> set[str]:
    """Their numbers; empty on systems that do not list them."""
    try:
        tasks = os.listdir(_TASKS)  # noqa: PTH208 - Path costs five times as much, twice a test
    except OSError:
        return set()
    return {pid for task in tasks for pid in _read(f"{_TASKS}/{task}/children").split()}


def _of_child(pid: str) -> float:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS  # utime, stime, cutime, cstime


def _read(path: str) -> str:
    """Its text; empty if the process or thread has just ended."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(file, 1 << 16).decode()
    except OSError:
        return ""
    finally:
        os.close(file)


def slowness() -> float:
    """How many times as long as on the machine of YARDSTICK_SECONDS Python takes now; at least 1."""
    start, total = time.process_time(), 0
    for step in range(YARDSTICK_STEPS):
        total += step & 7
    return max(1.0, (time.process_time() - start) / YARDSTICK_SECONDS)


class ProcessorTime:
    """A pytest plugin: fails a test that is not marked slow and takes longer than `limit` seconds."""

    def __init__(
        self,
        limit: float = LIMIT_SECONDS,
        factor_of_examples: float = 1,
        *,
        clock: Callable[[], float] = spent,
        slowness: Callable[[], float] = slowness,
        wall: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._limit = limit
        self._clock, self._slowness, self._wall = clock, slowness, wall
        self._began_on_wall = 0.0
        self._factor_of_examples = factor_of_examples
        self._began = 0.0
        self._shared = 0.0
        """Seconds since then that went into fixtures of more than this test."""
        self._in_shared = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """The test begins."""
        self._began, self._shared = self._clock(), 0.0
        self._began_on_wall = self._wall()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Leave out what a fixture of a module or a session costs."""
        if fixturedef.scope == "function" or self._in_shared:
            return (yield)
        before, self._in_shared = self._clock(), True
        try:
            return (yield)
        finally:
            self._in_shared = False
            self._shared += self._clock() - before

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Look at what the test and its fixtures cost, once it has passed."""
        result = yield
        # Nothing takes longer than all cores together; and children are asked for their times one by one.
        is_short = (self._wall() - self._began_on_wall) * _CORES < self._limit
        if not is_short and item.get_closest_marker("slow") is None:
            self._check(item, self._clock() - self._began - self._shared)
        return result

    def _check(self, item: pytest.Item, seconds: float) -> None:
        has_examples = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        limit = self._limit * (self._factor_of_examples if has_examples else 1)
        if seconds > limit and seconds > (limit := limit * self._slowness()):
            pytest.fail(
                f"this test took {seconds:.1f} s of processor time, and one that is not marked slow may take "
                f"{limit:.1f} s: make it cheaper, or mark it slow beside a quick test of the same code",
                pytrace=False,
            )
