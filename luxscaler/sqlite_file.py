"""Opens a SQLite database with a write-ahead log: several threads and processes may use it at once.

And tells a full disk from other errors.
"""

import errno
import sqlite3
from pathlib import Path
from typing import Literal


def open_sqlite(
    path: Path, schema: str, *, synchronous: Literal["FULL", "NORMAL"], patience: float
) -> sqlite3.Connection:
    """A connection that any thread may use, without implicit transactions; rows have names.

    schema: SQL that makes what is not there yet. synchronous: FULL has every transaction on disk when it
    ends, NORMAL may lose the last ones at a power cut. patience: seconds for which a lock of another process
    is waited for. Raises sqlite3.Error.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {synchronous}",
            f"busy_timeout = {round(1000 * patience)}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def is_full(error: BaseException) -> bool:
    """Whether an error, SQLite's or the operating system's, says that the disk or the quota has no room."""
    if isinstance(error, sqlite3.Error):
        codes = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
        return getattr(error, "sqlite_errorcode", None) in codes
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
