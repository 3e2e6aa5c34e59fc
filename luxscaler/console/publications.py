"""Delivery of results: to the Hugging Face Hub and to S3-compatible storage, once they are here.

Where to is noted with the job when it is submitted. Whether files can be written there is found out before
anything is paid. Secrets (HF_TOKEN, AWS's keys) are the environment's of the console alone. What fails is
tried again, more and more seldom; then it waits for somebody to ask for it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luxscaler.clock import Clock
from luxscaler.console.job import Job
from luxscaler.console.jobs import Jobs
from luxscaler.console.models import MODEL
from luxscaler.console.provider_settings import ProviderSettings, ProviderSettingsStore
from luxscaler.console.results import Results
from luxscaler.errors import InputError, PublishError
from luxscaler.gateway.problems import Problem
from luxscaler.publishing.destinations import Destination, Network, hub_of, s3_of
from luxscaler.publishing.package import Package, facts_of, packaged
from luxscaler.publishing.publish import check, publish

_PAUSES = (30.0, 120.0, 600.0, 3600.0)
"""Seconds before each further try."""
_MOST_NAME = 60


@dataclass(frozen=True)
class _Plan:
    """One delivery of one job."""

    target: str
    """hub or s3."""
    place: str
    tries: int


class Publications:
    """The deliveries of one console."""

    def __init__(
        self,
        jobs: Jobs,
        results: Results,
        provider_settings: ProviderSettingsStore,
        environment: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """environment: HF_TOKEN and AWS's variables."""
        self._jobs, self._results, self._clock = jobs, results, clock
        self._provider_settings, self._environment = provider_settings, environment

    def plan(self, job: Job, settings: ProviderSettings) -> None:
        """Note where a job's results are to go; to be called in the transaction that adds the job."""
        for target, place in _places(job, settings):
            sql = "INSERT OR IGNORE INTO publications VALUES (?, ?, ?, 'waiting', '', '', 0, 0)"
            self._jobs.database.run(sql, [job.id, target, place])

    def check(self, job: Job) -> None:
        """Raise Problem (502) unless files can be written where the job's results are to go."""
        for plan in self._plans(job.id, "state = 'waiting'"):
            self.check_place(plan.target, plan.place)

    def check_place(self, target: str, place: str) -> None:
        """Raise Problem (422, 502) unless files can be written to that place."""
        destination = self._destination(target, place)
        try:
            check(destination, self._network())
        except PublishError as error:
            raise Problem(502, f"delivery: {error}") from error

    def due(self) -> list[str]:
        """Ids of jobs whose results are here and still to be delivered."""
        rows = self._jobs.database.rows(
            "SELECT DISTINCT jobs.id FROM publications JOIN jobs ON publications.job = jobs.id "
            "WHERE publications.state = 'waiting' AND next_at <= ? AND jobs.results = 'here'",
            [self._clock.now()],
        )
        return [row[0] for row in rows]

    def deliver(self, job: Job) -> None:
        """Send the results of a job to where they are due."""
        for plan in self._plans(job.id, "state = 'waiting' AND next_at <= ?", self._clock.now()):
            self._deliver(job, plan)

    def _deliver(self, job: Job, plan: _Plan) -> None:
        try:
            where = self._send(job, plan)
        except (PublishError, InputError, Problem, OSError) as error:
            self._postpone(job, plan, str(error))
        else:
            self._change(job, plan, state="done", url=where, error="")

    def again(self, job: Job) -> None:
        """Send what is not delivered yet, also to places that were set since. Raises Problem (409)."""
        settings = self._provider_settings.get()
        database = self._jobs.database
        with database.transaction():
            self.plan(job, settings)
            for target, place in _places(job, settings):
                sql = "UPDATE publications SET place = ? WHERE job = ? AND target = ? AND state != 'done'"
                database.run(sql, [place, job.id, target])
            fresh = "state = 'waiting', next_at = 0, tries = 0"
            database.run(f"UPDATE publications SET {fresh} WHERE job = ? AND state != 'done'", [job.id])  # noqa: S608
        if not self.of(job.id):
            raise Problem(409, "deliver_hub and deliver_s3 are not set: there is no place to deliver to")

    def of(self, job: str) -> list[dict[str, Any]]:
        """The deliveries of a job, as the API shows them."""
        sql = "SELECT target, place, state, url, error FROM publications WHERE job = ? ORDER BY target"
        return [dict(row) for row in self._jobs.database.rows(sql, [job])]

    def _plans(self, job: str, condition: str, *values: Any) -> list[_Plan]:
        sql = f"SELECT target, place, tries FROM publications WHERE job = ? AND {condition}"  # noqa: S608 - from above
        return [_Plan(*row) for row in self._jobs.database.rows(sql, [job, *values])]

    def _send(self, job: Job, plan: _Plan) -> str:
        destination, network = self._destination(plan.target, plan.place), self._network()
        paths = {
            result.name: path
            for result in self._results.of(job.id)
            if (path := self._results.path(job.id, result.name)) is not None
        }
        bundle = next((path for name, path in paths.items() if name.startswith("weights.")), None)
        if bundle is not None:  # it holds the network that was unpacked from it
            with packaged(bundle, _name(job)) as package:
                return publish(package, destination, network)
        facts = facts_of(paths[MODEL]) if MODEL in paths else {}
        return publish(Package(_name(job), paths, facts), destination, network)

    def _postpone(self, job: Job, plan: _Plan, error: str) -> None:
        """Have a delivery tried again later, or give it up."""
        if plan.tries >= len(_PAUSES):
            self._change(job, plan, state="failed", error=error)
            return
        next_at = self._clock.now() + _PAUSES[plan.tries]
        self._change(job, plan, error=error, tries=plan.tries + 1, next_at=next_at)

    def _change(self, job: Job, plan: _Plan, **values: Any) -> None:
        sets = ", ".join(f"{column} = ?" for column in values)
        database = self._jobs.database
        with database.transaction():
            sql = f"UPDATE publications SET {sets} WHERE job = ? AND target = ?"  # noqa: S608 - names from above
            database.run(sql, [*values.values(), job.id, plan.target])
            self._jobs.announce(job.id, "delivery")

    def _destination(self, target: str, place: str) -> Destination:
        """Raises Problem (422)."""
        settings = self._provider_settings.get()
        try:
            if target == "hub":
                return hub_of(place, self._environment, public=settings.deliver_hub_public)
            return s3_of(place, self._environment, endpoint=settings.deliver_s3_endpoint)
        except (InputError, PublishError) as error:
            raise Problem(422, f"delivery: {error}", field=f"deliver_{target}") from error

    def _network(self) -> Network:
        settings = self._provider_settings.get()
        return Network(settings.proxy_url, settings.ssl_ca_bundle, settings.http_timeout)


def _places(job: Job, settings: ProviderSettings) -> list[tuple[str, str]]:
    """(target, place) of what a job makes: the Hub is for models alone."""
    hub = settings.deliver_hub if job.kind == "training" else ""
    return [(target, place) for target, place in (("hub", hub), ("s3", settings.deliver_s3)) if place]


def _name(job: Job) -> str:
    """The name of a job's folder in storage: legible and unique."""
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", job.name).strip("-._")[:_MOST_NAME]
    return f"{words or job.kind}-{job.id[:8]}"
