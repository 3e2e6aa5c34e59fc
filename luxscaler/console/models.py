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

from luxscaler.console.jobs import Job, Jobs
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
        """Of all trainings whose network is here, the newest first; as the API shows them."""
        sql = "SELECT job FROM results WHERE name = ? ORDER BY at DESC LIMIT ?"
        names = [row[0] for row in self._jobs.database.rows(sql, [MODEL, _MOST_LISTED])]
        jobs = [job for name in names if (job := self._jobs.get(name)) is not None]
        return [found for job in jobs if (found := self.shown(job)) is not None]

    def shown(self, job: Job) -> dict[str, Any] | None:
        """One; None if it is not unpacked yet, or has no weights."""
        path = self._results.path(job.id, MODEL)
        if path is None:
            return None
        result = next(result for result in self._results.of(job.id) if result.name == MODEL)
        return {
            "job_id": job.id,
            "name": job.name,
            "path": str(path),
            "size": result.size,
            "sha256": result.sha256,
            "version": job.trained_version,
            "command": f"luxscaler upscale IN OUT --model {shlex.quote(str(path))}",
        }

    def make(self, job: Job) -> dict[str, Any]:
        """Unpack it, unless it is. Raises Problem: 409 if the weights are not here, or are none."""
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
        """The network that a training has made. Raises Problem: 409, 422."""
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
    """By its head: a length, and that much JSON."""
    with path.open("rb") as file:
        head = file.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if not 2 <= length <= _MOST_HEADER:
            return False
        try:
            return isinstance(json.loads(file.read(length)), dict)
        except ValueError:
            return False
