"""The gateway under load: signed webhooks that it sends, and clients that wait for their predictions.

    python -m benchmarks.gateway [--seconds 20] [--rate 1000] [--clients 50]

Webhooks: so many terminal ones a second, each in the database until it is taken, to a receiver in a process
of its own that checks every signature. Clients: each creates with `Prefer: wait` again and again, before
containers that answer at once, so that nearly all of the time is the gateway's.
"""

import argparse
import asyncio
import base64
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np

from benchmarks.machine import describe
from luxscaler.clock import Clock
from luxscaler.cog.status import Status
from luxscaler.gateway.addresses import Addresses
from luxscaler.gateway.file_store import FileStore
from luxscaler.gateway.keys import Keys, load_keys
from luxscaler.gateway.run import Run
from luxscaler.gateway.serialize import Serializer
from luxscaler.gateway.settings import Settings
from luxscaler.gateway.store import Store
from luxscaler.gateway.webhooks import Notifier
from luxscaler.replicate.signing import new_id, webhook_refusal
from luxscaler.web.post import Poster
from tests.support.fake_cog import fake_cog
from tests.support.gateway_server import GatewayServer, gateway_process
from tests.support.picture_files import noise, pillow

CONTAINERS = 4
CREATES = 20
"""Of each client."""
BATCHES = 100
"""A second: webhooks come in so many batches."""
TILE = "data:image/png;base64," + base64.b64encode(pillow(noise(8, 8), "PNG")).decode()


def main() -> None:
    """Parse the command line, run both, print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    print(describe("cpu", 1))
    with tempfile.TemporaryDirectory() as name:
        webhooks(Path(name), options.seconds, options.rate)
    with tempfile.TemporaryDirectory() as name:
        clients(Path(name), options.clients)


def webhooks(folder: Path, seconds: int, rate: int) -> None:
    """Print how many of seconds × rate webhooks came, and how long each took from its end to its answer."""
    keys = load_keys(folder)
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.Process(target=_receive, args=(theirs, keys.webhook_secret), daemon=True)
    receiver.start()
    url = f"http://127.0.0.1:{ours.recv()}/"
    took, whole = asyncio.run(_send(folder, keys, url, seconds, rate))
    ours.send(None)
    good, bad = ours.recv()
    receiver.join()
    print(f"\n### {rate} webhooks a second for {seconds} s, signed, each in the database until it is taken\n")
    print("| sent | arrived | signature wrong | seconds in all | p50 ms | p99 ms | worst ms |")
    print("|---|---|---|---|---|---|---|")
    p50, p99 = np.percentile(took, [50, 99]) * 1000
    print(f"| {len(took)} | {good} | {bad} | {whole:.1f} | {p50:.1f} | {p99:.1f} | {max(took) * 1000:.1f} |")


async def _send(folder: Path, keys: Keys, url: str, seconds: int, rate: int) -> tuple[list[float], float]:
    settings = Settings(("http://127.0.0.1:9",), folder, webhook_allow="127.0.0.0/8")
    store, clock = Store(folder / "gateway.sqlite3"), Clock()
    serializer = Serializer(settings, Addresses(settings, keys.address_key), FileStore(folder))
    poster = _Timed(settings)
    notifier = Notifier(settings, keys, clock, store, poster, serializer.delivered)
    with store.transaction():
        made = [store.add(_finished(url, clock.now())) for _ in range(seconds * rate)]
    start, size = time.perf_counter(), rate // BATCHES
    for batch in range(seconds * BATCHES):
        await asyncio.sleep(max(0.0, start + batch / BATCHES - time.perf_counter()))
        for prediction in made[batch * size : (batch + 1) * size]:
            poster.began[prediction.id] = time.perf_counter()
            notifier.completed(prediction.id, notifier.to_deliver(prediction))
    while store.deliveries():
        await asyncio.sleep(0.01)
    whole = time.perf_counter() - start
    await notifier.stop()
    poster.close()
    store.close()
    return poster.took, whole


class _Timed(Poster):
    """Notes for each webhook how long it took since its prediction's end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.webhook_reach)
        self.began: dict[str, float] = {}
        self.took: list[float] = []

    async def post(self, url: str, body: bytes, headers: dict[str, str], seconds: float) -> int:  # type: ignore[override]
        status = await super().post(url, body, headers, seconds)
        name = body[8 : body.index(b'"', 8)].decode()
        self.took.append(time.perf_counter() - self.began.pop(name))
        return status


def _finished(url: str, now: float) -> Run:
    return Run(
        new_id(),
        "josfer/luxscaler-v32",
        "0" * 64,
        {"tile_input": TILE},
        now,
        status=Status.SUCCEEDED,
        output="https://example.com/output.exr",
        started_at=now,
        completed_at=now,
        webhook=url,
    )


def _receive(connection: Connection, secret: str) -> None:
    """An HTTP server that checks signatures, until it is told to say what it counted."""
    asyncio.run(_listen(connection, secret))


async def _listen(connection: Connection, secret: str) -> None:
    counts = [0, 0]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in head)}
                body = await reader.readexactly(int(headers["content-length"]))
                counts[bool(webhook_refusal(secret, headers, body, time.time()))] += 1
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    connection.send(server.sockets[0].getsockname()[1])
    await asyncio.get_running_loop().run_in_executor(None, connection.recv)
    connection.send(tuple(counts))


def clients(folder: Path, count: int) -> None:
    """Print how long a create with `Prefer: wait` takes while `count` clients do nothing else."""
    pipes = [multiprocessing.Pipe() for _ in range(CONTAINERS)]
    containers = [
        multiprocessing.Process(target=_contain, args=(theirs,), daemon=True) for _, theirs in pipes
    ]
    for process in containers:
        process.start()
    urls = [ours.recv() for ours, _ in pipes]
    with gateway_process(folder, *urls) as gateway:
        asyncio.run(_create(gateway, CONTAINERS))  # they import what they need at the first one
        start = time.perf_counter()
        took = asyncio.run(_create(gateway, count))
        whole = time.perf_counter() - start
    for (ours, _), process in zip(pipes, containers, strict=True):
        ours.send(None)
        process.join()
    print(f"\n### {count} clients, {CREATES} creates each, `Prefer: wait`, {CONTAINERS} instant containers\n")
    print("| predictions a second | p50 s | p99 s |\n|---|---|---|")
    p50, p99 = np.percentile(took, [50, 99])
    print(f"| {len(took) / whole:.0f} | {p50:.2f} | {p99:.2f} |")


async def _create(gateway: GatewayServer, count: int) -> list[float]:
    headers = {"Authorization": f"Bearer {gateway.token}", "Prefer": "wait=60"}
    body = {"version": gateway.version, "input": {"tile_input": TILE}}
    took: list[float] = []

    async def client() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=90.0) as http:
            for _ in range(CREATES):
                start = time.perf_counter()
                answer = await http.post(f"{gateway.url}/v1/predictions", json=body, headers=headers)
                took.append(time.perf_counter() - start)
                if answer.json()["status"] != "succeeded":
                    raise RuntimeError(answer.text)

    await asyncio.gather(*(client() for _ in range(count)))
    return took


def _contain(connection: Connection) -> None:
    """A stand-in for Cog that answers at once."""
    with fake_cog() as cog:
        connection.send(cog.url)
        connection.recv()


if __name__ == "__main__":
    main()
