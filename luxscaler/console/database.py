"""The console's database: its tables, and transactions that are on disk when they end.

    jobs         one row each; `state` changes by conditions in SQL only, so terminal states are frozen
    events       what changed, numbered; a page that lost its connection reads on from its last number
    deliveries   webhooks with their verdicts; `seen` has the ids of those that were applied
    results      files that are here
    publications where results go to, and how far that is
    costs        what every job has cost that ended; `past_costs` has those of deleted ones
    settings     what can be changed while the console runs
    sessions     hashes of the keys of browsers that are logged in

The server's threads and `luxscaler jobs` use it at once: SQLite's write-ahead log and its locks keep them
apart. It holds neither the token nor the secret of webhooks.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luxscaler.errors import ConsoleError
from luxscaler.sqlite_file import open_sqlite

FILE_NAME = "console.sqlite3"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, source TEXT NOT NULL, call TEXT NOT NULL,
    key TEXT UNIQUE, fingerprint TEXT NOT NULL, nonce TEXT NOT NULL,
    hardware TEXT NOT NULL, price REAL NOT NULL, max_seconds REAL NOT NULL,
    created_at REAL NOT NULL, intent_at REAL, started_at REAL, finished_at REAL, deadline REAL NOT NULL,
    upload_bytes INTEGER NOT NULL, upload_total INTEGER NOT NULL, upload_url TEXT NOT NULL,
    remote_id TEXT UNIQUE, cancel_reason TEXT NOT NULL, error TEXT NOT NULL, logs TEXT NOT NULL,
    stage TEXT NOT NULL, step INTEGER, steps INTEGER, eta_seconds REAL,
    predict_time REAL, cost REAL, outputs TEXT NOT NULL, results TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, sequence);
CREATE INDEX IF NOT EXISTS jobs_finished ON jobs (finished_at);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, kind TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id TEXT NOT NULL, received_at REAL NOT NULL,
    verdict TEXT NOT NULL, status INTEGER NOT NULL, job TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS seen_at ON seen (at);
CREATE TABLE IF NOT EXISTS results (
    job TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (job, name));
CREATE TABLE IF NOT EXISTS publications (
    job TEXT NOT NULL, target TEXT NOT NULL, place TEXT NOT NULL, state TEXT NOT NULL, url TEXT NOT NULL,
    error TEXT NOT NULL, tries INTEGER NOT NULL, next_at REAL NOT NULL, PRIMARY KEY (job, target));
CREATE TABLE IF NOT EXISTS past_costs (finished_at REAL NOT NULL, cost REAL NOT NULL);
CREATE VIEW IF NOT EXISTS costs AS SELECT finished_at, cost FROM jobs WHERE cost IS NOT NULL
    UNION ALL SELECT finished_at, cost FROM past_costs;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (hash TEXT PRIMARY KEY, expires_at REAL NOT NULL);
"""
_ADDED = (
    ("jobs", "place", "TEXT NOT NULL DEFAULT 'replicate'"),
    ("jobs", "trained_version", "TEXT NOT NULL DEFAULT ''"),
)
"""Columns that a table got after it was first in use: (table, column, its type)."""


class Database:
    """One connection that threads take turns at."""

    def __init__(self, path: Path) -> None:
        """Raises ConsoleError."""
        self._lock = threading.RLock()
        self._depth = 0
        try:
            self._connection = open_sqlite(path, _SCHEMA, synchronous="FULL", patience=10.0)
            self._add_columns()
        except sqlite3.Error as error:
            raise ConsoleError(f"cannot use the database {str(path)!r}: {error}") from error

    def _add_columns(self) -> None:
        """Bring a database of an earlier version up to date."""
        with self.transaction():
            for table, column, kind in _ADDED:
                if column not in {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}:
                    self.run(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def close(self) -> None:
        """Nothing may be asked afterwards."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Change something; the number of rows that changed."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block or nothing; no other thread or process writes meanwhile. Blocks may be nested."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")
