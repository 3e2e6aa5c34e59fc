"""A thread's end can be waited for, whatever interrupts."""

import _thread
import threading
import time

import pytest

from luxscaler.threads import Worker


def test_it_runs_once_and_its_end_is_known() -> None:
    ran, go = [], threading.Event()
    worker = Worker(lambda: ran.append(go.wait()), "test")
    assert worker.ended_within(0.0)  # not begun: nobody is waited for
    worker.start()
    assert not worker.ended_within(0.01)
    go.set()
    worker.wait()
    assert worker.ended_within(0.0)
    assert ran == [True]


def test_an_interrupt_of_the_wait_comes_once_the_work_is_done() -> None:
    done: list[str] = []

    def work() -> None:
        time.sleep(0.05)
        _thread.interrupt_main()
        time.sleep(0.1)
        done.append("all of it")

    worker = Worker(work, "test")
    worker.start()
    with pytest.raises(KeyboardInterrupt):
        worker.wait()
    assert done == ["all of it"]


def test_work_that_fails_has_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fail() -> None:
        raise ZeroDivisionError

    worker = Worker(fail, "test")
    worker.start()
    worker.wait()
    assert worker.ended_within(0.0)
