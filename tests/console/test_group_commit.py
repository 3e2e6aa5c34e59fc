"""Changes that come at the same time share a transaction, and nothing else."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from luxscaler.console.database import Database
from luxscaler.console.group_commit import GroupCommit

COUNT = 200


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "console.sqlite3")


def _seen(database: Database) -> list[str]:
    return [row[0] for row in database.rows("SELECT webhook_id FROM seen ORDER BY webhook_id")]


def test_each_is_on_disk_when_it_is_told_and_a_bad_one_is_alone(database: Database, tmp_path: Path) -> None:
    commits, other = (
        GroupCommit(database),
        sqlite3.connect(tmp_path / "console.sqlite3", check_same_thread=False),
    )
    lock = threading.Lock()

    def change(number: int) -> str:
        def work() -> str:
            database.run("INSERT INTO seen VALUES (?, 0)", [f"{number:03d}"])
            if number % 10 == 3:
                raise ValueError(f"{number} is bad")
            return f"{number:03d}"

        try:
            name = commits.run(work)
        except ValueError as error:
            return str(error)
        with lock:
            assert other.execute("SELECT 1 FROM seen WHERE webhook_id = ?", [name]).fetchone()
        return name

    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(change, range(COUNT)))
    good = [f"{number:03d}" for number in range(COUNT) if number % 10 != 3]
    assert [name for name in told if "bad" not in name] == good
    assert told[3] == "3 is bad"
    assert _seen(database) == good
    other.close()


def test_those_that_wait_share_one_transaction(database: Database) -> None:
    commits, begun, go = GroupCommit(database), threading.Event(), threading.Event()
    statements: list[str] = []
    database._connection.set_trace_callback(statements.append)

    def slow() -> None:
        begun.set()
        go.wait(10)

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(commits.run, slow)
        begun.wait(10)
        rest = [
            pool.submit(commits.run, lambda n=n: database.run("INSERT INTO seen VALUES (?, 0)", [str(n)]))
            for n in range(8)
        ]
        while len(commits._waiting) < 8:
            pass
        go.set()
        assert [each.result(10) for each in rest] == [1] * 8
        first.result(10)
    assert statements.count("COMMIT") == 2


def test_a_transaction_that_fails_fails_all_of_it(database: Database) -> None:
    commits = GroupCommit(database)
    database.close()
    with pytest.raises(sqlite3.Error):
        commits.run(lambda: None)
    with pytest.raises(sqlite3.Error):
        commits.run(lambda: None)
