"""Databases of tests do not wait for the disk, and are real ones otherwise."""

import sqlite3
from pathlib import Path

import pytest

from luxscaler.sqlite_file import open_sqlite


def _synchronous(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA synchronous").fetchone()[0])


@pytest.mark.parametrize("how", ["FULL", "NORMAL"])
def test_no_connection_waits_whatever_it_asks_for(tmp_path: Path, how: str) -> None:
    path = tmp_path / "x.sqlite3"
    opened = open_sqlite(path, "CREATE TABLE IF NOT EXISTS t (n)", synchronous=how, patience=1.0)  # type: ignore[arg-type]
    assert _synchronous(opened) == 0
    opened.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous={how}; INSERT INTO t VALUES (7)")
    assert _synchronous(opened) == 0
    other = sqlite3.connect(path)
    assert other.execute("SELECT n FROM t WHERE n = ?", (7,)).fetchall() == [(7,)]
    opened.close()
    other.close()
