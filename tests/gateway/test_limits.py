"""Rates and sizes of requests."""

import asyncio
import json
from collections import deque

from hypothesis import given
from hypothesis import settings as limit_examples
from hypothesis import strategies as st

from luxscaler.gateway.limits import (
    WINDOW_SECONDS,
    AsgiApp,
    LimitMiddleware,
    Message,
    RateLimit,
    Receive,
    Scope,
    Send,
)
from tests.support.examples import examples

LIMIT = 1000


@limit_examples(max_examples=examples(30))
@given(st.integers(1, 8), st.lists(st.floats(0, 40), max_size=60))
def test_no_minute_sees_more_calls_than_allowed(calls: int, pauses: list[float]) -> None:
    limit, now, let_through = RateLimit(calls), 0.0, deque[float]()
    for pause in pauses:
        now += pause
        recent = [at for at in let_through if at > now - WINDOW_SECONDS]
        verdict = limit.ask(now)
        assert verdict.allowed == (len(recent) < calls)  # none more, and none is refused without need
        if verdict.allowed:
            let_through.append(now)
        assert 0 <= verdict.remaining < calls
        assert verdict.reset_seconds >= 1


@given(st.integers(1, 5))
def test_after_the_seconds_it_names_a_call_is_let_through(calls: int) -> None:
    limit = RateLimit(calls)
    assert all(limit.ask(0.25 * call).allowed for call in range(calls))
    refused = limit.ask(10.0)
    assert not refused.allowed
    assert limit.ask(10.0 + refused.reset_seconds).allowed


def test_a_clock_that_is_set_back_stops_nobody_for_long() -> None:
    limit = RateLimit(3)
    assert all(limit.ask(10_000.0).allowed for _ in range(3))
    assert not limit.ask(10_001.0).allowed
    assert [limit.ask(6_400.0).allowed for _ in range(4)] == [True, True, True, False]


def ask(app: AsgiApp, chunks: list[bytes], *headers: tuple[bytes, bytes]) -> list[Message]:
    """The reply's messages to a request whose body comes in such chunks."""
    sent: list[Message] = []
    waiting = deque(chunks)

    async def receive() -> Message:
        body = waiting.popleft()
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "path": "/", "method": "POST", "headers": list(headers)}
    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type] # a coroutine, said loosely
    return sent


async def echo_length(scope: Scope, receive: Receive, send: Send) -> None:
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    scope["state"]["reply_headers"] = {"x-more": "1"}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=8))
def test_bodies_are_counted_as_they_come(chunks: list[bytes]) -> None:
    reply = ask(LimitMiddleware(echo_length, lambda _path: LIMIT), chunks)
    total = sum(map(len, chunks))
    if total <= LIMIT:
        assert reply[0]["headers"] == [(b"x-more", b"1")]
        assert reply[1]["body"] == str(total).encode()
    else:
        assert reply[0]["status"] == 413
        assert json.loads(reply[1]["body"])["status"] == 413


def test_a_body_with_two_lengths_is_refused_unread() -> None:
    headers = (b"content-length", b"5"), (b"transfer-encoding", b"chunked")
    reply = ask(LimitMiddleware(echo_length, lambda _path: LIMIT), [b"12345"], *headers)
    assert reply[0]["status"] == 400


def test_a_length_that_is_announced_is_refused_unread() -> None:
    async def never(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("read")

    reply = ask(LimitMiddleware(never, lambda _path: LIMIT), [b""], (b"content-length", b"1001"))
    assert reply[0]["status"] == 413
    assert (
        ask(LimitMiddleware(echo_length, lambda _path: LIMIT), [b""], (b"content-length", b"-5"))[0]["status"]
        == 200
    )
