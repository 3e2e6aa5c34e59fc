"""What jobs have cost and may still cost, and whether another fits under the limit.

One figure is shown and enforced: the cost of jobs that ended in the period, and for each job under way the
most that it can cost. `admit` belongs into the transaction that adds the job: then a hundred submits at once
against room for seven are seven.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from luxscaler.clock import Clock
from luxscaler.console.database import Database
from luxscaler.console.jobs import OVER
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.gateway.problems import Problem

WARN_AT_PERCENT = 80.0
_OVER = ", ".join(f"'{state}'" for state in OVER)
_SPECK = 1e-9
"""Dollars below which a difference is rounding."""


@dataclass(frozen=True)
class Spent:
    """Dollars, in the period that is now."""

    finished: float
    reserved: float
    since: float
    """Where the period begins, seconds since 1970."""

    @property
    def total(self) -> float:
        """What counts against the limit."""
        return self.finished + self.reserved


class Spending:
    """The money of one console."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def spent(self, settings: ProviderSettings) -> Spent:
        """In the period that is now."""
        since = period_start(self._clock.now(), settings.cost_limit_period, settings.cost_limit_time_zone)
        finished = "SELECT coalesce(sum(cost), 0) FROM costs WHERE finished_at >= ?"
        reserved = f"SELECT coalesce(sum(max_seconds * price), 0) FROM jobs WHERE state NOT IN ({_OVER})"  # noqa: S608
        row = self._database.rows(f"SELECT ({finished}), ({reserved})", [since])[0]
        return Spent(float(row[0]), float(row[1]), since)

    def admit(self, settings: ProviderSettings, most: float) -> str:
        """A warning, or nothing, if a job that may cost `most` dollars may begin. Raises Problem (402)."""
        if not settings.cost_limit_enabled:
            return ""
        spent, limit = self.spent(settings), settings.cost_limit_amount
        after = spent.total + most
        if after > limit + _SPECK:
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
        """As the API shows it."""
        spent, limit = self.spent(settings), settings.cost_limit_amount
        percent = 100 * spent.total / limit if limit else (100.0 if spent.total else 0.0)
        enabled = settings.cost_limit_enabled
        exceeded = enabled and spent.total > limit + _SPECK
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
        sums = dict.fromkeys(dates, 0.0)
        first = datetime.combine(dates[0], datetime.min.time(), zone).timestamp()
        sql = "SELECT finished_at, cost FROM costs WHERE finished_at >= ?"
        for finished_at, cost in self._database.rows(sql, [first]):
            day = datetime.fromtimestamp(finished_at, zone).date()
            if day in sums:
                sums[day] += cost
        return [{"date": day.isoformat(), "cost": round(cost, 6)} for day, cost in sums.items()]


def period_start(now: float, period: str, zone: str) -> float:
    """When the day, the week (from Monday) or the month of `now` began there; seconds since 1970."""
    moment = datetime.fromtimestamp(now, ZoneInfo(zone))
    day = moment.date()
    if period == "weekly":
        day -= timedelta(days=day.weekday())
    elif period == "monthly":
        day = day.replace(day=1)
    return datetime.combine(day, datetime.min.time(), moment.tzinfo).timestamp()
