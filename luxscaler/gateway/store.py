"""Predictions, trainings and uploads in SQLite, so that a restart finds them again.

    predictions   one row a run of either kind, JSON in text columns; `sequence` is the order of
                  creation and of pages
    inputs        inputs that hold long texts; their row above has them shortened, and is read without them
    models        models without a container: destinations of trainings
    files         uploads; file_store.py keeps their bytes beside the database
    deliveries    terminal webhooks that nobody has taken yet

One connection, used by the event loop's thread alone; each call is one short transaction. Every change of a
run's status goes through a condition in SQL, so that a cancel and a result that arrive together cannot
both win.
"""

import errno
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luxscaler.cog.data_urls import map_strings
from luxscaler.cog.messages import Json, RunKind
from luxscaler.cog.status import Status
from luxscaler.errors import GatewayError
from luxscaler.gateway.run import Run
from luxscaler.sqlite_file import open_sqlite
from luxscaler.words import counted

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
_KINDS = "CREATE INDEX IF NOT EXISTS predictions_kind ON predictions (kind, sequence)"
_ADDED = {"kind": "TEXT NOT NULL DEFAULT 'predictions'", "destination": "TEXT NOT NULL DEFAULT ''"}
"""Columns that the database of an older version lacks."""
LONG_TEXT = 1024
"""Characters of a text in an input from which it counts as long, and is shortened in lists."""
_JSON_COLUMNS = ("input", "output", "metrics", "events", "metadata")
_OVER = ", ".join(f"'{status}'" for status in Status if status.is_over)
_UNDER_WAY = ", ".join(f"'{status}'" for status in Status if not status.is_over)
"""The states under way, listed so that SQLite uses the index: runs that are over are kept for ever."""


@dataclass(frozen=True)
class StoredFile:
    """An upload."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    created_at: float
    expires_at: float
    metadata: Json = field(default_factory=dict)
    sequence: int = 0


@dataclass(frozen=True)
class Delivery:
    """A terminal webhook that was not delivered yet."""

    prediction: str
    message_id: str
    first_at: float


class Store:
    """The database of one gateway."""

    def __init__(self, path: Path) -> None:
        try:
            self._connection = open_sqlite(path, _SCHEMA, synchronous="NORMAL", patience=5.0)
            self._add_missing_columns()
            self._connection.execute(_KINDS)
        except sqlite3.Error as error:
            raise GatewayError(f"cannot use the database {str(path)!r}: {error}") from error

    def close(self) -> None:
        """Close the database; no other method may be called afterwards."""
        self._connection.close()

    # Predictions and trainings

    def add(self, run: Run) -> Run:
        """Store a new run, and return it with its sequence number."""
        values = {**vars(run)}
        del values["sequence"]
        brief = map_strings(run.input, _shortened)
        with self.transaction():
            if brief != run.input:
                values["input"] = brief
                whole = json.dumps(run.input)
                self._insert("inputs", {"prediction": run.id, "input": _Encoded(whole)})
            self._insert("predictions", values)
        return self.run(run.id) or run

    def run(self, name: str) -> Run | None:
        """The run of that id with its whole input; None if there is none."""
        found = self.brief(name)
        row = (
            found
            and self._connection.execute("SELECT input FROM inputs WHERE prediction = ?", (name,)).fetchone()
        )
        return replace(found, input=json.loads(row["input"])) if found and row else found

    def brief(self, name: str) -> Run | None:
        """The run of that id, long texts of its input shortened and not read; None if there is none."""
        return next(self._runs("WHERE id = ?", (name,)), None)

    def change(self, name: str, only: str = "1", **values: Any) -> bool:
        """Set columns of a run that is not over, if the SQL condition `only` holds; whether it did."""
        columns = ", ".join(f"{column} = ?" for column in values)
        cursor = self._connection.execute(
            f"UPDATE predictions SET {columns} WHERE id = ? AND status NOT IN ({_OVER}) AND ({only})",  # noqa: S608 - names from this package
            (*_encoded(values).values(), name),
        )
        return cursor.rowcount == 1

    def claim(self, container: str, kind: RunKind) -> Run | None:
        """Give the oldest waiting run of that kind to a container; None if none waits."""
        with self.transaction():
            waiting = (
                "INDEXED BY predictions_status "  # not by kind: nearly all of a kind are over
                "WHERE status = 'starting' AND container = '' AND kind = ? ORDER BY sequence LIMIT 1"
            )
            found = next(self._runs(waiting, (kind,)), None)
            if found is not None:
                self.change(found.id, container=container)
        return found and self.run(found.id)

    def with_container(self) -> list[Run]:
        """Runs that are not over and were given to a container, oldest first."""
        return list(self._runs(f"WHERE status IN ({_UNDER_WAY}) AND container != '' ORDER BY sequence"))

    def overdue(self, now: float) -> list[Run]:
        """Runs that are not over and whose deadline has come."""
        return list(self._runs(f"WHERE status IN ({_UNDER_WAY}) AND deadline <= ?", (now,)))

    def to_forget(self, completed_before: float) -> list[Run]:
        """Runs that ended before that time and still have their data."""
        return list(self._runs("WHERE data_removed = 0 AND completed_at <= ?", (completed_before,)))

    def forget(self, name: str) -> None:
        """Remove input, output and logs of a run."""
        with self.transaction():
            self._connection.execute("DELETE FROM inputs WHERE prediction = ?", (name,))
            emptied = "input = '{}', output = 'null', logs = '', data_removed = 1"
            self._connection.execute(f"UPDATE predictions SET {emptied} WHERE id = ?", (name,))  # noqa: S608

    def runs_before(self, kind: RunKind, sequence: int, count: int) -> list[Run]:
        """At most `count` runs before that place in the order of creation, newest first."""
        older = "WHERE kind = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?"
        return list(self._runs(older, (kind, sequence, count)))

    def runs_after(self, kind: RunKind, sequence: int, count: int) -> list[Run]:
        """The `count` runs next after that place in the order of creation, newest first."""
        newer = "WHERE kind = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        page = self._runs(newer, (kind, sequence, count))
        return list(page)[::-1]

    # Models

    def add_model(self, name: str, about: Json) -> bool:
        """Store the model owner/name; False if there is one already."""
        sql = "INSERT OR IGNORE INTO models VALUES (?, ?)"
        return self._connection.execute(sql, (name, json.dumps(about))).rowcount == 1

    def model(self, name: str) -> Json | None:
        """What was stored about owner/name; None if there is no such model."""
        row = self._connection.execute("SELECT about FROM models WHERE name = ?", (name,)).fetchone()
        return dict(json.loads(row["about"])) if row else None

    def models(self) -> list[tuple[str, Json]]:
        """All models in order of their names: (owner/name, what was stored about it)."""
        rows = self._connection.execute("SELECT name, about FROM models ORDER BY name")
        return [(row["name"], json.loads(row["about"])) for row in rows]

    # Uploads

    def add_file(self, file: StoredFile) -> None:
        """Store a new upload."""
        values = {**vars(file)}
        del values["sequence"]
        self._insert("files", values)

    def file(self, name: str) -> StoredFile | None:
        """The upload of that id; None if there is none."""
        return next(self._files("WHERE id = ?", (name,)), None)

    def files_before(self, sequence: int, count: int) -> list[StoredFile]:
        """At most `count` uploads before that place in the order of creation, newest first."""
        return list(self._files("WHERE sequence < ? ORDER BY sequence DESC LIMIT ?", (sequence, count)))

    def files_after(self, sequence: int, count: int) -> list[StoredFile]:
        """The `count` uploads next after that place in the order of creation, newest first."""
        return list(self._files("WHERE sequence > ? ORDER BY sequence LIMIT ?", (sequence, count)))[::-1]

    def expired_files(self, now: float) -> list[StoredFile]:
        """Uploads whose time is over."""
        return list(self._files("WHERE expires_at <= ?", (now,)))

    def remove_file(self, name: str) -> None:
        """Remove the entry of an upload."""
        self._connection.execute("DELETE FROM files WHERE id = ?", (name,))

    # Terminal webhooks

    def add_delivery(self, delivery: Delivery) -> None:
        """Store a webhook that has to be sent."""
        self._insert("deliveries", vars(delivery))

    def deliveries(self) -> list[Delivery]:
        """The webhooks that were not delivered yet."""
        return [Delivery(**dict(row)) for row in self._connection.execute("SELECT * FROM deliveries")]

    def remove_delivery(self, prediction: str) -> None:
        """Remove a webhook that was delivered or given up."""
        self._connection.execute("DELETE FROM deliveries WHERE prediction = ?", (prediction,))

    # Below: SQL

    def _add_missing_columns(self) -> None:
        there = {row["name"] for row in self._connection.execute("PRAGMA table_info(predictions)")}
        for name, form in _ADDED.items():
            if name not in there:
                self._connection.execute(f"ALTER TABLE predictions ADD COLUMN {name} {form}")

    def _insert(self, table: str, values: Json) -> None:
        columns, marks = ", ".join(values), ", ".join("?" for _ in values)
        self._connection.execute(
            f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608 - names from this package
            tuple(_encoded(values).values()),
        )

    def _runs(self, rest: str, values: Sequence[Any] = ()) -> Iterator[Run]:
        for row in self._connection.execute(f"SELECT * FROM predictions {rest}", values):  # noqa: S608
            yield Run(**_decoded(row))

    def _files(self, rest: str, values: Sequence[Any] = ()) -> Iterator[StoredFile]:
        for row in self._connection.execute(f"SELECT * FROM files {rest}", values):  # noqa: S608
            yield StoredFile(**_decoded(row))

    def _is_within(self) -> bool:
        return self._connection.in_transaction

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


class _Encoded(str):
    """Text that is JSON already."""


def _encoded(values: Json) -> Json:
    return {
        key: json.dumps(value) if key in _JSON_COLUMNS and not isinstance(value, _Encoded) else value
        for key, value in values.items()
    }


def _shortened(text: str) -> str:
    return text if len(text) <= LONG_TEXT else f"{text[:LONG_TEXT]}… ({counted(len(text), 'character')})"


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk has no room."""
    codes = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) in codes
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and error.errno in full


def _decoded(row: sqlite3.Row) -> Json:
    values = {key: json.loads(row[key]) if key in _JSON_COLUMNS else row[key] for key in row.keys()}  # noqa: SIM118
    if "events" in values:
        values["events"] = tuple(values["events"])
        values["status"] = Status(values["status"])
        values["data_removed"] = bool(values["data_removed"])
    return values
