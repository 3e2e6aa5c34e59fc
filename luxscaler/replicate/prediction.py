"""A prediction as Replicate's JSON tells it, and the names of model versions. Nothing is asked for here."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from luxscaler.errors import InputError

ENDED = ("succeeded", "failed", "canceled", "aborted")
_VERSION = re.compile(r"(?:(?:https://)?r8\.im/)?(?:[\w.-]+/[\w.-]+[:@](?:sha256:)?)?([0-9a-f]{64})")


@dataclass(frozen=True)
class Prediction:
    """What is known of one prediction."""

    id: str
    version: str
    status: str
    tile_input: str | None
    """None also when its data was removed."""
    output: str | None
    error: str
    data_removed: bool
    created_at: float | None
    """Seconds since 1970."""
    predict_time: float | None
    """Seconds that it computed, so far as is known."""

    @property
    def is_over(self) -> bool:
        """Whether its status is final."""
        return self.status in ENDED


def parsed(reply: Any) -> Prediction:
    """From JSON; ValueError if that is no prediction."""
    if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
        raise ValueError("it has no id")
    inputs, output, metrics = reply.get("input"), reply.get("output"), reply.get("metrics")
    tile = inputs.get("tile_input") if isinstance(inputs, dict) else None
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    return Prediction(
        id=reply["id"],
        version=str(reply.get("version") or "").rpartition(":")[2],
        status=str(reply.get("status")),
        tile_input=tile if isinstance(tile, str) else None,
        output=output if isinstance(output, str) and output else None,
        error=" ".join(str(reply.get("error") or "").split())[:500],
        data_removed=reply.get("data_removed") is True,
        created_at=_seconds(reply.get("created_at")),
        predict_time=_positive(seconds),
    )


def version_id(text: str) -> str:
    """The 64 hexadecimal digits of a version: bare, owner/model:…, or r8.im/owner/model:…"""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"the model's version is {text!r}; it must be 64 hexadecimal digits, alone or after owner/model:"
        )
    return found[1]


def _seconds(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
