"""The database of a job folder: the ledger of paid calls, and notes; job.py has the facts and the tiles.

Every change is on the disk, not in a cache, when the method returns.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from luxscaler.backends.base import Intent
from luxscaler.errors import JobError
from luxscaler.threads import Worker

FILE_NAME = "job.sqlite3"
_BUSY_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tiles (
    number INTEGER PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, alpha INTEGER NOT NULL,
    crc INTEGER NOT NULL, attempts INTEGER NOT NULL, seconds REAL NOT NULL, dollars REAL NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY AUTOINCREMENT, tile INTEGER NOT NULL, marker TEXT NOT NULL,
    announced REAL NOT NULL, prediction TEXT, outcome TEXT,
    seconds REAL NOT NULL DEFAULT 0, dollars REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


def paid_in(folder: Path) -> float:
    """Dollars that a job in that folder has paid for; 0 where there is none. Raises JobError."""
    path = folder / FILE_NAME
    if not path.is_file():
        return 0.0
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as database:
            ((total,),) = database.execute("SELECT COALESCE(SUM(dollars), 0) FROM calls")
        return float(total)
    except sqlite3.Error as error:
        raise JobError(f"{str(folder)!r} cannot be read: {error}") from error


class StoredLedger:
    """The Ledger of the backends (backends/base.py) in SQLite. Every method may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Open the database in an existing folder, or create it. Raises JobError."""
        self.folder = folder
        self._lock = threading.RLock()
        self._settling: Worker | None = None
        try:
            self._database = sqlite3.connect(
                folder / FILE_NAME, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._error(error) from error
        try:
            # FULL: a call is announced on disk, not in a cache, before it is made.
            self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
        except sqlite3.Error as error:
            self._database.close()
            raise self._error(error) from error

    def close(self) -> None:
        """Close the database, once what `remember_after` waits for is done."""
        if self._settling is not None:
            self._settling.wait()
        with self._lock:
            self._database.close()

    def announce(self, tile: int, marker: str) -> int:
        """Note a paid call before it is made, and return its number."""
        sql = "INSERT INTO calls (tile, marker, announced) VALUES (?, ?, ?)"
        return self._execute(sql, (tile, marker, time.time()))

    def created(self, number: int, prediction: str) -> None:
        """Note the id that the service gave the call."""
        self._execute("UPDATE calls SET prediction = ? WHERE number = ?", (prediction, number))

    def settle(self, number: int, outcome: str, seconds: float = 0.0, dollars: float = 0.0) -> None:
        """Note how a call ended, and what it cost: seconds billed, and dollars."""
        sql = "UPDATE calls SET outcome = ?, seconds = ?, dollars = ? WHERE number = ?"
        self._execute(sql, (outcome, seconds, dollars, number))

    def open_intents(self, tile: int | None = None) -> Sequence[Intent]:
        """Calls that were announced and not settled, of one tile or of all."""
        sql = "SELECT number, tile, marker, prediction, announced FROM calls WHERE outcome IS NULL"
        rows = self._rows(sql + " ORDER BY number")
        return [Intent(*row) for row in rows if tile is None or row[1] == tile]

    def spent(self) -> float:
        """Dollars of all settled calls."""
        ((total,),) = self._rows("SELECT COALESCE(SUM(dollars), 0) FROM calls")
        return float(total)

    def remember(self, key: str, value: str) -> None:
        """Keep a short text for a later run."""
        self._execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, value))

    def remember_after(self, settle: Callable[[], None], key: str, value: str) -> None:
        """Keep the text once `settle`, which runs in a thread, has returned; `close` waits for it.

        May be called once in a job. Where `settle` raises OSError nothing is kept, so that a later run does
        that part again.
        """

        def work() -> None:
            with suppress(OSError, JobError):
                settle()
                self.remember(key, value)

        self._settling = Worker(work, "to disk")
        self._settling.start()

    def recall(self, key: str) -> str | None:
        """The text kept under `key`; None if there is none."""
        rows = self._rows("SELECT value FROM notes WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            with self._lock:
                return self._database.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _execute(self, sql: str, values: Sequence[object]) -> int:
        try:
            with self._lock, closing(self._database.execute(sql, values)) as cursor:
                return cursor.lastrowid or 0
        except sqlite3.Error as error:
            raise self._error(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All that the block changes, or nothing."""
        try:
            with self._lock, self._database:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> JobError:
        """The JobError for an error of SQLite.

        It advises removing the folder, which may hold paid tiles, only where the database is damaged.
        """
        folder = str(self.folder)
        if isinstance(error, (sqlite3.OperationalError, sqlite3.ProgrammingError)):  # full, read-only, closed
            return JobError(f"cannot use the job folder {folder!r}: {error}")
        return JobError(f"the job folder {folder!r} is damaged ({error}): remove it")
