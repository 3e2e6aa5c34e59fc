"""What a quick test may cost, and who pays for it."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support import processor_time
from tests.support.examples import LEAST, examples
from tests.support.processor_time import ProcessorTime, slowness, spent


def _work(seconds: float) -> None:
    before = spent()
    while spent() - before < seconds:
        sum(range(1000))


def _run(
    plugin: ProcessorTime, seconds: float, *, marks: tuple[str, ...] = (), examples: bool = False
) -> None:
    """The plugin around a test of so many processor seconds."""
    test = SimpleNamespace(is_hypothesis_test=examples)
    marker = dict.fromkeys(marks, True)
    item = SimpleNamespace(obj=test, stash=pytest.Stash(), get_closest_marker=marker.get)
    hook = plugin.pytest_runtest_call(cast("pytest.Item", item))
    next(hook)
    _work(seconds)
    with pytest.raises(StopIteration):
        hook.send(None)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_time, "slowness", lambda: 1.0)


@pytest.mark.usefixtures("fast")
def test_a_test_that_takes_too_long_fails_unless_it_is_slow() -> None:
    plugin = ProcessorTime(limit=0.02, factor_of_examples=5)
    _run(plugin, 0.0)
    _run(plugin, 0.03, marks=("slow",))
    _run(plugin, 0.03, examples=True)
    with pytest.raises(pytest.fail.Exception, match=r"took 0\.0 s of processor time.* mark it slow"):
        _run(plugin, 0.03)


def test_a_slow_processor_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slowness() >= 1.0
    monkeypatch.setattr(processor_time, "YARDSTICK_SECONDS", 1e-6)
    assert slowness() > 10.0
    _run(ProcessorTime(limit=0.02), 0.03)


@pytest.mark.usefixtures("fast")
def test_what_a_fixture_of_the_test_costs_counts_and_that_of_a_module_does_not() -> None:
    plugin, stash = ProcessorTime(), pytest.Stash()
    request: Any = SimpleNamespace(node=SimpleNamespace(stash=stash))
    for scope, expected in (("module", 0.0), ("function", 0.02)):
        fixture: Any = SimpleNamespace(scope=scope)
        hook = plugin.pytest_fixture_setup(fixture, request)
        next(hook)
        _work(0.02)
        with pytest.raises(StopIteration):
            hook.send(None)
        assert stash.get(processor_time._OWN, 0.0) >= expected
        assert (stash.get(processor_time._OWN, 0.0) > 0) == (expected > 0)


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
