"""A Ledger in memory, which outlives the backends of a test, and may end the process at any of its calls.

    ledger = MemoryLedger()
    ledger.crash_at = "before announce"      # the next backend's next announce raises Crash, once
    ...                                      # a new backend on the same ledger is the process after the crash

Crash is a BaseException, as nothing may catch it: `kill -9` is not caught either.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from luxscaler.backends.base import Intent

STEPS = ("announce", "created", "settle", "remember")


class Crash(BaseException):
    """The process ends here."""


@dataclass
class MemoryLedger:
    """What the words on disk would be."""

    now: Callable[[], float] = time.time
    crash_at: str | None = None
    """"before STEP" or "after STEP", a step of STEPS: the next such call raises Crash."""
    open: dict[int, Intent] = field(default_factory=dict)
    outcomes: list[tuple[Intent, str, float, float]] = field(default_factory=list)
    words: dict[str, str] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _number: int = 0

    def announce(self, tile: int, marker: str) -> int:
        with self._step("announce"):
            self._number += 1
            self.open[self._number] = Intent(self._number, tile, marker, None, self.now())
            return self._number

    def created(self, number: int, prediction: str) -> None:
        with self._step("created"):
            self.open[number] = replace(self.open[number], prediction=prediction)

    def settle(self, number: int, outcome: str, seconds: float = 0.0, dollars: float = 0.0) -> None:
        with self._step("settle"):
            self.outcomes.append((self.open.pop(number), outcome, seconds, dollars))

    def open_intents(self, tile: int | None = None) -> tuple[Intent, ...]:
        with self._lock:
            return tuple(intent for intent in self.open.values() if tile in (None, intent.tile))

    def spent(self) -> float:
        with self._lock:
            return sum(dollars for _, _, _, dollars in self.outcomes)

    def remember(self, key: str, value: str) -> None:
        with self._step("remember"):
            self.words[key] = value

    def recall(self, key: str) -> str | None:
        with self._lock:
            return self.words.get(key)

    def ended(self, outcome: str) -> int:
        """How many calls were settled so."""
        with self._lock:
            return sum(entry[1] == outcome for entry in self.outcomes)

    def everything(self) -> str:
        """All that it would have written."""
        with self._lock:
            return repr((self.open, self.outcomes, self.words))

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        with self._lock:
            self._crash_if(f"before {name}")
            yield
            self._crash_if(f"after {name}")

    def _crash_if(self, place: str) -> None:
        if self.crash_at == place:
            self.crash_at = None
            raise Crash(place)
