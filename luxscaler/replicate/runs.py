"""The part of Replicate's API that the console needs: account, versions, large uploads, runs of both kinds.

Predictions and trainings have the same JSON, so both are a `RemoteRun` here. `start`, which costs
money, is sent once, as `ReplicateApi.create` is.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from luxscaler.clock import from_iso
from luxscaler.cog.messages import RunKind
from luxscaler.cog.status import Status
from luxscaler.errors import BackendError
from luxscaler.replicate.api import ReplicateApi, checked_id
from luxscaler.replicate.responses import NoAnswerError, prediction_in

_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*:[0-9a-f]{64}")
_FILE_SCHEMES = ("https://", "http://", "data:")


@dataclass(frozen=True)
class RunCall:
    """A call that costs money."""

    path: str
    """Below /v1, e.g. predictions or models/OWNER/NAME/versions/ID/trainings."""
    body: dict[str, Any]
    cancel_after: int | None = None
    """Seconds after which Replicate ends it; predictions only."""


@dataclass(frozen=True)
class RemoteRun:
    """A prediction or a training as Replicate's JSON tells it."""

    id: str
    status: Status
    marks: frozenset[str]
    """The texts among its inputs, and its webhook's address, by which a caller recognises its own run."""
    outputs: tuple[tuple[str, str], ...]
    """(name, address) of each file of the output."""
    logs: str
    error: str
    data_removed: bool
    created_at: float | None
    """Seconds since 1970."""
    started_at: float | None
    trained_version: str
    """owner/name:version that a successful training made; else empty."""
    predict_time: float | None
    """Seconds that it computed, so far as is known."""


class AccountApi(ReplicateApi):
    """One account. Its methods may be called from several threads."""

    def account(self) -> dict[str, Any]:
        """The account that the token belongs to. One call; raises BusyError, NoAnswerError, RefusedError."""
        return self._once("GET", "/v1/account")

    def webhook_secret(self) -> str:
        """The secret that signs this account's webhooks, "whsec_…". One call; errors as in `account`."""
        key = self._once("GET", "/v1/webhooks/default/secret").get("key")
        if not isinstance(key, str) or not key:
            raise NoAnswerError("the reply has no key of the webhooks' signatures")
        return key

    def versions(self, model: str) -> list[dict[str, Any]]:
        """All versions of OWNER/NAME, newest first."""
        return [entry for entry in self._listed(f"/v1/models/{model}/versions") if isinstance(entry, dict)]

    def upload_file(self, name: str, file: BinaryIO, content_type: str) -> str:
        """Upload an open file, from its start for each try, and return the address."""
        return self._upload((name, file, content_type))

    def start(self, call: RunCall) -> RemoteRun:
        """Start a run, sent once.

        Raises BusyError (surely not started), NoAnswerError (perhaps started), BackendError (never will be).
        """
        headers = {} if call.cancel_after is None else {"Cancel-After": f"{call.cancel_after}s"}
        return _run(self._paid(f"/v1/{call.path}", call.body, headers))

    def run(self, kind: RunKind, name: str) -> RemoteRun | None:
        """A run as it is now; None if Replicate does not know it. One call; errors as in `account`."""
        reply = self._once("GET", f"/v1/{kind}/{checked_id(name)}", missing_is_none=True)
        return _run(reply) if reply else None

    def cancel_run(self, kind: RunKind, name: str) -> bool:
        """Ask for a run's end; False if Replicate does not know it. One call; errors as in `account`."""
        return bool(self._once("POST", f"/v1/{kind}/{checked_id(name)}/cancel", missing_is_none=True))

    def runs(self, kind: RunKind) -> Iterator[RemoteRun]:
        """All runs of that kind, newest first, page by page."""
        return map(_run, self._listed(f"/v1/{kind}"))


def run_in(reply: Any) -> RemoteRun:
    """The run in the JSON of a reply or a webhook. Raises ValueError if it is none."""
    known = prediction_in(reply)
    inputs, webhook = reply.get("input"), reply.get("webhook")
    texts = inputs.values() if isinstance(inputs, dict) else ()
    marks = [text for text in (*texts, webhook) if isinstance(text, str)]
    return RemoteRun(
        id=known.id,
        status=known.status,
        marks=frozenset(marks),
        outputs=tuple(_outputs(reply.get("output"))),
        logs=str(reply.get("logs") or ""),
        error=known.error,
        data_removed=known.data_removed,
        created_at=known.created_at,
        started_at=from_iso(reply.get("started_at")),
        trained_version=_trained_version(reply.get("output")),
        predict_time=known.predict_time,
    )


def _run(reply: Any) -> RemoteRun:
    try:
        run = run_in(reply)
        checked_id(run.id)
    except (ValueError, BackendError) as error:
        raise NoAnswerError(f"the reply is neither prediction nor training: {error}") from error
    return run


def _trained_version(output: Any) -> str:
    version = output.get("version") if isinstance(output, dict) else None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else ""


def _outputs(output: Any) -> Iterator[tuple[str, str]]:
    """Yield (name, address) of each file.

    A prediction's output is an address or several; a training's an object, of which some members are files.
    """
    if isinstance(output, list):
        output = {f"output-{number}": value for number, value in enumerate(output, 1)}
    elif not isinstance(output, dict):
        output = {"output": output}
    for name, value in output.items():
        if isinstance(value, str) and value.startswith(_FILE_SCHEMES):
            yield str(name), value
