"""A SQLite connection that leaves it to the system when what it writes reaches the disk.

A process that is killed loses nothing by that, a power cut may. To make the tables of a gateway and to wait
for the disk took 40 ms a test.
"""

import re
import sqlite3
from typing import Any

_WAITS = re.compile(r"\bsynchronous\s*=\s*\w+", re.IGNORECASE)


class ImpatientDatabase(sqlite3.Connection):
    """For `sqlite3.connect(..., factory=)`: whatever is asked for, `synchronous` is OFF."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        super().execute("PRAGMA synchronous = OFF")

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Execute a statement."""
        return super().execute(_hurried(sql), *parameters)

    def executescript(self, sql_script: str) -> sqlite3.Cursor:
        """Execute several."""
        return super().executescript(_hurried(sql_script))


def _hurried(sql: str) -> str:
    return _WAITS.sub("synchronous = OFF", sql) if "PRAGMA" in sql else sql
