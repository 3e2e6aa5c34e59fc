"""Sends signed webhooks at a steady rate from processes of their own, and notes how each was answered.

A sender does not wait for an answer before it sends the next webhook: what a server cannot take piles up, and
shows in the times. Each webhook is signed when its turn comes. One that is answered with 503 is sent again
after the time that the answer asks for, as Replicate does.
"""

import asyncio
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from luxscaler.replicate.signing import new_id, webhook_headers

PATH = "/api/webhooks/replicate"
SENDERS = 2
CONNECTIONS = 32
"""Of each sender."""
_MOST_AGAIN = 30


@dataclass(frozen=True)
class Answer:
    """How one webhook was answered."""

    webhook_id: str
    seconds: float
    """From when it was due, so that a sender that is late does not flatter the console."""
    status: int
    again: int
    """How often it was sent again, because it was told to."""
    ended_at: float
    """Seconds from the start."""


def send(url: str, secret: str, runs: list[dict[str, Any]], rate: int) -> list[Answer]:
    """Send a webhook for each run, `rate` a second, signed with `secret`, to the console at `url`."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SENDERS, mp_context=context) as pool:
        work = [
            pool.submit(_send_all, url, secret, runs[first::SENDERS], rate / SENDERS)
            for first in range(SENDERS)
        ]
        return [answer for each in work for answer in each.result()]


def _send_all(url: str, secret: str, runs: list[dict[str, Any]], rate: float) -> list[Answer]:
    return asyncio.run(_stream(url, secret, runs, rate))


async def _stream(url: str, secret: str, runs: list[dict[str, Any]], rate: float) -> list[Answer]:
    host, _, port = url.removeprefix("http://").partition(":")
    connections: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        connections.put_nowait(_Connection(host, int(port)))
    begun, tasks = time.perf_counter(), []
    for number, run in enumerate(runs):
        due = begun + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        tasks.append(asyncio.create_task(_send(connections, secret, run, begun, due)))
    return list(await asyncio.gather(*tasks))


async def _send(
    connections: "asyncio.Queue[_Connection]", secret: str, run: dict[str, Any], begun: float, due: float
) -> Answer:
    body, webhook_id = json.dumps(run).encode(), f"msg_{new_id()}"
    again = 0
    while True:
        connection = await connections.get()
        status, pause = await connection.post(
            body, webhook_headers(secret, webhook_id, int(time.time()), body)
        )
        connections.put_nowait(connection)
        if status != 503 or again >= _MOST_AGAIN:
            break
        again += 1
        await asyncio.sleep(pause)
    now = time.perf_counter()
    return Answer(webhook_id, now - due, status, again, now - begun)


class _Connection:
    """One connection that is kept: a client library would take as much of the cores as the console."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, float]:
        """The status of the answer (0: none came), and the seconds that it asks to wait."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"POST {PATH} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{more}"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
            pause = answer.partition("retry-after: ")[2].partition("\r\n")[0]
            return int(answer.split()[1]), float(pause or 0)
        except (OSError, EOFError, ValueError):
            self._streams = None
            return 0, 0.0
