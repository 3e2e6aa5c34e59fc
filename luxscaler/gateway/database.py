"""The gateway's SQLite file: its tables, transactions, and values that are JSON in their columns.

    predictions   one row a run of either kind, JSON in text columns; `sequence` is the order of
                  creation and of pages
    inputs        inputs that hold long texts; their row above has them shortened, and is read without them
    models        models without a container: destinations of trainings
    files         uploads; file_store.py keeps their bytes beside the database
    deliveries    terminal webhooks that are still to be delivered

One connection, used by the event loop's thread alone.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luxscaler.cog.messages import Json
from luxscaler.errors import GatewayError
from luxscaler.sqlite_file import open_sqlite

_SCHEMA = """
CREATE TABLE IF NOT EXISTS predictions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
    version TEXT NOT NULL, input TEXT NOT NULL, created_at REAL NOT NULL, status TEXT NOT NULL,
    output TEXT NOT NULL, error TEXT, logs TEXT NOT NULL, metrics TEXT NOT NULL, started_at REAL,
    completed_at REAL, deadline REAL, webhook TEXT NOT NULL, events TEXT NOT NULL, container TEXT NOT NULL,
    data_removed INTEGER NOT NULL, kind TEXT NOT NULL DEFAULT 'predictions',
    destination TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS predictions_status ON predictions (status, sequence);
CREATE INDEX IF NOT EXISTS predictions_completed ON predictions (data_removed, completed_at);
CREATE TABLE IF NOT EXISTS inputs (prediction TEXT PRIMARY KEY, input TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    content_type TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, md5 TEXT NOT NULL,
    metadata TEXT NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS models (name TEXT PRIMARY KEY, about TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries (
    prediction TEXT PRIMARY KEY, message_id TEXT NOT NULL, first_at REAL NOT NULL);
"""
_ADDED = {"kind": "TEXT NOT NULL DEFAULT 'predictions'", "destination": "TEXT NOT NULL DEFAULT ''"}
"""Columns of predictions that the database of an older version lacks."""
_KIND_INDEX = "CREATE INDEX IF NOT EXISTS predictions_kind ON predictions (kind, sequence)"
"""Made after `_ADDED`, since it names one of those columns."""
_JSON_COLUMNS = ("input", "output", "metrics", "events", "metadata", "about")
_PATIENCE = 5.0
"""Seconds for which a lock of another process is waited for."""


class Database:
    """The open file."""

    def __init__(self, path: Path) -> None:
        """Raises GatewayError if the file cannot be opened or is no such database."""
        try:
            self._connection = open_sqlite(path, _SCHEMA, synchronous="NORMAL", patience=_PATIENCE)
            self._add_missing_columns()
            self._connection.execute(_KIND_INDEX)
        except sqlite3.Error as error:
            raise GatewayError(f"cannot use the database {str(path)!r}: {error}") from error

    def close(self) -> None:
        """Close the file; no other method may be called afterwards."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Json]:
        """The rows of a query, one after another: each column's value by its name, JSON decoded."""
        for row in self._connection.execute(sql, values):
            yield {
                key: json.loads(row[key]) if key in _JSON_COLUMNS else row[key]
                for key in row.keys()  # noqa: SIM118 - a sqlite3.Row is iterated by its values
            }

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement that changes rows; returns how many it changed."""
        return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, values: Mapping[str, Any], *, or_ignore: bool = False) -> bool:
        """Insert a row: each column's value by its name. Returns whether it was inserted.

        or_ignore: do nothing if a unique column has the value already, instead of raising sqlite3.Error.
        """
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        ignore = "OR IGNORE " if or_ignore else ""
        sql = f"INSERT {ignore}INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names of this package
        return self.run(sql, encoded(values)) == 1

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all that the block changes, or nothing; blocks may be nested."""
        if self._is_within():
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._is_within():  # a full disk may have ended it already
                self._connection.execute("ROLLBACK")
            raise

    def _is_within(self) -> bool:
        return self._connection.in_transaction

    def _add_missing_columns(self) -> None:
        there = {row["name"] for row in self._connection.execute("PRAGMA table_info(predictions)")}
        for name, form in _ADDED.items():
            if name not in there:
                self._connection.execute(f"ALTER TABLE predictions ADD COLUMN {name} {form}")


def encoded(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of columns as SQLite stores them, in their order: JSON as text."""
    return tuple(json.dumps(value) if key in _JSON_COLUMNS else value for key, value in values.items())
