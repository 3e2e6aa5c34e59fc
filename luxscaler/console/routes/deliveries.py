"""Routes of webhooks: where Replicate sends them, what came, and whether the public address leads here."""

import json
import secrets
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from luxscaler.console.sending import WEBHOOK_PATH
from luxscaler.console.state import Console, console_of
from luxscaler.console.webhooks import ASKED, Arrived
from luxscaler.gateway.problems import Problem
from luxscaler.replicate.signing import new_id, webhook_headers

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
public = APIRouter(tags=["webhooks"])
Here = Annotated[Console, Depends(console_of)]


@public.post(WEBHOOK_PATH)
async def receive(request: Request, console: Here, nonce: str = "") -> dict[str, Any]:
    """A webhook of Replicate's: signed, so without a session."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    peer = request.client.host if request.client else ""
    arrived = Arrived(peer, headers, await request.body(), nonce)
    verdict = await run_in_threadpool(console.receiver.receive, arrived)
    if verdict in ("applied", ASKED):
        console.engine.wake()
    return {"verdict": verdict}


@router.get("/deliveries")
def deliveries(console: Here, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
    """What came, the newest first, each with its verdict."""
    return {"deliveries": console.receiver.deliveries(limit)}


@router.post("/deliveries/{number}/replay")
def replay(number: int, console: Here) -> dict[str, Any]:
    """Apply a delivery once more."""
    return {"verdict": console.receiver.replay(number)}


@router.post("/test")
def test(console: Here) -> dict[str, Any]:
    """Send a signed webhook, of a run that nobody knows, to the public address; whether it arrives."""
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
    arrived = _has_arrived(console, headers["webhook-id"])
    if answer.is_success and arrived:
        return {"reachable": True, "detail": "a signed webhook arrived here"}
    where = "it arrived here and was refused" if arrived else "it did not arrive here"
    return {"reachable": False, "detail": f"{url} answers HTTP {answer.status_code}; {where}"}


def _has_arrived(console: Console, webhook_id: str) -> bool:
    return any(each["webhook_id"] == webhook_id for each in console.receiver.deliveries(100))
