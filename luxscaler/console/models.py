"""Trained models: a training's weights, unpacked once, ready for `luxscaler upscale --model`.

What comes from Replicate is a tar with `model.safetensors` in it; a training on this machine gives that file
itself. Archives are unpacked within limits (luxscaler/training/archive.py).
"""

import json
import shlex
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from luxscaler.console.job import Job
from luxscaler.console.jobs import Jobs
from luxscaler.console.results import Results
from luxscaler.errors import ExportError, InputError
from luxscaler.gateway.problems import Problem
from luxscaler.training.archive import ArchiveLimits, unpack

MODEL = "model.safetensors"
_LIMITS = ArchiveLimits(files=10_000, bytes=4 * 2**30)
"""Of a trainer's archive; our networks have at most 67 MB."""
_LENGTH = struct.Struct("<Q")
_MOST_HEADER = 10_000_000
"""Bytes of JSON at a network's beginning."""
_MOST_LISTED = 500


class Models:
    """The trained models of one console."""

    def __init__(self, jobs: Jobs, results: Results) -> None:
        self._jobs, self._results = jobs, results

    def listed(self) -> list[dict[str, Any]]:
        """All unpacked networks of trainings, newest first, as the API shows them."""
        return self._shown("ORDER BY results.at DESC LIMIT ?", [_MOST_LISTED])

    def shown(self, job: Job) -> dict[str, Any] | None:
        """The network of one training; None if it is not unpacked, or has no weights."""
        return next(iter(self._shown("AND results.job = ?", [job.id])), None)

    def _shown(self, rest: str, values: list[Any]) -> list[dict[str, Any]]:
        """The networks that a query finds and whose files exist. rest: the end of the query."""
        rows = self._jobs.database.rows(
            "SELECT jobs.id, jobs.name, results.size, results.sha256, jobs.trained_version "  # noqa: S608 - from above
            f"FROM results JOIN jobs ON jobs.id = results.job WHERE results.name = ? {rest}",
            [MODEL, *values],
        )
        found = [(row, self._results.place(row["id"], MODEL)) for row in rows]
        return [
            {
                "job_id": row["id"],
                "name": row["name"],
                "path": str(path),
                "size": row["size"],
                "sha256": row["sha256"],
                "version": row["trained_version"],
                "command": f"luxscaler upscale IN OUT --model {shlex.quote(str(path))}",
            }
            for row, path in found
            if path.is_file()
        ]

    def make(self, job: Job) -> dict[str, Any]:
        """Unpack the network of a training, unless it is. Raises Problem (409) without usable weights."""
        if (found := self.shown(job)) is not None:
            return found
        bundle = self._bundle(job)
        try:
            with tempfile.TemporaryDirectory(dir=bundle.parent, prefix=".model-") as folder:
                self._results.add(job.id, _network(bundle, Path(folder)), MODEL)
        except (OSError, ValueError, InputError, ExportError) as error:
            raise Problem(409, f"{bundle.name} of job {job.id} is no trained model: {error}") from error
        shown = self.shown(job)
        assert shown is not None  # noqa: S101 - it was entered just now
        return shown

    def path(self, job: str) -> Path:
        """The file of a training's network. Raises Problem (409, 422)."""
        found = self._jobs.get(job)
        if found is None or found.kind != "training":
            raise Problem(422, f"trained_by: there is no training {job[:40]!r}", field="trained_by")
        return Path(self.make(found)["path"])

    def _bundle(self, job: Job) -> Path:
        for result in self._results.of(job.id):
            if result.name.startswith("weights") and (path := self._results.path(job.id, result.name)):
                return path
        raise Problem(409, f"The weights of job {job.id} are not here: it is {job.state}")


def _network(bundle: Path, folder: Path) -> Path:
    """The network of an archive, unpacked into an empty folder, or of a file that is one itself.

    Raises InputError, OSError, and ValueError for what is no safetensors file.
    """
    found = folder / MODEL
    if _is_safetensors(bundle):
        shutil.copyfile(bundle, found)
        return found
    unpack(bundle, folder, _LIMITS)
    if not found.is_file():
        raise ValueError(f"it has no {MODEL}")
    if not _is_safetensors(found):
        raise ValueError(f"its {MODEL} is no safetensors file")
    return found


def _is_safetensors(path: Path) -> bool:
    """Whether the file begins as safetensors do: with a length, and that much JSON."""
    with path.open("rb") as file:
        head = file.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if not 2 <= length <= _MOST_HEADER:
            return False
        try:
            return isinstance(json.loads(file.read(length)), dict)
        except ValueError:
            return False
