"""What a quick test may cost, and who pays for it."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import processor_time
from tests.support.examples import LEAST, examples
from tests.support.processor_time import ProcessorTime, slowness, spent


def _work(seconds: float) -> None:
    before = spent()
    while spent() - before < seconds:
        sum(range(1000))


def _through(hook: Any, seconds: float) -> None:
    """A wrapper of pluggy around work of so many processor seconds."""
    next(hook)
    _work(seconds)
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


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_time, "slowness", lambda: 1.0)


@pytest.mark.usefixtures("fast")
def test_a_test_that_takes_too_long_fails_unless_it_is_slow() -> None:
    plugin = ProcessorTime(limit=0.05, factor_of_examples=5)
    _run(plugin, 0.0)
    _run(plugin, 0.08, marks=("slow",))
    _run(plugin, 0.08, examples=True)
    with pytest.raises(pytest.fail.Exception, match=r"took 0\.\d s of processor time.* mark it slow"):
        _run(plugin, 0.08)


def test_a_slow_processor_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slowness() >= 1.0
    monkeypatch.setattr(processor_time, "YARDSTICK_SECONDS", 1e-6)
    assert slowness() > 10.0
    _run(ProcessorTime(limit=0.05), 0.08)


@pytest.mark.usefixtures("fast")
def test_what_a_fixture_of_the_test_costs_counts_and_that_of_a_module_does_not() -> None:
    plugin = ProcessorTime(limit=0.05)
    _run(plugin, 0.0, fixtures=(("module", 0.08), ("session", 0.08)))
    _run(plugin, 0.0)
    with pytest.raises(pytest.fail.Exception):
        _run(plugin, 0.0, fixtures=(("module", 0.01), ("function", 0.08)))


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


def test_the_inner_loop_looks_at_a_fifth(monkeypatch: pytest.MonkeyPatch) -> None:
    for profile, expected in (("quick", [3, LEAST, 12]), ("thorough", [3, 20, 60])):
        settings: Any = SimpleNamespace(get_current_profile_name=lambda profile=profile: profile)
        monkeypatch.setattr("tests.support.examples.settings", settings)
        assert [examples(count) for count in (3, 20, 60)] == expected
