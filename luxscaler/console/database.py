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
apart. Readers have a connection of their own, so that no page waits while a writer waits for the disk. It
holds neither the token nor the secret of webhooks.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luxscaler.errors import ConsoleError
from luxscaler.sqlite_file import open_sqlite

FILE_NAME = "console.sqlite3"
_PATIENCE = 10.0
"""Seconds for which a lock of another process is waited for."""
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
CREATE INDEX IF NOT EXISTS jobs_nonce ON jobs (nonce);
CREATE INDEX IF NOT EXISTS jobs_waiting ON jobs (sequence) WHERE results = 'waiting';
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
CREATE INDEX IF NOT EXISTS publications_waiting ON publications (next_at) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS past_costs (finished_at REAL NOT NULL, cost REAL NOT NULL);
CREATE INDEX IF NOT EXISTS past_costs_finished ON past_costs (finished_at);
CREATE VIEW IF NOT EXISTS costs AS SELECT finished_at, cost FROM jobs WHERE cost IS NOT NULL
    UNION ALL SELECT finished_at, cost FROM past_costs;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (hash TEXT PRIMARY KEY, expires_at REAL NOT NULL);
"""
_ADDED = (
    ("jobs", "place", "TEXT NOT NULL DEFAULT 'replicate'"),
    ("jobs", "trained_version", "TEXT NOT NULL DEFAULT ''"),
    ("jobs", "megapixels", "REAL"),
)
"""Columns that a table got after it was first in use: (table, column, its type)."""
_ADDED_INDEXES = (
    "CREATE INDEX IF NOT EXISTS jobs_measured ON jobs (kind, hardware, sequence, megapixels) "
    "WHERE state = 'completed' AND predict_time > 0",
)
"""Indexes over such columns."""


class Database:
    """Two connections that threads take turns at: one that writes, one that reads what is committed."""

    def __init__(self, path: Path) -> None:
        """Raises ConsoleError."""
        self._lock, self._reading = threading.RLock(), threading.Lock()
        self._depth = 0
        self._writer = 0
        """The thread that is in a transaction; it reads what it has written itself."""
        try:
            self._connection = open_sqlite(path, _SCHEMA, synchronous="FULL", patience=_PATIENCE)
            self._reader = open_sqlite(path, "PRAGMA query_only = 1", synchronous="FULL", patience=_PATIENCE)
            self._add_columns()
        except sqlite3.Error as error:
            raise ConsoleError(f"cannot use the database {str(path)!r}: {error}") from error

    def _add_columns(self) -> None:
        """Bring a database of an earlier version up to date."""
        with self.transaction():
            for table, column, kind in _ADDED:
                if column not in {row["name"] for row in self.rows(f"PRAGMA table_info({table})")}:
                    self.run(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            for index in _ADDED_INDEXES:
                self.run(index)

    def close(self) -> None:
        """Close the database; no other method may be called afterwards."""
        with self._lock, self._reading:
            self._reader.close()
            self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """The rows of a query: within a transaction with its changes, else as of the last commit."""
        if self._writer == threading.get_ident():
            return self._connection.execute(sql, values).fetchall()
        with self._reading:
            return self._reader.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes rows; returns their number."""
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for many rows of values, within a transaction."""
        with self._lock:
            self._connection.executemany(sql, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that the block changes, or nothing; no other thread or process writes meanwhile.

        Blocks may be nested.
        """
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
                self._writer = threading.get_ident()
            self._depth += 1
            try:
                yield
            except BaseException:
                self._leave(keep=False)
                raise
            self._leave(keep=True)

    def _leave(self, *, keep: bool) -> None:
        """Leave a block; the outermost one ends the transaction. A commit that fails keeps nothing."""
        self._depth -= 1
        if self._depth:
            return
        self._writer = 0
        try:
            if keep:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
