"""Estimates time and cost of a job before it is submitted.

From jobs of the same kind on the same hardware that have ended, if there are any; else, for a master at
Replicate, by a formula; for anything else there is nothing to compute it from. The most that it can cost is
always known.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxscaler.console.jobs import Jobs
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.console.submissions import SubmitRequest, is_address, priced
from luxscaler.errors import InputError
from luxscaler.replicate.prices import seconds_per_tile
from luxscaler.words import counted

_LOOKED_AT = 20
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
    guess = _history(request, hardware, jobs) or _formula(request, hardware)

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


def _history(request: SubmitRequest, hardware: str, jobs: Jobs) -> Guess | None:
    """An estimate from earlier jobs: by seconds a step where steps are asked for, else by whole jobs."""
    rows = jobs.database.rows(
        "SELECT predict_time, steps FROM jobs WHERE kind = ? AND hardware = ? AND state = 'completed' "
        "AND predict_time > 0 ORDER BY sequence DESC LIMIT ?",
        [request.kind, hardware, _LOOKED_AT],
    )
    steps = request.inputs.get("steps")
    if isinstance(steps, int) and not isinstance(steps, bool) and steps > 0:
        times = [steps * row[0] / row[1] for row in rows if row[1]]
    else:
        times = [row[0] for row in rows]
    if not times:
        return None
    return Guess(
        statistics.median(times), min(times), max(times), f"{counted(len(times), 'job')} that ended before"
    )


def _formula(request: SubmitRequest, hardware: str) -> Guess:
    is_known = request.kind == "master" and request.place == "replicate"
    megapixels = _megapixels(request.source) if is_known else None
    if megapixels is None:
        return Guess(None, None, None, "none: no such job has ended yet")
    seconds = seconds_per_tile(megapixels, hardware)
    return Guess(seconds, _LOW * seconds, _HIGH * seconds, "a formula, not measured on Replicate")


def _megapixels(source: str) -> float | None:
    """Megapixels of a picture on this machine; None if its header cannot be read."""
    from luxscaler.io.read import read_header  # noqa: PLC0415 - its formats take a second to load

    if is_address(source):
        return None
    try:
        header = read_header(Path(source).expanduser())
    except InputError:
        return None
    return header.width * header.height / 1e6
