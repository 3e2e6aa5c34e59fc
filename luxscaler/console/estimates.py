"""Estimates time and cost of a job before it is submitted.

From jobs of the same kind on the same hardware that have ended, if there are any (of a master: with pictures
of about that size, and the same model); else, for a master at Replicate, by a formula; for anything else
there is nothing to compute it from. The most that it can cost is always known.
"""

import sqlite3
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from luxscaler.console.job import JobKind
from luxscaler.console.jobs import Jobs
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.console.submissions import SubmitRequest, megapixels_of, priced
from luxscaler.replicate.prices import seconds_per_tile
from luxscaler.words import counted

_LOOKED_AT = 20
_ALIKE = 4.0
"""Pictures differ by this factor of pixels at most where one's time tells the other's."""
_DEFAULT_MODEL = "photo"
_LOW, _HIGH = 0.5, 3.0
"""Factors around a guess by formula: it was not measured on Replicate."""


@dataclass(frozen=True)
class Guess:
    """An estimate of seconds of computing."""

    seconds: float | None
    low: float | None
    high: float | None
    basis: str


def estimate(request: SubmitRequest, size: int, settings: ProviderSettings, jobs: Jobs) -> dict[str, Any]:
    """The estimate for the API. size: bytes of the upload. Raises Problem (422) for unknown hardware."""
    hardware, price = priced(request, settings)
    most = 60 * (request.max_minutes or settings.max_minutes)
    megapixels = megapixels_of(request)
    guess = _history(request, hardware, jobs, megapixels) or _formula(request, hardware, megapixels)

    def dollars(seconds: float | None) -> float | None:
        return None if seconds is None else round(min(seconds, most) * price, 6)

    return {
        "estimated_cost_usd": dollars(guess.seconds),
        "low_usd": dollars(guess.low),
        "high_usd": dollars(guess.high),
        "at_most_usd": round(most * price, 6),
        "avg_duration_seconds": guess.seconds,
        "basis": guess.basis,
        "hardware": hardware,
        "hardware_cost_per_hour": round(3600 * price, 6),
        "data_size_mb": round(size / 1e6, 3),
    }


def _history(request: SubmitRequest, hardware: str, jobs: Jobs, megapixels: float | None) -> Guess | None:
    """An estimate from earlier jobs: of a training by seconds a step, of a master by similar pictures."""
    if request.kind == "master":
        times, like = _times_of_masters(request, hardware, jobs, megapixels), " like it"
    else:
        times, like = _times_of_trainings(request, hardware, jobs), ""
    if not times:
        return None
    basis = f"{counted(len(times), 'job')}{like} that ended before"
    return Guess(statistics.median(times), min(times), max(times), basis)


def _times_of_trainings(request: SubmitRequest, hardware: str, jobs: Jobs) -> list[float]:
    """Seconds, in proportion to the steps where their number is asked for."""
    steps = request.inputs.get("steps")
    is_counted = isinstance(steps, int) and not isinstance(steps, bool) and steps > 0
    rows = _measured(request.kind, hardware, jobs, "steps > 0" if is_counted else "1", [])
    return [steps * row["predict_time"] / row["steps"] if is_counted else row["predict_time"] for row in rows]


def _times_of_masters(
    request: SubmitRequest, hardware: str, jobs: Jobs, megapixels: float | None
) -> list[float]:
    """Seconds, in proportion to the pixels; the time of a much smaller picture is that of loading a network,
    and says nothing. The same goes for another model, and for a container elsewhere."""
    alike = (
        "coalesce(json_extract(call, '$.trained_by'), '') = ? "
        "AND (? != '' OR coalesce(json_extract(call, '$.input.model'), ?) = ?) "
        "AND (json_type(call, '$.input.cog') IS NOT NULL) = ?"
    )
    trained_by, model = request.trained_by, request.inputs.get("model") or _DEFAULT_MODEL
    values = [trained_by, trained_by, _DEFAULT_MODEL, str(model), "cog" in request.inputs]
    if megapixels is None:
        rows = _measured(request.kind, hardware, jobs, f"{alike} AND source = ?", [*values, request.source])
        return [row["predict_time"] for row in rows]
    # Jobs of an earlier version do not say how many pixels they had: the same picture has as many.
    rows = _measured(
        request.kind,
        hardware,
        jobs,
        f"(megapixels BETWEEN ? AND ? OR (megapixels IS NULL AND source = ?)) AND {alike}",
        [megapixels / _ALIKE, megapixels * _ALIKE, request.source, *values],
    )
    return [row["predict_time"] * megapixels / (row["megapixels"] or megapixels) for row in rows]


def _measured(
    kind: JobKind, hardware: str, jobs: Jobs, condition: str, values: Sequence[object]
) -> list[sqlite3.Row]:
    """The newest jobs that have ended, are of that kind on that hardware, and meet a condition of SQL."""
    return jobs.database.rows(
        "SELECT predict_time, steps, megapixels FROM jobs WHERE kind = ? AND hardware = ? "  # noqa: S608
        f"AND state = 'completed' AND predict_time > 0 AND {condition} ORDER BY sequence DESC LIMIT ?",
        [kind, hardware, *values, _LOOKED_AT],
    )


def _formula(request: SubmitRequest, hardware: str, megapixels: float | None) -> Guess:
    if request.place != "replicate" or megapixels is None:
        return Guess(None, None, None, "none: no such job has ended yet")
    seconds = seconds_per_tile(megapixels, hardware)
    return Guess(seconds, _LOW * seconds, _HIGH * seconds, "a formula, not measured on Replicate")
