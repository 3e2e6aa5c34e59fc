"""Folders and files that only their owner can enter and read, under any umask."""

import errno
import fcntl
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path


def private_folder(folder: Path) -> None:
    """Make the folder, or find it usable; 0700. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def own_folder(folder: Path, marks: Collection[str], others: Collection[str] = ()) -> None:
    """`private_folder` for one that a user has named. It must hold nothing else: whoever works in it changes
    its rights, and empties folders of common names in it.

    marks: names of which a folder that was in use has one. others: what may be in a new one. Hidden names and
    a disk's lost+found are in no way. Raises OSError, whose strerror says what is there.
    """
    try:
        names = {entry.name for entry in os.scandir(folder)}
    except FileNotFoundError:
        names = set()
    foreign = {name for name in names if not name.startswith(".")} - {"lost+found", *others}
    if foreign and not foreign & {*marks}:
        raise OSError(errno.ENOTEMPTY, f"it holds other files, e.g. {min(foreign)!r}: name an empty one")
    private_folder(folder)


def write_private(path: Path, text: str) -> None:
    """A file of 0600 that appears whole or not at all, and is on disk afterwards. Raises OSError."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep others out while the block lasts, or its process lives. Raises BlockingIOError: one is in it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
