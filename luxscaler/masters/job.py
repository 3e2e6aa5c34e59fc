"""The job folder of a master: what is done, on disk, so that a killed run goes on where it was.

    OUT.job/
      job.sqlite3      what the job is of, its tiles, and the ledger of paid calls (ledger.py)
      source.spool     the picture as linear light (linear_file.py)
      tiles/000012     upscaled tiles, in the same layout

A tile is written under another name, renamed, and only then entered with its checksum; a tile whose file
does not have that checksum is done again. One process at a time works in a folder.
"""

import fcntl
import hashlib
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from luxscaler.backends.base import TileOutput
from luxscaler.errors import JobError
from luxscaler.io.atomic import LONGEST_NAME
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.masters.ledger import StoredLedger, paid_in
from luxscaler.picture import FloatArray, PictureSource

SUFFIX = ".job"
_VERSION = 1
_UNWRITTEN = {"wrap": "", "layer": "", "part": "None"}
"""Facts that older versions wrote only where something was chosen, with the values that absence means."""


@dataclass(frozen=True)
class TileRecord:
    """A tile that is done."""

    number: int
    width: int
    height: int
    has_alpha: bool
    crc: int
    """CRC-32 of its file."""
    attempts: int
    seconds: float
    dollars: float


def folder_of(target: Path) -> Path:
    """The job folder of that result; a name that would be too long is replaced by its SHA-256."""
    name = target.name + SUFFIX
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(target.name)).hexdigest() + SUFFIX
    return target.with_name(name)


def spent_in(target: Path) -> float:
    """Dollars that the unfinished job of that result has paid for; 0 where there is none. Raises JobError."""
    return paid_in(folder_of(target))


class Job(StoredLedger):
    """An open job folder, and the backends' Ledger in it. Every method may be called from any thread."""

    def __init__(self, folder: Path, facts: Mapping[str, str]) -> None:
        """Open the folder, or create it. facts: what the tiles depend on.

        Raises JobError when the folder is in use, damaged, or was made for other facts.
        """
        self.lasts = folder.name.endswith(SUFFIX)
        """Whether it is kept for a later run."""
        try:
            (folder / "tiles").mkdir(parents=True, exist_ok=True)
            self._held = _hold(folder)
        except OSError as error:
            raise JobError(f"cannot use the job folder {str(folder)!r}: {error.strerror}") from error
        try:
            super().__init__(folder)
        except JobError:
            self._held.close()
            raise
        try:
            self._agree({"version": str(_VERSION), **facts})
        except JobError:
            self.close()
            raise

    def _agree(self, facts: Mapping[str, str]) -> None:
        """Write the facts into a new folder; compare them with those of an old one. Raises JobError.

        Only facts that both have are compared: a job that was begun on one backend may go on on another,
        which need not know the precision of the first. A folder in which nothing was done or paid for counts
        as new.
        """
        written = dict(self._rows("SELECT key, value FROM facts"))
        known = {**_UNWRITTEN, **written}
        if not written or self.is_empty():
            differ = any(known.get(key, value) != value for key, value in facts.items())
            with self._transaction() as database:
                if differ:
                    database.execute("DELETE FROM facts")
                    database.execute("DELETE FROM notes")
                database.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", facts.items())
            return
        for key, value in facts.items():
            if key in known and known[key] != value:
                said = f" ({known[key] or 'none'}, now {value or 'none'})"
                values = "" if key == "picture" else said  # else two hashes
                raise JobError(
                    f"{str(self.folder)!r} holds an unfinished job with another {key}{values}: "
                    "finish it with that, or remove the folder (or add --restart) to begin anew"
                )

    @property
    def linear_path(self) -> Path:
        """The file that holds the picture as linear light."""
        return self.folder / "source.spool"

    def close(self) -> None:
        """Release the folder for other processes; what is done stays in it."""
        super().close()
        self._held.close()

    def is_empty(self) -> bool:
        """Whether no tile is done and no call was announced: nothing would be lost with the folder."""
        ((tiles, calls),) = self._rows("SELECT (SELECT COUNT(*) FROM tiles), (SELECT COUNT(*) FROM calls)")
        return not tiles and not calls

    def remove(self) -> None:
        """Close and remove the folder: the master is written, or nothing of it was done."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def records(self) -> dict[int, TileRecord]:
        """Tiles that are done, by number; their files are not looked at."""
        rows = self._rows("SELECT * FROM tiles ORDER BY number")
        return {row[0]: TileRecord(row[0], row[1], row[2], bool(row[3]), *row[4:]) for row in rows}

    def intact(self) -> set[int]:
        """Numbers of the tiles whose files have their checksum; the others are forgotten."""
        good = set()
        for number, record in self.records().items():
            if _checksum(self._tile_path(number)) == record.crc:
                good.add(number)
            else:
                self._execute("DELETE FROM tiles WHERE number = ?", (number,))
        return good

    def store(self, number: int, output: TileOutput, attempts: int) -> None:
        """Store an upscaled tile. Raises JobError when it cannot be written, as on a full disk."""
        height, width = output.rgb.shape[:2]
        path = self._tile_path(number)
        temporary = path.with_suffix(".partial")
        try:
            with temporary.open("wb", buffering=0) as file:
                crc = 0
                for array in (output.rgb, output.alpha):
                    if array is not None:
                        crc = _write(file, array, crc)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise JobError(f"cannot keep a tile in {str(self.folder)!r}: {error.strerror}") from error
        self._execute(
            "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(number, width, height, output.alpha is not None),
                *(crc, attempts, output.seconds, output.dollars),
            ),
        )

    def tile(self, number: int) -> LinearFile:
        """A stored tile, to be read in parts."""
        (row,) = self._rows("SELECT width, height, alpha FROM tiles WHERE number = ?", (number,))
        return LinearFile(self._tile_path(number), row[0], row[1], bool(row[2]), PictureSource())

    def _tile_path(self, number: int) -> Path:
        return self.folder / "tiles" / f"{number:06d}"


def restart(target: Path) -> None:
    """Remove the job folder of that result. Raises JobError when another process works in it."""
    folder = folder_of(target)
    if folder.is_dir():
        try:
            _hold(folder).close()
            shutil.rmtree(folder)
        except OSError as error:
            raise JobError(f"cannot remove {str(folder)!r}: {error.strerror}") from error


def _hold(folder: Path) -> IO[bytes]:
    file = (folder / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise JobError(f"another process is at work in {str(folder)!r}: wait for it, or end it") from error
    return file


def _write(file: IO[bytes], array: FloatArray, crc: int) -> int:
    view = np.ascontiguousarray(array).data.cast("B")
    crc = zlib.crc32(view, crc)
    while view:
        view = view[file.write(view) :]
    return crc


def _checksum(path: Path) -> int | None:
    """CRC-32 of a file; None if there is none."""
    crc = 0
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(1 << 20):
                crc = zlib.crc32(block, crc)
    except OSError:
        return None
    return crc
