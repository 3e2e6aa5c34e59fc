"""What jobs have cost and may still cost, and whether another fits under the limit.

One figure is shown and enforced: the cost of jobs that ended in the period, and for each job under way the
most that it can cost. `admit` is called in the transaction that adds the job, so that of a hundred submits at
once only as many are admitted as the limit allows. Sums and comparisons are of whole billionths of a dollar,
so that three jobs of ten cents are thirty.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.console.job import IN_FLIGHT
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.gateway.problems import Problem

WARN_AT_PERCENT = 80.0
_IN_FLIGHT = ", ".join(f"'{state}'" for state in IN_FLIGHT)
_NANOS = 1_000_000_000
"""In a dollar. SQLite adds whole numbers exactly up to 2^53 of them: nine million dollars."""
_BUCKET = 900
"""Seconds that are added up by the database: midnights of all time zones lie between two of these."""


@dataclass(frozen=True)
class Spent:
    """What counts in the current period."""

    finished_nanos: int
    """Billionths of a dollar."""
    reserved_nanos: int
    since: float
    """Where the period begins, seconds since 1970."""

    @property
    def nanos(self) -> int:
        """What counts against the limit, billionths of a dollar."""
        return self.finished_nanos + self.reserved_nanos

    @property
    def finished(self) -> float:
        """Dollars."""
        return self.finished_nanos / _NANOS

    @property
    def reserved(self) -> float:
        """Dollars."""
        return self.reserved_nanos / _NANOS

    @property
    def total(self) -> float:
        """Dollars."""
        return self.nanos / _NANOS


class Spending:
    """The money of one console."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def spent(self, settings: ProviderSettings) -> Spent:
        """What counts in the current period."""
        since = period_start(self._clock.now(), settings.cost_limit_period, settings.cost_limit_time_zone)
        finished = f"SELECT total(round(cost * {_NANOS})) FROM costs WHERE finished_at >= ?"  # noqa: S608
        most = f"total(round(max_seconds * price * {_NANOS}))"
        reserved = f"SELECT {most} FROM jobs WHERE state IN ({_IN_FLIGHT})"  # noqa: S608
        row = self._database.rows(f"SELECT ({finished}), ({reserved})", [since])[0]
        return Spent(int(row[0]), int(row[1]), since)

    def admit(self, settings: ProviderSettings, most: float) -> str:
        """A warning, or "", for a job that may cost `most` dollars. Raises Problem (402) over the limit."""
        if not settings.cost_limit_enabled:
            return ""
        spent, limit = self.spent(settings), settings.cost_limit_amount
        nanos = spent.nanos + _nanos(most)
        after = nanos / _NANOS
        if nanos > _nanos(limit):
            text = (
                f"{settings.cost_limit_period} limit of ${limit:.2f}: ${spent.finished:.4f} are spent, "
                f"${spent.reserved:.4f} reserved for jobs under way, and this job may cost ${most:.4f}"
            )
            if settings.cost_limit_action == "block":
                raise Problem(
                    402,
                    f"The job was not submitted. {text}. Raise the limit or shorten the job (max_minutes).",
                )
            return f"The limit is exceeded. {text}."
        if limit and 100 * after / limit >= WARN_AT_PERCENT:
            used = f"{100 * after / limit:.0f} %"
            return f"{used} of the {settings.cost_limit_period} limit of ${limit:.2f} are used."
        return ""

    def status(self, settings: ProviderSettings) -> dict[str, Any]:
        """The limit and what is used of it, as the API shows it."""
        spent, limit = self.spent(settings), settings.cost_limit_amount
        percent = 100 * spent.total / limit if limit else (100.0 if spent.total else 0.0)
        enabled = settings.cost_limit_enabled
        exceeded = enabled and spent.nanos > _nanos(limit)
        warning = enabled and not exceeded and percent >= WARN_AT_PERCENT
        message = None
        if exceeded or warning:
            message = (
                f"${spent.total:.2f} of the {settings.cost_limit_period} limit of ${limit:.2f} are used, "
                f"${spent.reserved:.2f} of it reserved for jobs under way"
            )
        return {
            "enabled": enabled,
            "limit_amount": limit,
            "period": settings.cost_limit_period,
            "action": settings.cost_limit_action,
            "time_zone": settings.cost_limit_time_zone,
            "period_start": spent.since,
            "current_spend": round(spent.total, 6),
            "finished_spend": round(spent.finished, 6),
            "reserved": round(spent.reserved, 6),
            "percent_used": round(percent, 2),
            "is_exceeded": exceeded,
            "is_warning": warning,
            "message": message,
        }

    def by_day(self, settings: ProviderSettings, days: int) -> list[dict[str, Any]]:
        """Dollars of jobs that ended on each of the last days, oldest first."""
        zone = ZoneInfo(settings.cost_limit_time_zone)
        today = datetime.fromtimestamp(self._clock.now(), zone).date()
        dates = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
        sums = dict.fromkeys(dates, 0)
        first = datetime.combine(dates[0], datetime.min.time(), zone).timestamp()
        sql = (
            f"SELECT cast(finished_at / {_BUCKET} AS INTEGER) AS bucket, total(round(cost * {_NANOS})) "  # noqa: S608
            "FROM costs WHERE finished_at >= ? GROUP BY bucket"
        )
        for bucket, nanos in self._database.rows(sql, [first]):
            day = datetime.fromtimestamp(_BUCKET * bucket, zone).date()
            if day in sums:
                sums[day] += int(nanos)
        return [{"date": day.isoformat(), "cost": round(each / _NANOS, 6)} for day, each in sums.items()]


def _nanos(dollars: float) -> int:
    return round(dollars * _NANOS)


def period_start(now: float, period: str, zone: str) -> float:
    """When the day, the week (from Monday) or the month of `now` began there; seconds since 1970."""
    moment = datetime.fromtimestamp(now, ZoneInfo(zone))
    day = moment.date()
    if period == "weekly":
        day -= timedelta(days=day.weekday())
    elif period == "monthly":
        day = day.replace(day=1)
    return datetime.combine(day, datetime.min.time(), moment.tzinfo).timestamp()
