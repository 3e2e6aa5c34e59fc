"""What a quick test may cost, and who pays for it."""

import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.internal.conjecture import providers
from hypothesis.strategies import integers

from tests.support import processor_time
from tests.support.examples import LEAST, examples, leave_out_constants_of_the_code
from tests.support.processor_time import ProcessorTime, slowness, spent


@dataclass
class Processor:
    """Stands in for the processor: work takes as long as it says."""

    seconds: float = 0.0
    asked: int = 0

    def time(self) -> float:
        self.asked += 1
        return self.seconds


PROCESSOR = Processor()


def _through(hook: Any, seconds: float) -> None:
    """A wrapper of pluggy around work of so many processor seconds."""
    next(hook)
    PROCESSOR.seconds += seconds
    with pytest.raises(StopIteration):
        hook.send(None)


def _run(
    plugin: ProcessorTime,
    seconds: float,
    *,
    marks: tuple[str, ...] = (),
    examples: bool = False,
    fixtures: tuple[tuple[str, float], ...] = (),
) -> None:
    """The plugin around a test of so many processor seconds, with fixtures of (scope, seconds)."""
    item: Any = SimpleNamespace(
        obj=SimpleNamespace(is_hypothesis_test=examples), get_closest_marker=dict.fromkeys(marks, True).get
    )
    setup = plugin.pytest_runtest_setup(item)
    next(setup)
    for scope, needed in fixtures:
        fixture: Any = SimpleNamespace(scope=scope)
        _through(plugin.pytest_fixture_setup(fixture), needed)
    with pytest.raises(StopIteration):
        setup.send(None)
    _through(plugin.pytest_runtest_call(item), seconds)


def guard(slow_by: float = 1.0) -> ProcessorTime:
    """With a limit of 3 s, and five times that for random examples."""
    time = PROCESSOR.time
    return ProcessorTime(3.0, 5, clock=time, slowness=lambda: slow_by, wall=time)


def test_a_test_that_takes_too_long_fails_unless_it_is_slow() -> None:
    plugin = guard()
    _run(plugin, 0.0)
    _run(plugin, 4.0, marks=("slow",))
    _run(plugin, 4.0, examples=True)
    with pytest.raises(pytest.fail.Exception, match=r"took 4\.0 s of processor time.* mark it slow"):
        _run(plugin, 4.0)


def test_after_a_moment_nobody_is_asked_what_it_cost() -> None:
    plugin = ProcessorTime(3.0, clock=PROCESSOR.time, wall=lambda: 0.0)
    before = PROCESSOR.asked
    _run(plugin, 0.5)
    assert PROCESSOR.asked == before + 1


def test_a_slow_processor_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_time, "YARDSTICK_SECONDS", 1e3)
    assert slowness() == 1.0
    monkeypatch.setattr(processor_time, "YARDSTICK_SECONDS", 1e-6)
    assert slowness() > 10.0
    _run(guard(slow_by=1.5), 4.0)


def test_what_a_fixture_of_the_test_costs_counts_and_that_of_a_module_does_not() -> None:
    plugin = guard()
    _run(plugin, 0.0, fixtures=(("module", 4.0), ("session", 4.0)))
    _run(plugin, 0.0)
    with pytest.raises(pytest.fail.Exception):
        _run(plugin, 0.0, fixtures=(("module", 1.0), ("function", 4.0)))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="running children are seen on Linux only")
def test_children_count_while_they_run_and_only_once() -> None:
    before = spent()
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        running = spent() - before
        child.communicate(b"\n")
    ended = spent() - before
    assert running > 0.08
    assert ended < running + 0.1


def test_the_inner_loop_looks_at_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile, expected in (("quick", [3, LEAST, 6]), ("thorough", [3, 20, 60])):
        settings: Any = SimpleNamespace(get_current_profile_name=lambda profile=profile: profile)
        monkeypatch.setattr("tests.support.examples.settings", settings)
        assert [examples(count) for count in (3, 20, 60)] == expected


def test_the_inner_loop_looks_for_no_constants_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_get_local_constants", lambda: pytest.fail("looked through all modules"))
    leave_out_constants_of_the_code()
    draws: list[int] = []

    @settings(max_examples=60, database=None, deadline=None)
    @given(integers())
    def draw(number: int) -> None:
        draws.append(number)

    draw()
    assert len(draws) > 40
