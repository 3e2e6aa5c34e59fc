"""Brings jobs of this machine forward: one process at a time, looked at as runs at Replicate are.

    pending → queued (another is computed) → running → completed | failed | canceled

The process belongs to its console: when the console ends, the process is asked to save its state, and the
next console goes on with it (`luxscaler train --resume`). So it is after a crash of either. A process that
ends by itself with an error is not begun again.
"""

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.local import supervisor
from luxscaler.console.local.commands import (
    WORK,
    LocalCommand,
    environment,
    master_command,
    training_command,
)
from luxscaler.console.local.files import count, count_in, exit_of, is_held, tail
from luxscaler.console.models import Models
from luxscaler.console.packing import checked_source
from luxscaler.console.progress import read_progress
from luxscaler.console.provider_settings import ProviderSettingsStore
from luxscaler.console.publications import Publications
from luxscaler.console.results import Results
from luxscaler.console.schedule import Alarm
from luxscaler.console.settings import Settings
from luxscaler.console.transitions import Transitions
from luxscaler.errors import ExportError
from luxscaler.gateway.problems import Problem
from luxscaler.private_files import private_folder
from luxscaler.replicate.pace import Pace

_log = logging.getLogger(__name__)
_KEPT_LOG = 256 * 1024
"""Bytes of a log's end that the console keeps."""
_MOST_STARTS = 20
"""Most starts of a job whose process is ended from outside each time; then it is given up."""
_KILL_SECONDS = 2 * supervisor.GRACE_SECONDS
_TAIL = 4096


@dataclass
class _Running:
    """The supervisor of a job, from this side."""

    process: "subprocess.Popen[bytes]"
    begun_at: float
    """Monotonic."""
    asked_at: float | None = None
    first_step: tuple[float, int] | None = None
    """(monotonic time, step) of the first look at the training's steps: the speed comes from there."""

    def ask(self) -> None:
        """Ask the supervisor to end, by closing its input."""
        if self.asked_at is None and self.process.stdin is not None:
            self.asked_at = time.monotonic()
            self.process.stdin.close()


@dataclass(frozen=True)
class LocalRunner:
    """The processes of one console. `advance` may be called from several threads, one a job."""

    settings: Settings
    provider_settings: ProviderSettingsStore
    jobs: Jobs
    transitions: Transitions
    results: Results
    models: Models
    publications: Publications
    pace: Pace
    folder: Path
    """Holds a folder for each job that is computed."""
    alarm: Alarm
    """Rung when a process has ended."""
    _running: dict[str, _Running] = field(default_factory=dict)
    _left: dict[str, float] = field(default_factory=dict)
    """Jobs of an earlier console that still end, and when that was noticed."""

    def advance(self, job: Job) -> None:
        """Do what is due for a job that is not over."""
        if job.state is not JobState.RUNNING:
            self._begin(job)
        elif (running := self._running.get(job.id)) is not None:
            self._look(job, running)
        else:
            self._recover(job)

    def stop(self) -> None:
        """Ask all to save their state, and wait for it; the next start goes on with them."""
        for running in self._running.values():
            running.ask()
        for running in self._running.values():
            with suppress(subprocess.TimeoutExpired):  # the next console finds it, and waits for it
                running.process.wait(_KILL_SECONDS)

    def remove(self, job: str) -> None:
        """Remove what a job that is over has left in its folder."""
        shutil.rmtree(self.folder / job, ignore_errors=True)

    def _begin(self, job: Job) -> None:
        if self.jobs.wants_cancel(job.id):
            self.transitions.cancel(job)
            return
        now = self.pace.now()
        deadline = now + job.max_seconds + self.settings.overtime_seconds
        with self.jobs.database.transaction():
            if self.jobs.has_to_wait_here(job.sequence):
                if job.state is JobState.PENDING:
                    self.jobs.change(job.id, [JobState.PENDING], state=JobState.QUEUED)
                return
            waiting = (JobState.PENDING, JobState.QUEUED)
            values = {"state": JobState.RUNNING, "started_at": now, "deadline": deadline}
            if not self.jobs.change(job.id, waiting, **values):
                return
        self._start(self._now(job))

    def _start(self, job: Job) -> None:
        """Run its command, in a folder that may have a state to go on with."""
        folder = self.folder / job.id
        try:
            private_folder(folder)
            starts = count(folder / "starts")
            if starts > _MOST_STARTS:
                self._fail(job, f"it was begun {_MOST_STARTS} times, and its process was ended each time")
                return
            if starts == 1:
                self.publications.check(job)
            command = self._command(job, folder)
            (folder / supervisor.EXIT).unlink(missing_ok=True)
            process = subprocess.Popen(  # noqa: S603 - this program, its options checked
                [sys.executable, "-m", supervisor.__name__, str(folder), *command.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(self.provider_settings.get()),
                start_new_session=True,  # Ctrl-C at the console's terminal is the console's
            )
        except (Problem, OSError) as error:
            self._fail(job, str(error))
            return
        self._running[job.id] = _Running(process, time.monotonic())
        threading.Thread(target=self._wait_and_wake, args=[process], daemon=True).start()

    def _wait_and_wake(self, process: "subprocess.Popen[bytes]") -> None:
        process.wait()
        self.alarm.ring()

    def _command(self, job: Job, folder: Path) -> LocalCommand:
        source = checked_source(job.source, self.settings.sources, sys.maxsize).path
        if job.kind == "training":
            return training_command(job, source, folder)
        trained_by = str(job.call.get("trained_by", ""))
        return master_command(job, source, folder, self.models.path(trained_by) if trained_by else None)

    def _look(self, job: Job, running: _Running) -> None:
        over = running.process.poll() is not None
        self._note(job, running)
        if over:
            del self._running[job.id]
            self._end(self._now(job))
            self.alarm.ring()  # the next one may begin
        elif self.jobs.wants_cancel(job.id):
            running.ask()
            if running.asked_at is not None and time.monotonic() - running.asked_at > _KILL_SECONDS:
                self._kill(job)

    def _recover(self, job: Job) -> None:
        """A job of a console that has ended: wait until its process has too, and go on with it."""
        folder = self.folder / job.id
        if is_held(folder / supervisor.LOCK):
            since = self._left.setdefault(job.id, time.monotonic())
            if time.monotonic() - since > _KILL_SECONDS:
                self._kill(job)
            return
        self._left.pop(job.id, None)
        ended = exit_of(folder)
        if self.jobs.wants_cancel(job.id) or (ended and (ended["status"] == 0 or not ended["asked"])):
            self._end(job)
        else:
            _log.info("job %s: goes on after a restart", job.id)
            self._start(job)

    def _end(self, job: Job) -> None:
        """End a job whose process has ended."""
        ended = exit_of(self.folder / job.id)
        if ended and ended["status"] == 0:
            self._keep(job)
        elif self.jobs.wants_cancel(job.id):
            self.transitions.cancel(self._now(job))
        elif self.pace.stop.is_set():
            return  # the next console goes on with it
        else:
            self._fail(job, _reason(ended, self._log_of(job)))
            return
        self.remove(job.id)

    def _keep(self, job: Job) -> None:
        """Move the files that the command wrote to the results."""
        try:
            command = self._command(job, self.folder / job.id)
            for name, path in command.files.items():
                self.results.add(job.id, path, name)
        except (ExportError, OSError, Problem) as error:
            self._fail(job, f"the results cannot be kept: {error}")
            return
        self.transitions.complete_here(job)

    def _fail(self, job: Job, reason: str) -> None:
        """End it, with the report of a training that was not better than its base."""
        report = self.folder / job.id / WORK / "report.html"
        if report.is_file():
            with suppress(ExportError):
                self.results.add(job.id, report, report.name)
        self.transitions.fail(job, reason, cost=0.0)
        self.remove(job.id)

    def _kill(self, job: Job) -> None:
        """Kill a process that does not end when it is asked to."""
        group = count_in(self.folder / job.id / supervisor.GROUP)
        if group > 1 and is_held(self.folder / job.id / supervisor.LOCK):
            supervisor.kill_group(group)

    def _note(self, job: Job, running: _Running) -> None:
        """Store the log and the progress, as far as they are new."""
        values: dict[str, Any] = {}
        log = self._log_of(job)
        if log != job.logs:
            values["logs"] = log
        found = read_progress(log)
        step, steps = self._steps(job) if job.kind == "training" else (found.step, found.steps)
        stage = found.stage or ("training" if step is not None else _FIRST_STAGE[job.kind])
        eta = found.eta_seconds
        if job.kind == "training" and step is not None and steps:
            now = time.monotonic()
            running.first_step = running.first_step or (now, step)
            began, first = running.first_step
            eta = (steps - step) * (now - began) / (step - first) if step > first else None
        news = {"stage": stage, "step": step, "steps": steps if step is not None else None}
        if any(getattr(job, name) != value for name, value in news.items()):
            values |= {**news, "eta_seconds": eta}
        if values:
            self.jobs.change(job.id, [JobState.RUNNING], **values)

    def _steps(self, job: Job) -> tuple[int | None, int | None]:
        """(steps done, steps in all) of a training, by its own record."""
        steps = job.call["input"].get("steps", _DEFAULT_STEPS)
        path = self.folder / job.id / WORK / "metrics.jsonl"
        for line in reversed(tail(path, _TAIL).splitlines()):
            try:
                step = json.loads(line)["step"]
            except (ValueError, KeyError, TypeError):
                continue  # a line that is written just now
            return int(step), int(steps)
        return None, None

    def _log_of(self, job: Job) -> str:
        return tail(self.folder / job.id / supervisor.LOG, _KEPT_LOG)

    def _now(self, job: Job) -> Job:
        return self.jobs.get(job.id) or job


_DEFAULT_STEPS = 1000
"""Of `luxscaler train`."""
_FIRST_STAGE = {"training": "reading pictures", "master": "upscaling"}


def _reason(ended: dict[str, Any] | None, log: str) -> str:
    """Why a command failed: its own last line, or how it was ended."""
    if ended is None:
        return "its process was ended from outside, and said nothing"
    errors = [line.removeprefix("error: ") for line in log.splitlines() if line.startswith("error: ")]
    if errors:
        return errors[-1]
    status = int(ended["status"])
    if status < 0:
        return f"its process was ended by signal {-status}" + (": out of memory?" if status == -9 else "")
    last = next((line for line in reversed(log.splitlines()) if line.strip()), "")
    return f"its process ended with status {status}: {last[:300]}"
