"""The route of events: what changed, as server-sent events, each with a number to read on from."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from luxscaler.console.state import Console, Here

router = APIRouter(prefix="/api/events", tags=["events"])
_GAP = "event: gap\ndata: {}\n\n"
_GLANCE_SECONDS = 0.25
_BEAT_SECONDS = 15.0
"""A comment at least so often, so that proxies keep the connection."""


@router.get("", response_class=StreamingResponse)
async def events(
    request: Request,
    console: Here,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> StreamingResponse:
    """Stream events after number `Last-Event-ID` (or `after`), or else from now on.

    The event `gap` says that some were removed, or that the number is another database's.
    """
    start = last_event_id if last_event_id is not None else after
    newest = await run_in_threadpool(console.jobs.last_event)
    is_foreign = start is not None and start > newest
    stream = _stream(request, console, newest if start is None or is_foreign else start, gap=is_foreign)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _newest(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events without those that a later one repeats (same kind, same job)."""
    last = {(event["job"], event["kind"]): event["id"] for event in events}
    return [event for event in events if last[event["job"], event["kind"]] == event["id"]]


def _told(event: dict[str, Any]) -> str:
    return f"id: {event['id']}\nevent: job\ndata: {json.dumps(event)}\n\n"


async def _stream(request: Request, console: Console, number: int, *, gap: bool) -> AsyncIterator[str]:
    quiet = 0.0
    yield "retry: 1000\n\n"
    if gap:
        yield _GAP
    while not await request.is_disconnected():
        if news := await run_in_threadpool(console.jobs.events_after, number):
            if number and news[0]["id"] > number + 1:
                yield _GAP
            number, quiet = news[-1]["id"], 0.0
            yield "".join(_told(event) for event in _newest(news))
        await asyncio.sleep(_GLANCE_SECONDS)
        quiet += _GLANCE_SECONDS
        if quiet >= _BEAT_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
