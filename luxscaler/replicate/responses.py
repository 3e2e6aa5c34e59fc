"""What an answer of Replicate's API means: its JSON, or one of three kinds of no.

NoAnswerError and BusyError stay within the backend; BackendError is for the user. No call is made here.
"""

import json
from collections.abc import Callable
from typing import Any

import httpx

from luxscaler.errors import BackendError

DEFAULT_RETRY_AFTER = 5.0
_MAX_SHOWN = 300
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


def understood(answer: httpx.Response, base_url: str, hidden: Callable[[str], str]) -> dict[str, Any]:
    """The JSON of an answer. `hidden` takes out of a text what must not be shown."""
    code, reply = answer.status_code, _json(answer)
    detail = one_line(hidden(_detail(reply, answer)))
    if code == httpx.codes.TOO_MANY_REQUESTS:
        said = seconds_of(reply.get("retry_after")), seconds_of(answer.headers.get("retry-after"))
        delay = next((value for value in said if value is not None), DEFAULT_RETRY_AFTER)
        raise BusyError(f"too many calls: {detail}", delay)
    if code >= httpx.codes.INTERNAL_SERVER_ERROR or code == httpx.codes.REQUEST_TIMEOUT:
        raise NoAnswerError(f"HTTP {code}: {detail}")
    if answer.is_redirect:
        raise BackendError(f"{base_url} redirects to another address: is the base URL right?")
    if code >= httpx.codes.BAD_REQUEST:
        meaning = _MEANINGS.get(code, "the call is refused")
        raise BackendError(f"{base_url}: {meaning} ({code}): {detail}")
    if not reply and answer.content.strip() not in (b"", b"{}"):
        raise NoAnswerError(f"HTTP {code} without JSON: {detail}")
    return reply


def one_line(text: str) -> str:
    """For a message: no line breaks, not too long."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"


def seconds_of(value: object) -> float | None:
    """A number of seconds, if it is one."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        reply = json.loads(answer.content)
    except ValueError:
        return {}
    return reply if isinstance(reply, dict) else {}


def _detail(reply: dict[str, Any], answer: httpx.Response) -> str:
    words = [str(reply[key]) for key in ("title", "detail", "error") if reply.get(key)]
    fields = reply.get("invalid_fields")
    for field in fields if isinstance(fields, list) else []:
        words.append(": ".join(map(str, field.values())) if isinstance(field, dict) else str(field))  # noqa: PERF401
    return ": ".join(words) or answer.text
