"""The files of a job's folder, as the console reads them (supervisor.py writes most of them)."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from luxscaler.console.local import supervisor


def exit_of(folder: Path) -> dict[str, Any] | None:
    """How the command ended; None if that was not written."""
    try:
        found = json.loads((folder / supervisor.EXIT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def count(path: Path) -> int:
    """Add one to the number in a file, and return it."""
    number = count_in(path) + 1
    path.write_text(str(number), encoding="utf-8")
    return number


def count_in(path: Path) -> int:
    """The number in a file; 0 if there is none."""
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def tail(path: Path, most: int) -> str:
    """A file's last bytes as text; empty if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - most, 0))
            return file.read(most).decode("utf-8", "replace")
    except OSError:
        return ""
