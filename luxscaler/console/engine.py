"""Brings jobs forward: one thread finds the jobs that are due, others upload, ask, cancel and download.

The database says what to do next, so a restart continues where the last run ended. A job that outlives its
deadline is canceled, and one that does not end even then fails, so that nothing runs for ever.
"""

import logging
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.console.local.runner import LocalRunner
from luxscaler.console.models import Models
from luxscaler.console.provider import Provider
from luxscaler.console.publications import Publications
from luxscaler.console.results import Results
from luxscaler.console.schedule import Alarm, Schedule
from luxscaler.console.sending import Sender
from luxscaler.console.settings import Settings
from luxscaler.console.transitions import Transitions
from luxscaler.errors import BackendError, StoppedError
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.pace import Pace
from luxscaler.replicate.responses import BusyError, NoAnswerError

_log = logging.getLogger(__name__)
OVERDUE = "its deadline has passed"


class Engine:
    """The work of one console."""

    def __init__(
        self,
        settings: Settings,
        provider: Provider,
        jobs: Jobs,
        transitions: Transitions,
        sender: Sender,
        results: Results,
        models: Models,
        local: LocalRunner,
        publications: Publications,
        pace: Pace,
        alarm: Alarm,
    ) -> None:
        """alarm: is rung when jobs have to be looked at at once."""
        self._settings, self._provider, self._jobs = settings, provider, jobs
        self._transitions, self._sender, self._results = transitions, sender, results
        self._models, self._local, self._publications, self._pace = models, local, publications, pace
        self._alarm, self._schedule = alarm, Schedule(settings.poll_seconds)
        self._busy: set[str] = set()
        self._again: set[str] = set()
        """Those that were named while they were busy."""
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(settings.workers, "console-job")
        self._thread = threading.Thread(target=self._run, name="console-engine")

    def start(self) -> None:
        """Start the threads; `stop` has to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the threads; the next start takes up what is under way."""
        self._pace.stop.set()
        self._alarm.ring()
        self._thread.join()
        self._pool.shutdown(cancel_futures=True)
        self._local.stop()

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive()

    def wake(self, *jobs: str) -> None:
        """Look at these jobs at once, or, without any, at all that are due."""
        if jobs:
            self._alarm.ring_for(jobs)
        else:
            self._alarm.ring()

    def _run(self) -> None:
        next_look = time.monotonic()
        while not self._pace.stop.is_set():
            looks_at_all, named = self._alarm.wait(next_look - time.monotonic())
            now = time.monotonic()
            self._schedule.looked_at(named, now)
            for name in named:
                self._hand_out(name, again=True)
            if looks_at_all:
                next_look = now + self._settings.poll_seconds
                for name in self._due(now):
                    self._hand_out(name)

    def _due(self, now: float) -> list[str]:
        try:
            return self._all_due(now)
        except sqlite3.Error:  # a full disk, or a lock that was held long: the next look may do
            _log.exception("the jobs that are due cannot be read")
            return []

    def _all_due(self, now: float) -> list[str]:
        return [*self._schedule.due(self._jobs.to_do(), now), *self._publications.due()]

    def _hand_out(self, name: str, *, again: bool = False) -> None:
        """Have a thread bring a job forward, unless one does; again: in that case once more afterwards."""
        with self._lock:
            if name in self._busy:
                if again:
                    self._again.add(name)
                return
            self._busy.add(name)
        self._pool.submit(self._advance, name)

    def _advance(self, name: str) -> None:
        try:
            job = self._jobs.get(name)
            if job is not None:
                self._bring_forward(job)
        except StoppedError:
            pass
        except Exception:  # the thread goes on with other jobs; the job is looked at again
            _log.exception("job %s", name)
        finally:
            with self._lock:
                self._busy.discard(name)
                again = name in self._again
                self._again.discard(name)
            if again:
                self._alarm.ring_for([name])

    def _bring_forward(self, job: Job) -> None:
        self._reap(job)
        if job.results == "waiting":
            self._fetch(job)
        elif job.state.is_over:
            self._publications.deliver(job)
        elif job.place == "here":
            self._local.advance(job)
        elif job.remote_id is None:
            self._sender.send(job.id)
        else:
            self._ask(job)

    def _fetch(self, job: Job) -> None:
        """Download the results of a job, and unpack the network of a training."""
        if not self._results.download(job):
            return
        self._alarm.ring_for([job.id])  # to deliver them
        if job.kind == "training":
            try:
                self._models.make(job)
            except Problem as problem:
                _log.info("job %s: %s", job.id, problem)

    def _ask(self, job: Job) -> None:
        """Pass on a wish to cancel, and ask Replicate about the run."""
        assert job.remote_id is not None  # noqa: S101 - _advance has seen it
        try:
            api = self._provider.api()
            known = True
            if self._jobs.wants_cancel(job.id):
                known = api.cancel_run(job.run_kind, job.remote_id)
            run = api.run(job.run_kind, job.remote_id) if known else None
        except (NoAnswerError, BusyError, BackendError, Problem) as error:
            _log.info("job %s: %s", job.id, error)
            return
        now = self._jobs.get(job.id) or job
        if run is not None:
            if self._transitions.apply(job.id, run) and run.status.is_over:
                self._alarm.ring_for([job.id])  # to fetch its results
        elif now.cancel_reason:
            self._transitions.cancel(now, cost=now.reserved if now.started_at else 0.0)
        elif self._pace.now() - (now.intent_at or now.created_at) > self._settings.settling_seconds:
            self._transitions.fail(now, "Replicate does not know the run any more", cost=now.reserved)

    def _reap(self, job: Job) -> None:
        """Cancel a job that is overdue; fail one that does not end even then."""
        waits_for_this_machine = job.place == "here" and job.state is not JobState.RUNNING
        over = self._pace.now() - job.deadline
        if job.state.is_over or waits_for_this_machine or over <= 0:
            return
        if self._jobs.ask_to_cancel(job.id, OVERDUE):
            _log.info("job %s: %s", job.id, OVERDUE)
        if job.place == "replicate" and over > self._settings.overtime_seconds:
            cost = job.reserved if job.intent_at is not None else 0.0
            reason = (
                f"{OVERDUE}, and Replicate did not say that it has ended: look at its page, it may still cost"
            )
            self._transitions.fail(job, reason, cost=cost)
