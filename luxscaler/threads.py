"""Threads whose end can be waited for although Ctrl-C may come at any moment.

An exception out of `Thread.join` makes Python 3.11 and 3.12 take a running thread for an ended one: nobody
waits for it any more, and the interpreter aborts ("terminate called without an active exception") when it
ends under a thread that computes. Here the end is an event, and an interrupt while it is waited for is
raised once it has come.
"""

import threading
from collections.abc import Callable

_BEGIN_SECONDS = 1.0
"""In which a thread begins that is going to, after an interrupt of its start."""


class Worker:
    """A thread that runs `work` once; daemon, so that one that hangs does not keep the program."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        """name: of the thread, for debuggers."""
        self._work = work
        self._began, self._ended = threading.Event(), threading.Event()
        self._started = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._started = True
        try:
            self._thread.start()
        except BaseException:
            if not self._began.wait(_BEGIN_SECONDS):  # it never will, and nobody may wait for it
                self._ended.set()
            raise

    def ended_within(self, seconds: float) -> bool:
        """Wait at most that long; whether it has ended. An interrupt is raised at once."""
        return not self._started or self._ended.wait(seconds)

    def wait(self) -> None:
        """Wait until it has ended. An interrupt is raised afterwards."""
        interrupt: KeyboardInterrupt | None = None
        while self._started and not self._ended.is_set():
            try:
                self._ended.wait()
            except KeyboardInterrupt as error:  # noqa: PERF203 - the wait has to begin again
                interrupt = error
        if interrupt is not None:
            raise interrupt

    def _run(self) -> None:
        self._began.set()
        try:
            self._work()
        finally:
            self._ended.set()
