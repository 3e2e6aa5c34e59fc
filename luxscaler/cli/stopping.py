"""Ctrl-C, `kill` and a closed terminal end the work cleanly; a second signal ends the process at once.

The first signal raises KeyboardInterrupt in the main thread and sets an event for the others. Incomplete
files are removed on the way out, finished tiles stay in their job folder, and paid predictions are canceled.
The exit status is the shell's: 128 + the signal's number.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
STATUSES = frozenset(128 + number for number in SIGNALS)
_SHOW_CURSOR = b"\x1b[?25h"


class Stopping:
    """Whether the user wants to stop, and by which signal."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._number = int(signal.SIGINT)

    @property
    def status(self) -> int:
        """The exit status of a program that this signal stopped."""
        return 128 + self._number

    def take(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler."""
        if self.event.is_set():
            # Not print(): the signal may have interrupted another one, which a stream does not allow.
            os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + b"stopped at once\n")
            os._exit(128 + number)
        self._number = number
        self.event.set()
        raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stopping]:
    """Handle SIGNALS by a `Stopping` while the block runs; only the main thread can, elsewhere it does
    nothing.

    A signal that was ignored before, as SIGHUP is under nohup, stays ignored.
    """
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {}
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, stopping.take)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_at_once(number: int, _frame: FrameType | None) -> None:
    """The signal handler until the command line is understood, when no work has begun."""
    os.write(2, b"interrupted: nothing was written\n")
    os._exit(128 + number)
