"""The console under load: seconds from the start to READY, and signed webhooks at a steady rate.

    PYTHONPATH=. .venv/bin/python -m benchmarks.console --rate 1000 --seconds 20

The console is a process of its own, as `luxscaler server` starts it, and so is each sender; all share this
machine's cores. A sender does not wait for answers before it sends the next: what the console cannot take
piles up, and shows in the times. Each webhook is of a running job of its own and signed when its turn comes;
in the end every id has to be noted as applied, once.
"""

import argparse
import asyncio
import json
import multiprocessing
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from benchmarks.machine import describe
from luxscaler.clock import Clock, iso
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.jobs import Job, Jobs, JobState
from luxscaler.replicate.signing import new_id, webhook_headers
from tests.conftest import ROOT
from tests.support.console_server import console_process
from tests.support.gateway_server import free_port
from tests.support.replicate_account import VERSION, Account, Run, replicate_account

PATH = "/api/webhooks/replicate"
SENDERS = 2
CONNECTIONS = 32
"""Of each sender."""


def main() -> None:
    """Parse the command line, measure, print, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, help="webhooks a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "benchmark" / "console.json")
    options = parser.parse_args()
    print(describe("cpu", torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as folder:
        found = {"ready": starts(Path(folder), options.starts)}
        print(f"start to READY, s: {', '.join(f'{each:.2f}' for each in found['ready'])}")
        found |= load(Path(folder) / "load", options.rate, options.seconds)
    print(
        f"{found['sent']} webhooks in {found['seconds']:.1f} s, {options.rate} a second asked for: "
        f"{found['refused']} refused, {found['lost']} lost, {found['effects']} effects; answers after "
        f"{found['p50'] * 1e3:.0f} ms (median), {found['p99'] * 1e3:.0f} ms (99 %), "
        f"{found['most'] * 1e3:.0f} ms (the slowest)"
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def starts(folder: Path, count: int) -> list[float]:
    """Seconds from the start of `luxscaler server` to its READY line, once for each of some fresh folders."""
    return [_start(folder / f"start{number}") for number in range(count)]


def _start(data: Path) -> float:
    command = [sys.executable, "-m", "luxscaler.cli.main", "server", f"--data={data}"]
    begun = time.perf_counter()
    with subprocess.Popen([*command, f"--port={free_port()}"], cwd=ROOT, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101 - PIPE
        line = process.stdout.readline()
        took = time.perf_counter() - begun
        process.terminate()
    if not line.startswith(b"READY"):
        raise RuntimeError(f"the console did not start: {line!r}")
    return took


def load(folder: Path, rate: int, seconds: int) -> dict[str, Any]:
    """Send `rate` webhooks a second; how they were answered, and what came of them."""
    folder.mkdir()
    with replicate_account() as account:
        runs = _jobs(folder, account, rate * seconds)
        with console_process(folder, account.url) as console:
            answers = _sent(console.url, account, runs, rate)
            noted, effects = _noted(folder)
    times = sorted(took for _, took, _ in answers)
    good = {webhook_id for webhook_id, _, status in answers if status == 200}
    return {
        "rate": rate,
        "sent": len(answers),
        "seconds": max(0.0, *(took for _, took, _ in answers)) + len(answers) / rate,
        "refused": len(answers) - len(good),
        "lost": len(good - noted),
        "effects": effects,
        "p50": statistics.median(times),
        "p99": times[int(0.99 * len(times))],
        "most": times[-1],
    }


def _jobs(folder: Path, account: Account, count: int) -> list[dict[str, Any]]:
    """Masters under way in the console's database; their ends as Replicate's JSON."""
    (folder / "console").mkdir(mode=0o700)
    database, now = Database(folder / "console" / FILE_NAME), time.time()
    jobs, found = Jobs(database, Clock()), []
    with database.transaction():
        for number in range(count):
            name = new_id()
            call = {"field": "tile_input", "input": {}, "model": "josfer/luxscaler-v32"}
            jobs.add(
                Job(
                    **{
                        "id": new_id(),
                        "kind": "master",
                        "name": f"job {number}",
                        "source": "x",
                        "call": call,
                    },
                    **{"fingerprint": "", "nonce": new_id(), "hardware": "gpu-l40s", "price": 0.001},
                    **{"max_seconds": 3600.0, "created_at": now, "deadline": now + 3600.0, "intent_at": now},
                    **{"state": JobState.RUNNING, "remote_id": name},
                )
            )
            run = Run(name, "predictions", {"version": VERSION, "input": {}}, now, "canceled")
            account.runs.append(run)
            found.append({**account.document(run), "completed_at": iso(now)})
    database.close()
    return found


def _sent(url: str, account: Account, runs: list[dict[str, Any]], rate: int) -> list[tuple[str, float, int]]:
    """(webhook id, seconds until its answer, status) of each."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(SENDERS, mp_context=context) as pool:
        work = [
            pool.submit(_send_all, url, account.secret, runs[first::SENDERS], rate / SENDERS)
            for first in range(SENDERS)
        ]
        return [answer for each in work for answer in each.result()]


def _send_all(url: str, secret: str, runs: list[dict[str, Any]], rate: float) -> list[tuple[str, float, int]]:
    return asyncio.run(_stream(url, secret, runs, rate))


async def _stream(
    url: str, secret: str, runs: list[dict[str, Any]], rate: float
) -> list[tuple[str, float, int]]:
    host, _, port = url.removeprefix("http://").partition(":")
    lines: asyncio.Queue[_Line] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        lines.put_nowait(_Line(host, int(port)))
    begun, tasks = time.perf_counter(), []
    for number, run in enumerate(runs):
        due = begun + number / rate
        await asyncio.sleep(max(due - time.perf_counter(), 0.0))
        tasks.append(asyncio.create_task(_send(lines, secret, run, due)))
    return list(await asyncio.gather(*tasks))


async def _send(
    lines: "asyncio.Queue[_Line]", secret: str, run: dict[str, Any], due: float
) -> tuple[str, float, int]:
    """Its time counts from when it was due, so that a sender that is late does not flatter the console."""
    line = await lines.get()
    body, webhook_id = json.dumps(run).encode(), f"msg_{new_id()}"
    status = await line.post(body, webhook_headers(secret, webhook_id, int(time.time()), body))
    lines.put_nowait(line)
    return webhook_id, time.perf_counter() - due, status


class _Line:
    """One connection that is kept: a client library would take as much of the cores as the console."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes, headers: dict[str, str]) -> int:
        """The status of the answer; 0: none came."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"POST {PATH} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{more}"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
            return int(answer.split()[1])
        except (OSError, EOFError, ValueError):
            self._streams = None
            return 0


def _noted(folder: Path) -> tuple[set[str], int]:
    """(ids that the console has applied, jobs that have ended)."""
    with closing(sqlite3.connect(folder / "console" / FILE_NAME)) as database:
        ids = {row[0] for row in database.execute("SELECT webhook_id FROM seen")}
        ended = database.execute("SELECT count(*) FROM jobs WHERE state = 'canceled'").fetchone()[0]
    return ids, int(ended)


if __name__ == "__main__":
    main()
