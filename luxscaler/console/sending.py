"""From a job that waits to a run at Replicate: pack, upload, one paid call.

The intent to pay is on disk before the call. When nobody answers it, or the console ends at that moment, the
account's runs are looked through for the job's upload or its nonce; only if the run is surely not there is
another call made, and a call is never repeated blindly.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from luxscaler.clock import backoff
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.packing import checked_source, pack
from luxscaler.console.provider import Provider
from luxscaler.console.publications import Publications
from luxscaler.console.settings import Settings
from luxscaler.console.submissions import is_address
from luxscaler.console.transitions import Transitions
from luxscaler.errors import BackendError, StoppedError
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.pace import Pace
from luxscaler.replicate.responses import BusyError, NoAnswerError
from luxscaler.replicate.runs import AccountApi, RemoteRun, RunCall

_log = logging.getLogger(__name__)
WEBHOOK_PATH = "/api/webhooks/replicate"
_NOTE_SECONDS = 0.25
"""Between two notes of an upload's progress, and two looks at the wish to cancel."""
_MOST_CALLS = 5
"""Most paid calls for a job, each made only after the last surely did not start a run."""
_FIRST_LOOK, _LONGEST_LOOK = 1.0, 10.0
_CLOCK_SLACK = 300.0
"""Seconds by which this machine's clock and Replicate's may differ."""


class CanceledError(Exception):
    """Somebody wants the job to end, and nothing was paid for it."""


@dataclass(frozen=True)
class Sender:
    """Sends the jobs of one console. Its methods may be called from several threads, one a job."""

    settings: Settings
    provider: Provider
    jobs: Jobs
    transitions: Transitions
    publications: Publications
    pace: Pace
    folder: Path
    """Folder for archives while they are uploaded."""

    def send(self, name: str) -> None:
        """Take a job as far as it goes: to a run at Replicate, or to its end."""
        job = self.jobs.get(name)
        if job is None or job.state not in (JobState.PENDING, JobState.UPLOADING):
            return
        try:
            self.jobs.change(name, [JobState.PENDING], state=JobState.UPLOADING)
            self._send(job)
        except CanceledError:
            self.transitions.cancel(self._now(name))
        except (StoppedError, NoAnswerError):
            return  # the console ends, or Replicate does not answer: the next look goes on from here
        except BusyError as error:
            self.pace.pause(error.delay)
        except (Problem, BackendError, OSError, ValueError) as error:
            self._fail(name, str(error))

    def _fail(self, name: str, reason: str) -> None:
        """End a job for which nothing was paid. One that may have been is looked up until it is overdue."""
        job = self._now(name)
        if job.intent_at is None:
            self.transitions.fail(job, reason, cost=0.0)
        else:
            _log.warning("job %s: a run may be under way, and cannot be looked up: %s", name, reason)

    def _send(self, job: Job) -> None:
        api = self.provider.api()
        if job.intent_at is not None:
            if self._adopted(api, job):
                return
            self.jobs.change(job.id, intent_at=None)
        self._raise_if_canceled(job.id)
        if not job.upload_url:
            self.publications.check(job)
        address = job.upload_url or self._upload(api, job)
        path, body = self._call(api, job, address)
        json.dumps(
            body, allow_nan=False
        ).encode()  # what cannot be sent fails before it may have been paid for
        cancel_after = int(job.max_seconds) if job.kind == "master" else None
        for _ in range(_MOST_CALLS):
            if self._started(api, job, RunCall(path, body, cancel_after)):
                return
        raise BackendError(f"Replicate took none of {_MOST_CALLS} calls")

    def _started(self, api: AccountApi, job: Job, call: RunCall) -> bool:
        """Make the paid call once; whether there is a run now."""
        api.wait_for_turn()
        self._raise_if_canceled(job.id)
        if not self.jobs.change(job.id, [JobState.UPLOADING], intent_at=self.pace.now()):
            return True  # a webhook or another process has brought it further
        try:
            run = api.start(call)
        except BusyError as error:
            self.jobs.change(job.id, intent_at=None)
            self.pace.pause(error.delay)
            return False
        except BackendError:  # refused: there is no run
            self.jobs.change(job.id, intent_at=None)
            raise
        except NoAnswerError:
            if self._adopted(api, self._now(job.id)):
                return True
            self.jobs.change(job.id, intent_at=None)
            return False
        self.transitions.apply(job.id, run)
        return True

    def _adopted(self, api: AccountApi, job: Job) -> bool:
        """Find the run of an intent and note it; False if there is surely none. Raises NoAnswerError."""
        intent_at = job.intent_at or self.pace.now()
        settled_at = intent_at + api.options.answer + self.settings.settling_seconds
        pauses = backoff(_FIRST_LOOK, _LONGEST_LOOK)
        while True:
            looked_at = self.pace.now()
            if self._now(job.id).remote_id is not None:
                return True  # its webhook came
            run = self._found(api, job, intent_at - _CLOCK_SLACK)
            if run is not None:
                self.transitions.apply(job.id, run)
                return True
            if looked_at >= settled_at:
                return False
            self.pace.pause(min(next(pauses), settled_at - looked_at))

    def _found(self, api: AccountApi, job: Job, earliest: float) -> RemoteRun | None:
        for run in api.runs(job.run_kind):
            if run.created_at is not None and run.created_at < earliest:
                return None
            if is_of(job, run):
                return run
        return None

    def _call(self, api: AccountApi, job: Job, address: str) -> tuple[str, dict[str, Any]]:
        """(path, body) of the paid call."""
        settings, model = self.provider.provider_settings.get(), str(job.call["model"])
        version = str(job.call.get("version", ""))
        version = version or (settings.version_override if model == settings.model else "")
        if not version:
            versions = api.versions(model)
            version = str(versions[0].get("id", "")) if versions else ""
        if not version:
            raise BackendError(f"the model {model} has no version on Replicate: push one first")
        body: dict[str, Any] = {"input": {**job.call["input"], job.call["field"]: address}}
        if settings.webhook_url:
            body["webhook"] = f"{settings.webhook_url}{WEBHOOK_PATH}?nonce={job.nonce}"
            body["webhook_events_filter"] = ["start", "completed"]
        if job.kind == "master":
            return "predictions", {**body, "version": version}
        path = f"models/{model}/versions/{version}/trainings"
        return path, {**body, "destination": job.call["destination"]}

    def _upload(self, api: AccountApi, job: Job) -> str:
        """Upload the source, and return the address, by which the run can be recognised."""
        if is_address(job.source):
            address = f"{job.source}#luxscaler={job.nonce}"
        else:
            with self._packed(job) as (name, path):
                address = self._upload_file(api, job, name, path)
        self.jobs.change(job.id, upload_url=address)
        return address

    def _upload_file(self, api: AccountApi, job: Job, name: str, path: Path) -> str:
        with path.open("rb") as file:
            watched = _Watched(file, lambda done: self._note(job.id, done))
            kind = "application/zip" if name.endswith(".zip") else "application/octet-stream"
            return api.upload_file(name, cast(BinaryIO, watched), kind)

    @contextmanager
    def _packed(self, job: Job) -> Iterator[tuple[str, Path]]:
        """Yield (name, file) to upload; an archive is removed at the end of the block."""
        source = checked_source(job.source, self.settings.sources, self.settings.max_upload_bytes)
        self.jobs.change(job.id, upload_total=source.size, upload_bytes=0)
        if not source.is_folder:
            yield source.path.name, source.path
            return
        target = self.folder / f"{job.id}.zip"
        try:
            pack(source, target, lambda: self._raise_if_canceled(job.id))
            yield f"luxscaler-{job.id}.zip", target
        finally:
            target.unlink(missing_ok=True)

    def _note(self, name: str, done: int) -> None:
        self._raise_if_canceled(name)
        self.jobs.change(name, [JobState.UPLOADING], upload_bytes=done)

    def _raise_if_canceled(self, name: str) -> None:
        if self.pace.stop.is_set():
            raise StoppedError("stopped")
        if self.jobs.wants_cancel(name):
            raise CanceledError

    def _now(self, name: str) -> Job:
        job = self.jobs.get(name)
        if job is None:
            raise StoppedError("the job was deleted")
        return job


def is_of(job: Job, run: RemoteRun) -> bool:
    """Whether a run was started for a job."""
    own = {job.upload_url} - {""}
    return bool(own & run.marks) or any(mark.endswith(f"nonce={job.nonce}") for mark in run.marks)


class _Watched:
    """A file whose reader is watched: httpx reads it piece by piece while it sends."""

    def __init__(self, file: BinaryIO, note: Callable[[int], None]) -> None:
        self._file, self._note = file, note
        self._noted_at = float("-inf")

    def read(self, size: int = -1) -> bytes:
        """The next bytes; raises what `note` raises."""
        piece = self._file.read(size)
        now = time.monotonic()
        if not piece or now - self._noted_at >= _NOTE_SECONDS:
            self._noted_at = now
            self._note(self._file.tell())
        return piece

    def seek(self, place: int, whence: int = 0) -> int:
        """Move to a place: for another try, and to find out the size."""
        return self._file.seek(place, whence)

    def tell(self) -> int:
        """The current place."""
        return self._file.tell()

    def fileno(self) -> int:
        """The file's descriptor, from which httpx takes the size."""
        return self._file.fileno()
