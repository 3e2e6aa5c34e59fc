"""Checks the request with which a client creates a prediction or training: body and headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from luxscaler.cog.messages import Json
from luxscaler.errors import FetchError
from luxscaler.gateway.problems import Problem, invalid_input, invalid_version
from luxscaler.gateway.run import EVENTS, Event
from luxscaler.gateway.settings import MODEL, Settings
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.web.url import Url

MAX_WAIT_SECONDS = 60
MIN_DEADLINE_SECONDS = 5
_MAX_URL_CHARACTERS = 4000
_WAIT = re.compile(r"wait\s*(?:=\s*\"?(\d{1,6})\"?)?", re.IGNORECASE)
_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s?)?")


@dataclass(frozen=True)
class CreateRequest:
    """A checked request for a prediction or training."""

    input: Json
    webhook: str
    events: tuple[Event, ...]
    wait_seconds: float
    """How long the request stays open for the result; 0: not at all."""
    deadline_seconds: float | None


def read_create_request(body: Json, headers: Mapping[str, str], reach: Reach = PUBLIC) -> CreateRequest:
    """The request for a prediction, but for its version. reach: where webhooks may go. Raises Problem."""
    inputs = body.get("input")
    if not isinstance(inputs, dict):
        raise invalid_input("input", "an object is required", "required")
    return CreateRequest(
        inputs,
        _webhook(body.get("webhook"), reach),
        _events(body.get("webhook_events_filter")),
        _wait(headers.get("prefer", "")),
        _deadline(headers.get("cancel-after")),
    )


def check_version(asked: Any, settings: Settings) -> None:
    """Raise Problem unless `asked` names the version that is offered.

    It may be a bare hash, owner/model:hash or owner/model, with or without r8.im/.
    """
    if not isinstance(asked, str):
        raise invalid_input("version", "version is required", "required")
    offered = {settings.version_id, settings.model, f"{settings.model}:{settings.version_id}"}
    if asked.removeprefix("r8.im/") not in offered:
        raise invalid_version()


def read_training_request(body: Json, reach: Reach = PUBLIC) -> CreateRequest:
    """The request for a training, but for version and destination. Raises Problem.

    Trainings have neither `Prefer` nor `Cancel-After`.
    """
    return read_create_request(body, {}, reach)


def destination_in(body: Json) -> str:
    """The model that a training is for, owner/name. Raises Problem."""
    found = body.get("destination")
    if not isinstance(found, str) or not found:
        raise invalid_input("destination", "destination is required", "required")
    if not MODEL.fullmatch(found):
        raise invalid_input("destination", "must be owner/name")
    return found


def _webhook(url: Any, reach: Reach) -> str:
    """The URL of a webhook, checked as far as its text shows; where a name leads is checked on connecting."""
    if url is None or url == "":
        return ""
    if not isinstance(url, str) or len(url) > _MAX_URL_CHARACTERS:
        raise invalid_input("webhook", "must be an http or https address")
    try:
        kind = reach.misnamed(Url.parse(url).host)
    except FetchError as error:
        raise invalid_input("webhook", "must be an http or https address") from error
    if kind:
        raise invalid_input("webhook", f"leads to {kind}, to which nothing is sent")
    return url


def _events(names: Any) -> tuple[Event, ...]:
    if names is None:
        return EVENTS
    if not isinstance(names, list) or not all(name in EVENTS for name in names):
        raise invalid_input("webhook_events_filter", f"must be a list of {', '.join(EVENTS)}")
    return tuple(event for event in EVENTS if event in names)


def _wait(prefer: str) -> float:
    """Seconds of `Prefer: wait` or `wait=n`, else 0; RFC 7240 allows to ignore other preferences."""
    for preference in prefer.split(","):
        found = _WAIT.fullmatch(preference.partition(";")[0].strip())
        if found:
            seconds = int(found[1] or MAX_WAIT_SECONDS)
            if not 1 <= seconds <= MAX_WAIT_SECONDS:
                raise Problem(400, f"Prefer: wait must be 1 to {MAX_WAIT_SECONDS} seconds, got {seconds}")
            return float(seconds)
    return 0.0


def _deadline(text: str | None) -> float | None:
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise Problem(400, f"Cancel-After must be a duration such as 90s, 5m or 1h30m, got {text[:50]!r}")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if total < MIN_DEADLINE_SECONDS:
        raise Problem(400, f"Cancel-After must be at least {MIN_DEADLINE_SECONDS}s, got {text.strip()}")
    return float(total)
