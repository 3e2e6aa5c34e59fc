"""What an answer of Replicate's API means: a prediction or other JSON, or one of three errors.

NoAnswerError and BusyError stay within the backend; BackendError is for the user.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from luxscaler.clock import from_iso
from luxscaler.cog.status import Status
from luxscaler.errors import BackendError, InputError, RefusedError, one_line
from luxscaler.replicate.pace import LONGEST_HOLD

DEFAULT_RETRY_AFTER = 5.0
_VERSION = re.compile(r"(?:(?:https://)?r8\.im/)?(?:[\w.-]+/[\w.-]+[:@](?:sha256:)?)?([0-9a-f]{64})")
_MODEL = re.compile(r"(?:(?:https://)?r8\.im/)?([\w.-]+)/([\w.-]+)")
_MEANINGS = {
    400: "the request is refused",
    401: "the token is refused",
    402: "the account has no credit",
    403: "the token does not allow it",
    404: "not found: is the version right?",
    413: "the file is too large",
    422: "the input is refused",
}


class NoAnswerError(Exception):
    """Nobody knows whether the call was carried out."""


class BusyError(Exception):
    """The call was surely not carried out; it may be made again after `delay` seconds."""

    def __init__(self, text: str, delay: float) -> None:
        super().__init__(text)
        self.delay = delay


def parse_answer(answer: httpx.Response, base_url: str, redact: Callable[[str], str]) -> dict[str, Any]:
    """The JSON of an answer. `redact` takes out of a text what must not be shown."""
    code, reply = answer.status_code, _json(answer)
    detail = one_line(redact(_detail(reply, answer)))
    if code == httpx.codes.TOO_MANY_REQUESTS:
        said = seconds_of(reply.get("retry_after")), seconds_of(answer.headers.get("retry-after"))
        delay = next((value for value in said if value is not None), DEFAULT_RETRY_AFTER)
        raise BusyError(f"too many calls: {detail}", min(delay, LONGEST_HOLD))
    if code >= httpx.codes.INTERNAL_SERVER_ERROR or code == httpx.codes.REQUEST_TIMEOUT:
        raise NoAnswerError(f"HTTP {code}: {detail}")
    if answer.is_redirect:
        raise BackendError(f"{base_url} redirects to another address: is the base URL right?")
    if code >= httpx.codes.BAD_REQUEST:
        meaning = _MEANINGS.get(code, "the call is refused")
        raise RefusedError(f"{base_url}: {meaning} ({code}): {detail}", code)
    if not reply and answer.content.strip() not in (b"", b"{}"):
        raise NoAnswerError(f"HTTP {code} without JSON: {detail}")
    return reply


def seconds_of(value: object) -> float | None:
    """A number of seconds, if it is one."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


@dataclass(frozen=True)
class RemotePrediction:
    """A prediction as Replicate's JSON tells it."""

    id: str
    version: str
    status: Status
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
        return self.status.is_over


def prediction_in(reply: Any) -> RemotePrediction:
    """From JSON; ValueError if that is no prediction."""
    if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
        raise ValueError("it has no id")
    inputs, output, metrics = reply.get("input"), reply.get("output"), reply.get("metrics")
    tile = inputs.get("tile_input") if isinstance(inputs, dict) else None
    seconds = metrics.get("predict_time") if isinstance(metrics, dict) else None
    if isinstance(output, list) and len(output) == 1:
        output = output[0]
    return RemotePrediction(
        id=reply["id"],
        version=str(reply.get("version") or "").rpartition(":")[2],
        status=_status(reply.get("status")),
        tile_input=tile if isinstance(tile, str) else None,
        output=output if isinstance(output, str) and output else None,
        error=" ".join(str(reply.get("error") or "").split())[:500],
        data_removed=reply.get("data_removed") is True,
        created_at=from_iso(reply.get("created_at")),
        predict_time=_positive(seconds),
    )


def version_id(text: str) -> str:
    """The 64 hexadecimal digits of a version: bare, owner/model:…, or r8.im/owner/model:…"""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"the model's version is {text!r}; it must be owner/model, for the newest one, or 64 hexadecimal "
            "digits, alone or after owner/model:"
        )
    return found[1]


@dataclass(frozen=True)
class ModelName:
    """A model without a version: its newest one is meant."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


def model_or_version(text: str) -> ModelName | str:
    """owner/model, with or without r8.im/, or a version's 64 digits out of what version_id takes.

    Raises InputError.
    """
    found = _MODEL.fullmatch(text.strip())
    return ModelName(*found.groups()) if found else version_id(text)


def _status(word: object) -> Status:
    """A word that is not in the list does not end a prediction."""
    try:
        return Status(str(word))
    except ValueError:
        return Status.PROCESSING


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        reply = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _detail(reply: dict[str, Any], answer: httpx.Response) -> str:
    words = [str(reply[key]) for key in ("title", "detail", "error") if reply.get(key)]
    fields = reply.get("invalid_fields")
    for field in fields if isinstance(fields, list) else []:
        words.append(": ".join(map(str, field.values())) if isinstance(field, dict) else str(field))  # noqa: PERF401
    return ": ".join(words) or answer.text


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) and value >= 0 else None
