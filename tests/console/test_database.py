"""The database's two connections: whoever writes reads his own changes, and others what is committed."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from luxscaler.console.database import FILE_NAME, Database

COUNT = "SELECT count(*) FROM seen"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(tmp_path / FILE_NAME)
    yield found
    found.close()


def _count(database: Database) -> int:
    return int(database.rows(COUNT)[0][0])


def _from_another_thread(database: Database) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_count(database)))
    thread.start()
    thread.join(5)
    assert found, "a reader waits for the writer"
    return found[0]


def test_readers_do_not_wait_for_a_transaction_and_see_none_of_it(database: Database) -> None:
    with database.transaction():
        database.run_many("INSERT INTO seen VALUES (?, 0)", [("a",), ("b",)])
        assert _count(database) == 2
        assert _from_another_thread(database) == 0
    assert _from_another_thread(database) == _count(database) == 2


def test_what_fails_inside_is_undone_also_when_blocks_are_nested(database: Database) -> None:
    def work() -> None:
        with database.transaction():
            database.run("INSERT INTO seen VALUES ('a', 0)")
            with database.transaction():
                database.run("INSERT INTO seen VALUES ('b', 0)")
                raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        work()
    assert _count(database) == 0
    with database.transaction():
        database.run("INSERT INTO seen VALUES ('c', 0)")
    assert _count(database) == 1


def test_nothing_is_changed_on_the_reading_side(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.rows("INSERT INTO seen VALUES ('a', 0)")
