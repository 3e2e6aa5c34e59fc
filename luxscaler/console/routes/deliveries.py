"""Routes of webhooks: where Replicate sends them, what came, and whether the public address leads here."""

import asyncio
import json
import secrets
import sqlite3
from typing import Annotated, Any
from urllib.parse import parse_qs

import httpx
from fastapi import APIRouter, Query, Request
from fastapi import Path as PathParameter
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from luxscaler.console.sending import WEBHOOK_PATH
from luxscaler.console.state import Console, Here
from luxscaler.console.webhooks import Arrived
from luxscaler.errors import ConsoleError
from luxscaler.gateway.limits import AsgiApp, Receive, Scope, Send
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.signing import new_id, webhook_headers

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
public = APIRouter(tags=["webhooks"])
_BODY_SECONDS = 30.0
"""Longest time for a body: slow ones would fill the room that all webhooks share."""


class WebhookShortcut:
    """ASGI: answers webhooks before the router, which would take longer than the webhook itself."""

    def __init__(self, app: AsgiApp, console: Console) -> None:
        self._app, self._console = app, console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a webhook; pass on everything else. Raises Problem (413) before anything is answered."""
        is_webhook = scope["type"] == "http" and scope["path"] == WEBHOOK_PATH and scope["method"] == "POST"
        if not is_webhook:
            await self._app(scope, receive, send)
            return
        response = await _received(Request(scope, receive), self._console)
        await response(scope, receive, send)


@public.post(
    WEBHOOK_PATH, response_model=dict[str, str], responses={503: {"description": "Send it again later"}}
)
async def receive(request: Request, console: Here, nonce: str = "") -> Response:  # noqa: ARG001 - described
    """Take a webhook of Replicate's, signed, so without a session; answered once it is on disk."""
    return await _received(request, console)


async def _received(request: Request, console: Console) -> Response:
    room, held = console.receiver.room, 0
    try:
        room.check()
        pieces = []
        async with asyncio.timeout(_BODY_SECONDS):
            async for piece in request.stream():
                room.bytes += len(piece)
                held += len(piece)
                room.check()
                pieces.append(piece)
        room.waiting += 1
        try:
            verdict = await console.receiver.receive(_arrived(request, b"".join(pieces)))
        finally:
            room.waiting -= 1
    except Problem as problem:
        if problem.status == 413:  # of the layer that counts, which ends the connection too
            raise
        return problem.response()
    except TimeoutError:
        return Problem(408, f"The body took more than {_BODY_SECONDS:g} s").response()
    except ClientDisconnect:
        return Problem(400, "The body broke off").response()  # nobody reads it
    except sqlite3.Error as error:
        return Problem(507, f"The console's database cannot be used: {error}").response()
    except ConsoleError as error:  # the secret of webhooks cannot be kept
        return Problem(507, str(error)).response()
    finally:
        room.bytes -= held
    return Response(json.dumps({"verdict": verdict}), media_type="application/json")


def _arrived(request: Request, body: bytes) -> Arrived:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    peer = request.client.host if request.client else ""
    query = request.scope["query_string"]
    nonce = parse_qs(query.decode("latin-1")).get("nonce", [""])[-1] if query else ""
    return Arrived(peer, headers, body, nonce)


@router.get("/deliveries")
def deliveries(
    console: Here,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> dict[str, Any]:
    """List webhooks, newest first, with their verdicts; before: the number of the last one of a page."""
    found, total = console.receiver.deliveries.listed(limit, before)
    return {"deliveries": found, "total": total}


@router.post("/deliveries/{number}/replay")
def replay(number: Annotated[int, PathParameter(ge=1, le=2**62)], console: Here) -> dict[str, Any]:
    """Apply a delivery once more."""
    return {"verdict": console.receiver.replay(number)}


@router.post("/test")
def test(console: Here) -> dict[str, Any]:
    """Send a signed webhook about an unknown run to the public address; whether it arrives."""
    url = console.provider_settings.get().webhook_url
    if not url:
        raise Problem(409, "webhook_url is not set: nothing can be tested", field="webhook_url")
    mark = secrets.token_hex(8)
    body = json.dumps({"id": f"probe{mark}", "status": "starting", "input": {}}).encode()
    now = int(console.clock.now())
    headers = webhook_headers(console.provider.webhook_secret(), f"msg_{new_id()}", now, body)
    try:
        with console.provider.plain_client() as client:
            answer = client.post(
                url + WEBHOOK_PATH, content=body, headers={**headers, "Content-Type": "application/json"}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return {
            "reachable": False,
            "detail": f"{url} cannot be reached: {str(error) or type(error).__name__}",
        }
    arrived = console.receiver.deliveries.has(headers["webhook-id"])
    if answer.is_success and arrived:
        return {"reachable": True, "detail": "a signed webhook arrived here"}
    where = "it arrived here and was refused" if arrived else "it did not arrive here"
    return {"reachable": False, "detail": f"{url} answers HTTP {answer.status_code}; {where}"}
