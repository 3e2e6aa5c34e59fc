"""Predictions, trainings, models and uploads, kept so that a restart finds them again (database.py).

Each call is one short transaction. Every change of a run's status goes through a condition in SQL, so that a
cancel and a result that arrive together cannot both win.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from luxscaler.cog.data_urls import map_strings
from luxscaler.cog.messages import Json, RunKind
from luxscaler.cog.status import Status
from luxscaler.gateway.database import Database, encoded
from luxscaler.gateway.run import Run
from luxscaler.words import counted

LONG_TEXT = 1024
"""Characters of a text in an input from which it counts as long, and is shortened in lists."""
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
        """Raises GatewayError if the database cannot be used."""
        self._database = Database(path)

    def close(self) -> None:
        """Close the database; no other method may be called afterwards."""
        self._database.close()

    def transaction(self) -> AbstractContextManager[None]:
        """Keep all that the block changes, or nothing; blocks may be nested."""
        return self._database.transaction()

    # Predictions and trainings

    def add(self, run: Run) -> Run:
        """Store a new run, and return it with its sequence number."""
        values = {**vars(run)}
        del values["sequence"]
        brief = map_strings(run.input, _shortened)
        with self._database.transaction():
            if brief != run.input:
                values["input"] = brief
                self._database.insert("inputs", {"prediction": run.id, "input": run.input})
            self._database.insert("predictions", values)
        return self.run(run.id) or run

    def run(self, name: str) -> Run | None:
        """The run of that id with its whole input; None if there is none."""
        found = self.brief(name)
        if found is None:
            return None
        whole = next(self._database.rows("SELECT input FROM inputs WHERE prediction = ?", (name,)), None)
        return found if whole is None else replace(found, input=whole["input"])

    def brief(self, name: str) -> Run | None:
        """The run of that id, long texts of its input shortened and not read; None if there is none."""
        return next(self._runs("WHERE id = ?", (name,)), None)

    def change(self, name: str, only: str = "1", **values: Any) -> bool:
        """Set columns of a run that is not over, if the SQL condition `only` holds; whether it did."""
        columns = ", ".join(f"{column} = ?" for column in values)
        changed = self._database.run(
            f"UPDATE predictions SET {columns} WHERE id = ? AND status NOT IN ({_OVER}) AND ({only})",  # noqa: S608 - names from this package
            (*encoded(values), name),
        )
        return changed == 1

    def claim(self, container: str, kind: RunKind) -> Run | None:
        """Give the oldest waiting run of that kind to a container; None if none waits."""
        with self._database.transaction():
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
        with self._database.transaction():
            self._database.run("DELETE FROM inputs WHERE prediction = ?", (name,))
            emptied = "input = '{}', output = 'null', logs = '', data_removed = 1"
            self._database.run(f"UPDATE predictions SET {emptied} WHERE id = ?", (name,))  # noqa: S608 - as above

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
        return self._database.insert("models", {"name": name, "about": about}, or_ignore=True)

    def model(self, name: str) -> Json | None:
        """What was stored about owner/name; None if there is no such model."""
        row = next(self._database.rows("SELECT about FROM models WHERE name = ?", (name,)), None)
        return None if row is None else dict(row["about"])

    def models(self) -> list[tuple[str, Json]]:
        """All models in order of their names: (owner/name, what was stored about it)."""
        rows = self._database.rows("SELECT name, about FROM models ORDER BY name")
        return [(row["name"], row["about"]) for row in rows]

    # Uploads

    def add_file(self, file: StoredFile) -> None:
        """Store a new upload."""
        values = {**vars(file)}
        del values["sequence"]
        self._database.insert("files", values)

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
        self._database.run("DELETE FROM files WHERE id = ?", (name,))

    # Terminal webhooks

    def add_delivery(self, delivery: Delivery) -> None:
        """Store a webhook that has to be sent."""
        self._database.insert("deliveries", vars(delivery))

    def deliveries(self) -> list[Delivery]:
        """The webhooks that were not delivered yet."""
        return [Delivery(**row) for row in self._database.rows("SELECT * FROM deliveries")]

    def remove_delivery(self, prediction: str) -> None:
        """Remove a webhook that was delivered or given up."""
        self._database.run("DELETE FROM deliveries WHERE prediction = ?", (prediction,))

    # Rows to values

    def _runs(self, rest: str, values: Sequence[Any] = ()) -> Iterator[Run]:
        for row in self._database.rows(f"SELECT * FROM predictions {rest}", values):  # noqa: S608 - as above
            row["events"] = tuple(row["events"])
            row["status"] = Status(row["status"])
            row["data_removed"] = bool(row["data_removed"])
            yield Run(**row)

    def _files(self, rest: str, values: Sequence[Any] = ()) -> Iterator[StoredFile]:
        for row in self._database.rows(f"SELECT * FROM files {rest}", values):  # noqa: S608 - as above
            yield StoredFile(**row)


def _shortened(text: str) -> str:
    return text if len(text) <= LONG_TEXT else f"{text[:LONG_TEXT]}… ({counted(len(text), 'character')})"
