"""Gives waiting predictions and trainings to containers: one worker a container, one run at a time each.

The queue is the database: the oldest `starting` run without a container, of the kind that a container was
started for. What a container surely did not start goes back to it; what may have started and has no result
fails and says so, because to run it again would be to pay again. After a restart what waited still waits.
For what was with a container then, the container is asked and its report waited for: it may have finished.
Else it has failed, for Cog cancels when the connection breaks.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from luxscaler.clock import Clock
from luxscaler.cog.async_client import AsyncCogClient, Lost, NotTaken, Outcome
from luxscaler.cog.data_urls import file_as_data_url, map_strings
from luxscaler.cog.messages import Json
from luxscaler.cog.reply import Reply
from luxscaler.cog.status import Health, Status
from luxscaler.gateway.addresses import Addresses
from luxscaler.gateway.background import TaskSet
from luxscaler.gateway.file_store import FileStore
from luxscaler.gateway.lifecycle import Lifecycle
from luxscaler.gateway.run import Run
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import Store

_log = logging.getLogger(__name__)


class MissingUploadError(Exception):
    """An input names an upload that does not exist any more."""


@dataclass(frozen=True)
class Parts:
    """The parts of a gateway that a runner uses."""

    settings: Settings
    clock: Clock
    store: Store
    files: FileStore
    addresses: Addresses
    lifecycle: Lifecycle


class Runner:
    """Runs the predictions and trainings of one gateway."""

    def __init__(self, parts: Parts, cogs: tuple[AsyncCogClient, ...]) -> None:
        self._parts, self._cogs = parts, cogs
        self._tasks = TaskSet()
        self._running: dict[str, tuple[AsyncCogClient, asyncio.Task[Outcome]]] = {}
        self._lost: set[str] = set()

    def start(self) -> None:
        """Deal with runs that a former process left, then start the workers."""
        for found in self._parts.store.with_container():
            self._lost.add(found.id)
            self._tasks.add(self._recover(found))
        for cog in self._cogs:
            self._tasks.add(self._work(cog))

    async def stop(self) -> None:
        """Stop the workers. Runs on containers have failed then, unless they may still be reported."""
        await self._tasks.stop()
        self.give_up("The gateway stopped")

    def is_lost(self, name: str) -> bool:
        """Whether the run waits for a report of its container, because the connection is lost."""
        return name in self._lost

    def report(self, name: str, reply: Reply) -> None:
        """End a lost run with the reply that its container has reported."""
        if name not in self._lost:
            self._parts.files.remove_outputs(name)
            return
        self._lost.discard(name)
        if reply.status is Status.CANCELED:  # by Cog, as the connection broke
            self._give_up(name, "The gateway stopped while a container worked on it")
        elif not self._keep(name, reply):
            self._parts.files.remove_outputs(name)

    async def _recover(self, found: Run) -> None:
        """Wait for the report of a lost run, and ask the container meanwhile whether it still knows it."""
        settings, name = self._parts.settings, found.id
        cog = next((cog for cog in self._cogs if cog.url == found.container), None)
        end = asyncio.get_running_loop().time() + settings.lost_seconds
        while name in self._lost and asyncio.get_running_loop().time() < end:
            # Nobody gets the result of one that still runs: Cog has canceled it, or does so now, and reports.
            if cog is not None:
                await cog.cancel(name)
            await asyncio.sleep(settings.cancel_repeat_seconds)
        if name in self._lost:
            self._lost.discard(name)
            self._give_up(
                name,
                f"The gateway stopped while {found.container} worked on this {found.noun}, and no result was "
                "reported since",
            )

    def _give_up(self, name: str, reason: str) -> None:
        self._parts.files.remove_outputs(name)
        error = f"{reason}; the container cancels it then, and it was not run again"
        self._parts.lifecycle.finish(name, Status.FAILED, error)

    def give_up(self, reason: str) -> None:
        """Fail the runs that a container had and whose replies nobody waits for any more."""
        for found in self._parts.store.with_container():
            if found.id not in self._running and found.id not in self._lost:
                self._give_up(found.id, f"{reason} while {found.container} worked on this {found.noun}")

    def cancel(self, name: str, *, overdue: bool = False) -> None:
        """End a run now; the container that works on it is asked to stop, and given a moment to do so.

        overdue: whether its deadline has come; a run that had not begun is `aborted` then.
        """
        found = self._parts.store.brief(name)
        if found is None or found.is_over:
            return
        self._lost.discard(name)
        metrics = None
        if found.started_at is not None:
            metrics = {"predict_time": round(self._parts.clock.now() - found.started_at, 6)}
        status = Status.ABORTED if overdue and found.started_at is None else Status.CANCELED
        self._parts.lifecycle.finish(name, status, metrics=metrics)
        if name in self._running:
            self._tasks.add(self._end(name, *self._running[name]))

    async def _end(self, name: str, cog: AsyncCogClient, task: asyncio.Task[Outcome]) -> None:
        """Ask the container to stop; if it does not, close the connection, which cancels the run too."""
        settings = self._parts.settings
        end = asyncio.get_running_loop().time() + settings.cancel_seconds
        while not task.done() and asyncio.get_running_loop().time() < end:
            # Once may not do: the run may not have arrived, or the model may be where it cannot hear.
            known = await cog.cancel(name)
            pause = settings.cancel_repeat_seconds if known else settings.refused_seconds
            await asyncio.wait({task}, timeout=pause)
        task.cancel()

    async def _work(self, cog: AsyncCogClient) -> None:
        """The loop of one container's worker, which survives errors of single runs."""
        while True:
            try:
                await self._parts.clock.sleep_async(await self._step(cog))
            except Exception:  # noqa: PERF203 - each step is a run
                _log.exception("the worker of %s", cog.url)
                await self._parts.clock.sleep_async(self._parts.settings.health_seconds)

    async def _step(self, cog: AsyncCogClient) -> float:
        """Run the next waiting run, if there is one; returns how many seconds to pause."""
        settings = self._parts.settings
        health = await cog.health()
        if health is Health.BUSY:
            return settings.refused_seconds
        if health is not Health.READY:
            return settings.health_seconds
        self._parts.lifecycle.created.clear()
        found = self._parts.store.claim(cog.url, cog.kind)
        if found is not None:
            return 0.0 if await self._run(cog, found) else settings.refused_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(settings.health_seconds):
                await self._parts.lifecycle.created.wait()
        return 0.0

    async def _run(self, cog: AsyncCogClient, run: Run) -> bool:
        """Bring one run to its end; False if the container did not take it."""
        name, files = run.id, self._parts.files
        try:
            inputs = self._inputs(run)
        except MissingUploadError as error:
            self._parts.lifecycle.finish(name, Status.FAILED, str(error))
            return True
        progress = self._parts.addresses.progress(name)
        task = asyncio.create_task(cog.run(name, inputs, progress, files.outputs(name)))
        self._running[name] = cog, task
        try:
            _, waiting = await asyncio.wait({task}, timeout=self._parts.settings.accepted_seconds)
            if waiting:
                self._parts.lifecycle.begun(name)
                await asyncio.wait({task})
            if task.cancelled():  # by _end
                files.remove_outputs(name)
                return True
            return self._conclude(cog, name, _outcome(task))
        finally:
            task.cancel()
            del self._running[name]

    def _conclude(self, cog: AsyncCogClient, name: str, outcome: Outcome) -> bool:
        """Store the outcome of a run; False if it has to be tried elsewhere."""
        if isinstance(outcome, NotTaken):
            _log.info("run %s: %s did not take it: %s", name, cog.url, outcome.reason)
            self._parts.lifecycle.put_back(name)
            return False
        if isinstance(outcome, Lost):
            noun = cog.kind.removesuffix("s")
            error = (
                f"The container {cog.url} was lost while it worked on this {noun} ({outcome.reason}); "
                "it was not run again"
            )
            self._parts.lifecycle.finish(name, Status.FAILED, error)
        elif self._keep(name, outcome):
            return True
        self._parts.files.remove_outputs(name)
        return True

    def _keep(self, name: str, reply: Reply) -> bool:
        """Store a container's final reply; whether the result's files are to be kept."""
        lifecycle = self._parts.lifecycle
        lifecycle.begun(name)
        lifecycle.logs(name, reply.logs)
        if reply.status is Status.SUCCEEDED:
            lifecycle.output(name, reply.output)
            return lifecycle.finish(name, Status.SUCCEEDED, metrics=reply.metrics)
        error = reply.error or "The model failed and did not say why"
        lifecycle.finish(name, reply.status, error if reply.status is Status.FAILED else None, reply.metrics)
        return False

    def _inputs(self, run: Run) -> Json:
        """The input with our own addresses replaced by what the container can use."""
        replaced = map_strings(run.input, lambda text: self._parts.addresses.for_cog(text, self._upload))
        assert isinstance(replaced, dict)  # noqa: S101 - a copy of a dict
        return replaced

    def _upload(self, name: str) -> str:
        """What a container gets for an upload: a signed address, or a data URL. Raises MissingUploadError."""
        parts = self._parts
        file, path = parts.store.file(name), parts.files.file(name)
        if file is None or path is None or file.expires_at <= parts.clock.now():
            raise MissingUploadError(f"The input names the upload {name}, which does not exist (any more)")
        if parts.settings.inputs == "url":
            return parts.addresses.download(name, parts.clock.now() + parts.settings.prediction_seconds)
        return file_as_data_url(file.content_type, path)


def _outcome(task: asyncio.Task[Outcome]) -> Outcome:
    """The outcome of a finished task; a full disk is one too."""
    try:
        return task.result()
    except OSError as error:
        return Lost(f"its reply cannot be written: {error.strerror}")
