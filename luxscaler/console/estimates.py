"""Estimates time and cost of a job before it is submitted.

From jobs of the same kind on the same hardware that have ended, if there are any (of a master: with pictures
of about that size, and the same model); else, for a master at Replicate, by a formula; for anything else
there is nothing to compute it from. The most that it can cost is always known.
"""

import json
import sqlite3
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luxscaler.console.jobs import Jobs
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.console.submissions import SubmitRequest, picture_size, priced
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
    megapixels = _megapixels(request.source) if request.kind == "master" else None
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
    rows = jobs.database.rows(
        "SELECT predict_time, steps, source, call FROM jobs WHERE kind = ? AND hardware = ? AND state = "
        "'completed' AND predict_time > 0 ORDER BY sequence DESC LIMIT ?",
        [request.kind, hardware, _LOOKED_AT],
    )
    if request.kind == "master":
        times, like = _times_of_masters(request, rows, megapixels), " like it"
    else:
        steps = request.inputs.get("steps")
        is_counted = isinstance(steps, int) and not isinstance(steps, bool) and steps > 0
        times = (
            [steps * row[0] / row[1] for row in rows if row[1]] if is_counted else [row[0] for row in rows]
        )
        like = ""
    if not times:
        return None
    basis = f"{counted(len(times), 'job')}{like} that ended before"
    return Guess(statistics.median(times), min(times), max(times), basis)


def _times_of_masters(
    request: SubmitRequest, rows: list[sqlite3.Row], megapixels: float | None
) -> list[float]:
    """Seconds, in proportion to the pixels; the time of a much smaller picture is that of loading a network,
    and says nothing."""
    wanted = _network(request.inputs, request.trained_by)
    times = []
    for seconds, _, source, text in rows:
        call = json.loads(text)
        if _network(call["input"], call.get("trained_by", "")) != wanted:
            continue
        others = _megapixels(source)
        if megapixels is None or others is None:
            times += [seconds] if source == request.source else []
        elif 1 / _ALIKE <= megapixels / others <= _ALIKE:
            times.append(seconds * megapixels / others)
    return times


def _network(inputs: Mapping[str, Any], trained_by: str) -> tuple[object, str, bool]:
    """What the time of a pixel depends on: the model, and whether a container elsewhere does the work."""
    return (None if trained_by else inputs.get("model", _DEFAULT_MODEL), trained_by, "cog" in inputs)


def _formula(request: SubmitRequest, hardware: str, megapixels: float | None) -> Guess:
    if request.place != "replicate" or megapixels is None:
        return Guess(None, None, None, "none: no such job has ended yet")
    seconds = seconds_per_tile(megapixels, hardware)
    return Guess(seconds, _LOW * seconds, _HIGH * seconds, "a formula, not measured on Replicate")


def _megapixels(source: str) -> float | None:
    """Megapixels of a picture on this machine; None if its header cannot be read."""
    size = picture_size(source)
    return None if size is None else size[0] * size[1] / 1e6
