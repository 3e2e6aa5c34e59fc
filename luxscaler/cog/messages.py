"""What both clients of Cog send and understand: addresses, bodies, time-outs, health checks."""

import json
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from luxscaler.cog.status import Health
from luxscaler.errors import BackendError

Json = dict[str, Any]
RunKind = Literal["predictions", "trainings"]
"""As the addresses of Cog and Replicate name them."""
MAX_BODY = 100 * 2**20
"""Most bytes that a Cog server takes; more is a 413."""
CONNECT_SECONDS = 5.0
SHORT_SECONDS = 5.0
"""For everything but predictions: Cog answers at once."""


def without_password(url: str) -> str:
    """A container's address without a user and password, to be shown and stored."""
    parts = urlsplit(url.rstrip("/"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def run_url(base: str, name: str, kind: RunKind = "predictions") -> str:
    """Where a prediction or training of that id is put; its cancel is at /cancel below."""
    return f"{base}/{kind}/{quote(name)}"


def body_of(inputs: Mapping[str, Any]) -> bytes:
    """The body of a request for a run. Raises BackendError if it is larger than a Cog server takes."""
    body = json.dumps({"input": dict(inputs)}).encode()
    if len(body) > MAX_BODY:
        raise BackendError(
            f"a tile with its reference makes a request of {len(body) / 2**20:.0f} MiB, and a Cog container "
            f"takes {MAX_BODY // 2**20} MiB: choose smaller tiles"
        )
    return body


def health_in(body: bytes) -> Health:
    """What a health check's body says; UNREACHABLE if it is not one of a Cog server."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return Health.UNREACHABLE
    status = reply.get("status") if isinstance(reply, dict) else None
    return Health(status) if isinstance(status, str) else Health.UNREACHABLE
