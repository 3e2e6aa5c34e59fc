"""Changes that come at the same time share a transaction, and nothing else."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from luxscaler.console.database import Database
from luxscaler.console.group_commit import GroupCommit

COUNT = 200


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "console.sqlite3")


class _Numbers:
    """Writes numbers; those that end in 3 cannot be written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def write(self, numbers: Sequence[int]) -> list[str]:
        self.begun.set()
        assert self.go.wait(10)
        with self.database.transaction():
            for number in numbers:
                self.database.run("INSERT INTO seen VALUES (?, 0)", [f"{number:03d}"])
                if number % 10 == 3:
                    raise ValueError(f"{number} is bad")
        return [f"{number:03d}" for number in numbers]


def test_each_is_on_disk_when_it_is_told_and_a_bad_one_is_alone(database: Database, tmp_path: Path) -> None:
    commits = GroupCommit(_Numbers(database).write)

    async def change(number: int) -> str:
        try:
            name = await commits.run(number)
        except ValueError as error:
            return str(error)
        with closing(sqlite3.connect(tmp_path / "console.sqlite3")) as other:
            assert other.execute("SELECT 1 FROM seen WHERE webhook_id = ?", [name]).fetchone()
        return name

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(change(number) for number in range(COUNT)))

    commits.start()
    told = asyncio.run(all_of_them())
    commits.stop()
    good = [f"{number:03d}" for number in range(COUNT) if number % 10 != 3]
    assert [name for name in told if "bad" not in name] == good
    assert told[3] == "3 is bad"
    rows = database.rows("SELECT webhook_id FROM seen ORDER BY webhook_id")
    assert [row[0] for row in rows] == good


def test_those_that_wait_share_one_transaction(database: Database) -> None:
    numbers = _Numbers(database)
    commits, statements = GroupCommit(numbers.write), list[str]()
    database._connection.set_trace_callback(statements.append)
    numbers.go.clear()

    async def some() -> list[str]:
        first = asyncio.create_task(commits.run(100))
        while not numbers.begun.is_set():
            await asyncio.sleep(0.001)
        rest = [asyncio.create_task(commits.run(4 + 10 * number)) for number in range(8)]
        await asyncio.sleep(0)  # all of them wait now
        numbers.go.set()
        return await asyncio.gather(first, *rest)

    commits.start()
    assert len(asyncio.run(some())) == 9
    commits.stop()
    assert statements.count("COMMIT") == 2


def test_a_transaction_that_fails_fails_all_of_it_and_the_thread_goes_on(database: Database) -> None:
    commits = GroupCommit(_Numbers(database).write)

    async def two() -> list[BaseException | str]:
        return [*await asyncio.gather(commits.run(1), commits.run(2), return_exceptions=True)]

    commits.start()
    database.close()
    for _ in range(2):
        assert [type(each) for each in asyncio.run(two())] == [sqlite3.ProgrammingError] * 2
    commits.stop()


def test_what_waits_is_written_before_the_end(database: Database) -> None:
    commits = GroupCommit(_Numbers(database).write)

    async def late() -> str:
        waiting = asyncio.create_task(commits.run(5))
        await asyncio.sleep(0)
        await asyncio.to_thread(commits.stop)
        with pytest.raises(RuntimeError, match="nothing is written any more"):
            await commits.run(6)
        return await waiting

    commits.start()
    assert asyncio.run(late()) == "005"
