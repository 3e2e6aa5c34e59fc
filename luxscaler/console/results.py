"""The results of jobs, downloaded as soon as a job is over, since Replicate keeps them for an hour.

    data/results/JOB/NAME            whole files only; their sizes and hashes are in the database
    data/results/JOB/.NAME.partial   one that broke; the next try goes on behind it

Names come from the kind of result and the address's suffix, never from a path that somebody else has chosen.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from luxscaler.clock import Clock
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.provider import Provider
from luxscaler.console.settings import Settings
from luxscaler.errors import BackendError, ExportError, TileError
from luxscaler.gateway.problems import Problem
from luxscaler.io.atomic import translated
from luxscaler.private_files import private_folder
from luxscaler.replicate.download import FetchLimits, GoneError, resume

_SUFFIX = re.compile(r"(\.tar)?\.[a-z0-9]{1,11}$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_JOB = re.compile(r"[a-z0-9]{26}")
_OVER = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELED)


@dataclass(frozen=True)
class Result:
    """A file of a result on this machine."""

    name: str
    size: int
    sha256: str


class Results:
    """The results of one console."""

    def __init__(
        self, settings: Settings, provider: Provider, jobs: Jobs, clock: Clock, folder: Path
    ) -> None:
        """Raises OSError if the folder cannot be made."""
        self._settings, self._provider, self._jobs, self._clock = settings, provider, jobs, clock
        self._folder = folder
        private_folder(folder)

    def download(self, job: Job) -> bool:
        """Download all files of a job; False if another try is needed."""
        done = {result.name for result in self.of(job.id)}
        try:
            for name, address in _named(job.outputs).items():
                if name not in done:
                    self._fetch(job, name, address)
        except (TileError, ExportError, Problem) as error:
            self._note(job, f"a result is not here yet: {error}")
            return False
        except (GoneError, BackendError) as error:
            self._note(job, f"a result cannot be fetched any more: {error}", results="lost")
            return True
        self._note(job, "", results="here")
        return True

    def of(self, job: str) -> list[Result]:
        """The files of a job, ordered by name."""
        sql = "SELECT name, size, sha256 FROM results WHERE job = ? ORDER BY name"
        return [Result(*row) for row in self._jobs.database.rows(sql, [job])]

    def path(self, job: str, name: str) -> Path | None:
        """The path of a job's file; None if it is not here."""
        if not _JOB.fullmatch(job) or name not in {result.name for result in self.of(job)}:
            return None
        path = self._folder / job / name
        return path if path.is_file() else None

    def place(self, job: str, name: str) -> Path:
        """The path that a job's file has once it is here."""
        return self._folder / job / name

    def add(self, job: str, path: Path, name: str) -> None:
        """Move a finished file here, if there is one. Raises ExportError."""
        target = self._folder / job / name
        if not path.is_file() and target.is_file():
            path = target  # it was moved just before a crash
        if not path.is_file():
            return
        with translated(target):
            private_folder(target.parent)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._enter(job, path, name, digest)

    def remove(self, job: str) -> None:
        """Remove all files of a job."""
        if _JOB.fullmatch(job):
            shutil.rmtree(self._folder / job, ignore_errors=True)

    def _fetch(self, job: Job, name: str, address: str) -> None:
        target = self._folder / job.id / name
        partial = target.with_name(f".{name}.partial")
        limits = FetchLimits(self._settings.max_result_bytes, self._settings.download_seconds)
        with translated(target, partial.name):
            private_folder(target.parent)
            digest = resume(self._provider.api().plain, address, partial, limits, self._clock.now)
        self._enter(job.id, partial, name, digest)

    def _enter(self, job: str, path: Path, name: str, digest: str) -> None:
        """Give a whole file its name, then a row: after a crash in between it is entered again."""
        target = self._folder / job / name
        with translated(target, path.name):
            with path.open("rb") as file:
                os.fsync(file.fileno())
            path.replace(target)
        values: list[Any] = [job, name, target.stat().st_size, digest, self._clock.now()]
        self._jobs.database.run("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)", values)

    def _note(self, job: Job, error: str, **values: Any) -> None:
        self._jobs.change(job.id, _OVER, **values, **({"error": error} if error else {}))


def _named(outputs: Mapping[str, str]) -> dict[str, str]:
    """Name to address; outputs whose names would be the same here are numbered, so that none is lost."""
    found: dict[str, str] = {}
    for key, address in outputs.items():
        name, number = _file_name(key, address), 1
        while name in found:
            number += 1
            name = _file_name(f"{key[:50]}-{number}", address)
        found[name] = address
    return found


def _file_name(key: str, address: str) -> str:
    """A file name for one of Replicate's outputs: weights.tar, output-1.exr."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "_", key)[:60].lstrip("_-") or "output"
    suffix = _SUFFIX.search(urlsplit(address).path.lower() if not address.startswith("data:") else "")
    name = stem + (suffix[0] if suffix else ".bin")
    assert _NAME.fullmatch(name)  # noqa: S101 - by the lines above
    return name
