"""Many small changes, one wait for the disk: changes that come at the same time share a transaction.

Whoever comes first commits for all that have come meanwhile; each is told only when its change is on disk.
One that fails takes nothing of the others with it.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from luxscaler.console.database import Database

T = TypeVar("T")
_MOST = 200
"""In one transaction: others want to write too."""


@dataclass
class _Entry:
    """One change that waits."""

    change: Callable[[], Any]
    woken: threading.Event = field(default_factory=threading.Event)
    """It is done, or has to commit for itself and those behind it."""
    is_done: bool = False
    value: Any = None
    error: BaseException | None = None


class GroupCommit:
    """The shared transactions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._has_leader = False

    def run(self, change: Callable[[], T]) -> T:
        """Do `change`, which changes the database, and return what it returns once that is on disk.

        Raises what it raises, and sqlite3.Error if the transaction fails; then nothing of it is kept.
        """
        entry = _Entry(change)
        with self._lock:
            self._waiting.append(entry)
            leads, self._has_leader = not self._has_leader, True
        if not leads:
            entry.woken.wait()
        if not entry.is_done:
            self._lead()
        if entry.error is not None:
            raise entry.error
        value: T = entry.value
        return value

    def _lead(self) -> None:
        """Commit the first that wait; the next of those that have come meanwhile leads on."""
        with self._lock:
            taken, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        try:
            with self._database.transaction():
                for entry in taken:
                    self._try(entry)
        except Exception as error:
            for entry in taken:
                entry.error = error
        finally:
            for entry in taken:
                entry.is_done = True
                entry.woken.set()
            with self._lock:
                self._has_leader = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].woken.set()

    def _try(self, entry: _Entry) -> None:
        """Do one; what it raises undoes it alone."""
        self._database.run("SAVEPOINT one")
        try:
            entry.value = entry.change()
        except Exception as error:
            self._database.run("ROLLBACK TO one")
            entry.error = error
        self._database.run("RELEASE one")
