"""Applies what Replicate says about a run to its job, whether it came by poll, webhook or replay.

Reports may come in any order and any number of times: states only go forward, logs only grow, and what is
over stays as it is.
"""

from typing import Any

from luxscaler.clock import Clock
from luxscaler.cog.status import Status
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.progress import read_progress
from luxscaler.replicate.runs import RemoteRun

_STATES = {
    Status.STARTING: JobState.QUEUED,
    Status.PROCESSING: JobState.RUNNING,
    Status.SUCCEEDED: JobState.COMPLETED,
    Status.FAILED: JobState.FAILED,
    Status.CANCELED: JobState.CANCELED,
    Status.ABORTED: JobState.CANCELED,
}
_BEFORE = {
    JobState.QUEUED: (JobState.UPLOADING, JobState.QUEUED),
    JobState.RUNNING: (JobState.UPLOADING, JobState.QUEUED, JobState.RUNNING),
}
UNREPORTED = "Replicate did not say how long it computed, so the most that it can cost counts"


class Transitions:
    """Changes of one console's jobs."""

    def __init__(self, jobs: Jobs, clock: Clock) -> None:
        self._jobs, self._clock = jobs, clock

    def apply(self, name: str, run: RemoteRun) -> bool:
        """Make a job what the run says; whether anything changed. The job is read in the transaction that
        changes it: a poll and a webhook may tell of the same run at once."""
        with self._jobs.database.transaction():
            job = self._jobs.get(name)
            values = self.changes(job, run) if job is not None else {}
            return bool(values) and self._jobs.change(name, **values)

    def changes(self, job: Job, run: RemoteRun) -> dict[str, Any]:
        """The columns of a job that a run changes, with their values; empty if there is nothing new."""
        if job.state not in _BEFORE[JobState.RUNNING]:
            return {}
        state = _STATES[run.status]
        values = _news(job, run)
        if state.is_over:
            return {**values, **self._end(job, run, state)}
        if job.state is not state and job.state in _BEFORE[state]:
            values["state"] = state
        return values

    def fail(self, job: Job, reason: str, *, cost: float) -> None:
        """Fail a job because of something on this side."""
        now = self._clock.now()
        self._jobs.change(job.id, state=JobState.FAILED, error=reason, finished_at=now, cost=cost)

    def cancel(self, job: Job, *, cost: float = 0.0) -> None:
        """Cancel a job of which nothing is under way any more."""
        now = self._clock.now()
        self._jobs.change(
            job.id, state=JobState.CANCELED, finished_at=now, cost=cost, error=job.cancel_reason
        )

    def complete_here(self, job: Job) -> None:
        """Complete a job of this machine whose files are entered."""
        now = self._clock.now()
        seconds = None if job.started_at is None else max(now - job.started_at, 0.0)
        self._jobs.change(
            job.id,
            state=JobState.COMPLETED,
            finished_at=now,
            cost=0.0,
            predict_time=seconds,
            results="here",
            stage="",
            eta_seconds=None,
        )

    def _end(self, job: Job, run: RemoteRun, state: JobState) -> dict[str, Any]:
        now = self._clock.now()
        cost, error = _cost(job, run, now), run.error
        if run.status is Status.ABORTED:
            error = error or "its deadline came before it had begun"
        if state is JobState.CANCELED:
            error = error or job.cancel_reason
        if state is JobState.COMPLETED and run.predict_time is None:
            error = UNREPORTED
        outputs = dict(run.outputs)
        # A training may fail after its weights are there: they were paid for, and are fetched.
        results = "waiting" if outputs else ("lost" if state is JobState.COMPLETED else "")
        return {
            "state": state,
            "error": error,
            "finished_at": now,
            "predict_time": run.predict_time,
            "cost": cost,
            "outputs": outputs,
            "results": results,
            "trained_version": run.trained_version,
            "eta_seconds": None,
        }


def _news(job: Job, run: RemoteRun) -> dict[str, Any]:
    """The columns to change besides the state."""
    values: dict[str, Any] = {}
    if len(run.logs) > len(job.logs):
        progress = read_progress(run.logs)
        values |= {"logs": run.logs, "stage": progress.stage, "step": progress.step, "steps": progress.steps}
        values["eta_seconds"] = progress.eta_seconds
    if run.started_at is not None and job.started_at is None:
        values["started_at"] = run.started_at
    if job.remote_id is None:
        values["remote_id"] = run.id
    return values


def _cost(job: Job, run: RemoteRun, now: float) -> float:
    """Dollars: what Replicate measured; if it does not say, the time since the start, at most all that was
    reserved. A run that never started is free."""
    if run.predict_time is not None:
        return run.predict_time * job.price
    if run.status is Status.SUCCEEDED:
        return job.reserved
    started_at = run.started_at or job.started_at
    return 0.0 if started_at is None else min(max(now - started_at, 0.0) * job.price, job.reserved)
