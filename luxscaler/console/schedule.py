"""Decides which jobs need attention: at once, or when it is a run's turn to be asked about.

Replicate is asked about each run every few seconds, but about no more runs a second than it allows: those
first that were not asked about for the longest time. Webhooks tell of the others sooner.
"""

import threading
from collections.abc import Iterable, Sequence

from luxscaler.console.job import OVER, JobState, ToDo

RUNS_A_SECOND = 20.0
"""Of the 50 calls that Replicate allows; the others are for jobs that begin and end."""
_LEAST_AT_ONCE = 8.0


class Alarm:
    """Tells the engine's thread to look: at all jobs, or at some."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._all = True
        self._named: set[str] = set()

    def ring(self) -> None:
        """Have all jobs looked at."""
        with self._news:
            self._all = True
            self._news.notify()

    def ring_for(self, jobs: Iterable[str]) -> None:
        """Have some jobs looked at, whenever that was done last."""
        with self._news:
            self._named.update(jobs)
            self._news.notify()

    def wait(self, seconds: float) -> tuple[bool, set[str]]:
        """Wait until it rings, for so long at most: (whether to look at all, the jobs that were named)."""
        with self._news:
            rang = self._news.wait_for(lambda: self._all or self._named, max(seconds, 0.0))
            found = (self._all or not rang, self._named)
            self._all, self._named = False, set()
        return found


class Schedule:
    """What is due; used by one thread."""

    def __init__(self, poll_seconds: float) -> None:
        self._poll_seconds = poll_seconds
        self._most = max(RUNS_A_SECOND * poll_seconds, _LEAST_AT_ONCE)
        self._left, self._counted_at = self._most, 0.0
        """So many runs may be asked about now, and the time for which that was counted."""
        self._asked_at: dict[str, float] = {}

    def due(self, jobs: Sequence[ToDo], now: float) -> list[str]:
        """The ids of those jobs that need attention now. now: by time.monotonic()."""
        self._left = min(self._left + RUNS_A_SECOND * (now - self._counted_at), self._most)
        self._counted_at = now
        runs = [job for job in jobs if _is_run(job)]
        self._asked_at = {job.id: self._asked_at.get(job.id, float("-inf")) for job in runs}
        asked = self._due_runs(runs, now)
        self._left -= len(asked)
        self.looked_at(asked, now)
        return [*_at_once(jobs), *asked]

    def looked_at(self, jobs: Iterable[str], now: float) -> None:
        """Note that runs are asked about."""
        for name in jobs:
            if name in self._asked_at:
                self._asked_at[name] = now

    def _due_runs(self, runs: Sequence[ToDo], now: float) -> list[str]:
        """Runs to ask about: first those to be canceled, then those not asked about for longest."""
        waiting = [job for job in runs if now - self._asked_at[job.id] >= self._poll_seconds]
        waiting.sort(key=lambda job: (not job.is_unwanted, self._asked_at[job.id]))
        return [job.id for job in waiting[: int(self._left)]]


def _is_run(job: ToDo) -> bool:
    return job.place == "replicate" and bool(job.is_remote) and job.state not in OVER


def _at_once(jobs: Sequence[ToDo]) -> list[str]:
    """Jobs to send, results to fetch, jobs of this machine: of those that wait for it, the first."""
    found, is_next_known = [], False
    for job in jobs:
        if _is_run(job):
            continue
        if job.place == "here" and job.state == JobState.QUEUED and not job.is_unwanted:
            if is_next_known:
                continue
            is_next_known = True
        found.append(job.id)
    return found
