"""Posting to receivers of any manner: nowhere but where it may, no longer and no more than it may."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from luxscaler.errors import FetchError
from luxscaler.web.post import AT_ONCE, MAX_ANSWER, Poster
from luxscaler.web.reach import PUBLIC, Reach
from tests.support.hostile_server import (
    Answer,
    Connection,
    drip,
    endless,
    hostile_server,
    raw,
    redirect,
    silent,
)
from tests.web.test_fetch import FORBIDDEN_TARGETS

HERE = Reach.parse("127.0.0.0/8", "here")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def run(work: Callable[[Poster], Awaitable[Any]], reach: Reach = HERE) -> Any:
    async def go() -> Any:
        poster = Poster(reach)
        try:
            return await work(poster)
        finally:
            poster.close()

    return asyncio.run(go())


def post(url: str, reach: Reach = HERE, seconds: float = 5.0) -> int:
    return int(run(lambda poster: poster.post(url, b"{}", {"X-Id": "1"}, seconds), reach))


def keeping(connection: Connection) -> None:
    """Answers every request that comes, with cookies."""
    count = 1
    while True:
        connection.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok")
        head = connection.socket.recv(65536)
        if not head:
            return
        count += 1
        connection.head += head


def test_a_receiver_that_behaves_is_answered_on_one_connection_and_gets_no_cookies() -> None:
    seen: list[Connection] = []

    def answer(connection: Connection) -> None:
        seen.append(connection)
        keeping(connection)

    async def thrice(poster: Poster, url: str) -> list[int]:
        return [await poster.post(url, b"{}", {"X-Id": "1"}, 5.0) for _ in range(3)]

    with hostile_server(x=answer) as server:
        assert run(lambda poster: thrice(poster, server.base + "x")) == [200] * 3
    assert len(seen) == 1
    text = seen[0].head.decode().lower()
    assert text.count("post /x http/1.1") == 3
    assert "cookie" not in text
    assert "x-id: 1" in text


def test_one_that_closed_a_kept_connection_is_connected_to_again() -> None:
    with hostile_server(x=raw(OK)) as server:

        async def twice(poster: Poster) -> list[int]:
            first = await poster.post(server.base + "x", b"{}", {}, 5.0)
            return [first, await poster.post(server.base + "x", b"{}", {}, 5.0)]

        assert run(twice) == [200, 200]
        assert len(server.heads) == 2


@pytest.mark.parametrize("target", FORBIDDEN_TARGETS)
def test_nothing_is_sent_to_an_address_that_is_not_public(target: str) -> None:
    with hostile_server(whole=raw(OK)) as server:
        port = server.base.rstrip("/").rpartition(":")[2]
        with pytest.raises(FetchError, match="to which nothing is sent"):
            post(target.format(port=port), PUBLIC)
        assert server.heads == []


def test_nor_to_a_name_that_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(FetchError, match="leads to a loopback address"):
        post("http://inside.example/", PUBLIC)


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    with hostile_server(x=redirect("/y"), y=raw(OK)) as server:
        assert post(server.base + "x") == 302
        assert len(server.heads) == 1


BIG: dict[str, Answer] = {
    "endless body": endless(b"HTTP/1.1 200 OK\r\n\r\n"),
    "huge body": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"),
    "gzip": endless(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
}


@pytest.mark.parametrize("name", BIG)
def test_of_a_large_answer_only_the_status_is_read(name: str) -> None:
    sent = 0

    def answer(connection: Connection) -> None:
        nonlocal sent
        whole = connection.send

        def counted(data: bytes) -> None:
            nonlocal sent
            whole(data)
            sent += len(data)

        connection.send = counted  # type: ignore[method-assign]
        BIG[name](connection)

    with hostile_server(x=answer) as server:
        start = time.monotonic()
        assert post(server.base + "x") == 200
        assert time.monotonic() - start < 4.0
    assert sent < 20 * 2**20  # what the system's buffers hold


BAD: dict[str, tuple[Answer, str]] = {
    "silent": (silent(), r"did not answer within 0\.5 s"),
    "drip": (drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), r"did not answer within 0\.5 s"),
    "drip of a body": (drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), "did not answer"),
    "endless head": (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 99), f"more than {MAX_ANSWER} bytes"),
    "endless continues": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 99), "did not answer"),
    "no HTTP": (raw(b"220 smtp.example.com ESMTP\r\n\r\n"), "its answer is no HTTP"),
    "closed": (raw(b""), "closed without an answer"),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", BAD)
def test_a_receiver_that_misbehaves_is_given_up_in_one_line(name: str) -> None:
    answer, text = BAD[name]
    with hostile_server(x=answer) as server, pytest.raises(FetchError, match=text) as caught:
        post(server.base.replace("//", "//user:sesame@") + "x?token=sesame", seconds=0.5)
    assert "sesame" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_slow_receiver_and_a_slow_name_hold_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, over = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host: str, *words: Any, **more: Any) -> Any:
        if "slow" in host:
            over.wait(30)
            return []
        return plain(host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def many(poster: Poster, slow: str, quick: str) -> float:
        others = [asyncio.create_task(poster.post(slow, b"", {}, 20.0)) for _ in range(2 * AT_ONCE)]
        names = [f"http://slow-{number}.example/" for number in range(20)]
        others += [asyncio.create_task(poster.post(name, b"", {}, 20.0)) for name in names]
        await asyncio.sleep(0.1)
        start = time.monotonic()
        assert await poster.post(quick, b"", {}, 10.0) == 200
        took = time.monotonic() - start
        over.set()
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return took

    with hostile_server(x=silent()) as slow, hostile_server(x=raw(OK)) as quick:
        assert run(lambda poster: many(poster, slow.base + "x", quick.base + "x")) < 10.0
