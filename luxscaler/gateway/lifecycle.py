"""All changes of predictions and trainings: each is stored and told to webhooks and waiting requests.

    created ─ starting ─ processing ─┬─ succeeded | failed
                 │            └──────┴─ canceled     by the client, or its deadline
                 └─ canceled | aborted

A change that comes too late, of a run that is over, changes nothing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine
from typing import Any

from luxscaler.clock import Clock
from luxscaler.cog.messages import Json
from luxscaler.cog.status import Status
from luxscaler.gateway.run import Event, Run
from luxscaler.gateway.store import Store
from luxscaler.gateway.webhooks import Notifier

_log = logging.getLogger(__name__)


class Lifecycle:
    """Changes the runs of one gateway."""

    def __init__(self, store: Store, clock: Clock, notifier: Notifier) -> None:
        self._store, self._clock, self._notifier = store, clock, notifier
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.created = asyncio.Event()
        """Set when there is something new to run; the runner clears it."""

    def create(self, run: Run) -> Run:
        """Store a new run, which waits for a container."""
        kept = self._store.add(run)
        _log.info("%s %s: created", kept.noun, kept.id)
        self.created.set()
        return kept

    def begun(self, name: str) -> None:
        """Note that a container has begun with a run."""
        if self._store.change(
            name, f"status = '{Status.STARTING}'", status=Status.PROCESSING, started_at=self._clock.now()
        ):
            _log.info("run %s: processing", name)
            self._tell(name, "start")

    def put_back(self, name: str) -> None:
        """Have a run wait again, because its container did not take it."""
        self._store.change(name, status=Status.STARTING, started_at=None, container="")
        self.created.set()

    def logs(self, name: str, logs: str) -> None:
        """Note all that a run has printed so far."""
        found = self._store.brief(name)
        # Reports overtake one another: a shorter one is an older one.
        if found and len(logs) > len(found.logs) and self._store.change(name, logs=logs):
            self._tell(name, "logs")

    def output(self, name: str, output: Any) -> None:
        """Note output of a run that is not over."""
        if output is not None and self._store.change(name, output=output):
            self._tell(name, "output")

    def finish(
        self, name: str, status: Status, error: str | None = None, metrics: Json | None = None
    ) -> bool:
        """End a run; False if it was over already."""
        now = self._clock.now()
        values: Json = {"status": status, "error": error, "completed_at": now}
        if metrics:
            values["metrics"] = metrics
        if status is not Status.SUCCEEDED:
            values["output"] = None
        with self._store.transaction():  # with its last webhook: a crash in between would lose that
            if not self._store.change(name, **values):
                return False
            delivery = self._notifier.to_deliver(self._store.brief(name))
        _log.info("run %s: %s", name, status)
        self._notifier.completed(name, delivery)
        for event in self._waiting.pop(name, ()):
            event.set()
        return True

    async def wait(self, name: str, seconds: float) -> None:
        """Wait until a run is over, for so long at most."""
        event = asyncio.Event()
        self._waiting[name].add(event)
        found = self._store.brief(name)
        try:
            if found is not None and not found.is_over:
                await self._first_of(event.wait(), self._clock.sleep_async(seconds))
        finally:
            self._waiting[name].discard(event)
            if not self._waiting[name]:
                del self._waiting[name]

    @staticmethod
    async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _tell(self, name: str, event: Event) -> None:
        brief = self._store.brief(name)
        if brief is not None and brief.webhook and event in brief.events:
            self._notifier.notify(self._store.run(name) or brief, event)
