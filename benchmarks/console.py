"""The console under load: seconds from the start to READY, and signed webhooks at a steady rate.

    PYTHONPATH=. .venv/bin/python -m benchmarks.console --rate 1000 --seconds 20

The console is a process of its own, as `luxscaler server` starts it, and so is each sender
(webhook_senders.py); all share this machine's cores. Each webhook is of a running job of its own. In the end
every id must be noted as applied, once, and be listed with its verdict. Meanwhile a browser's calls are made,
one after another, and their times are given. The console's processor seconds are the figure that other work
on the machine disturbs least.
"""

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import torch

from benchmarks.machine import describe
from benchmarks.webhook_senders import send
from luxscaler.clock import Clock, iso
from luxscaler.console.database import FILE_NAME, Database
from luxscaler.console.job import Job, JobState
from luxscaler.console.jobs import Jobs
from luxscaler.replicate.signing import new_id
from tests.conftest import ROOT
from tests.support.console_server import console_process
from tests.support.gateway_server import free_port
from tests.support.replicate_account import VERSION, Account, Run, replicate_account

PROBED = ("/api/health/ready", "/api/cloud/jobs?limit=50")
_PROBE_SECONDS = 0.25
"""As often as a page looks again while events come."""
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


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
        f"{found['refused']} refused, {found['again']} sent again, {found['lost']} lost, "
        f"{found['listed']} listed, {found['effects']} effects; answers after "
        f"{found['p50'] * 1e3:.0f} ms (median), {found['p99'] * 1e3:.0f} ms (99 %), "
        f"{found['most'] * 1e3:.0f} ms (the slowest)"
    )
    print(
        f"the console's processor time: {found['processor_seconds']:.2f} s, "
        f"{1e3 * found['processor_seconds'] / found['sent']:.3f} ms a webhook"
    )
    for path, times in found["calls"].items():
        print(f"meanwhile GET {path}: {times['count']} calls, {times['p99'] * 1e3:.0f} ms (99 %)")
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
            assert console.process is not None  # noqa: S101 - console_process gives it
            # Webhooks are on, as they are where so many come: polling is their safety net.
            console.set(webhook_url="https://console.example")
            before = _processor_seconds(console.process.pid)
            with _probes(console.url) as probes:
                answers = send(console.url, account.secret, runs, rate)
            processor = _processor_seconds(console.process.pid) - before
            noted, listed, effects = _noted(folder)
    times = sorted(answer.seconds for answer in answers)
    good = {answer.webhook_id for answer in answers if answer.status == 200}
    return {
        "rate": rate,
        "sent": len(answers),
        "seconds": max(answer.ended_at for answer in answers),
        "refused": len(answers) - len(good),
        "again": sum(answer.again for answer in answers),
        "lost": len(good - noted),
        "listed": listed,
        "effects": effects,
        "processor_seconds": processor,
        "calls": {path: _summary(probes.times[path]) for path in PROBED},
        "p50": statistics.median(times),
        "p99": _percentile(times, 0.99),
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
                    id=new_id(),
                    kind="master",
                    name=f"job {number}",
                    source="x",
                    call=call,
                    fingerprint="",
                    nonce=new_id(),
                    hardware="gpu-l40s",
                    price=0.001,
                    max_seconds=3600.0,
                    created_at=now,
                    deadline=now + 3600.0,
                    intent_at=now,
                    state=JobState.RUNNING,
                    remote_id=name,
                )
            )
            run = Run(name, "predictions", {"version": VERSION, "input": {}}, now, "canceled")
            account.runs.append(run)
            found.append({**account.document(run), "completed_at": iso(now)})
    database.close()
    return found


@dataclass(frozen=True)
class _Probes:
    """Seconds that a browser's calls took, by path."""

    times: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PROBED})


@contextmanager
def _probes(url: str) -> Iterator[_Probes]:
    """Calls made one after another by a thread, for the time of the block."""
    probes, stop = _Probes(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as client:
            while not stop.wait(_PROBE_SECONDS):
                for path, times in probes.times.items():
                    begun = time.perf_counter()
                    client.get(path).raise_for_status()
                    times.append(time.perf_counter() - begun)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield probes
    finally:
        stop.set()
        thread.join()


def _summary(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"count": len(ordered), "p50": statistics.median(ordered), "p99": _percentile(ordered, 0.99)}


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def _processor_seconds(process: int) -> float:
    """That a process and its threads have used, in its own code and the kernel's for it."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def _noted(folder: Path) -> tuple[set[str], int, int]:
    """(ids that the console has applied, deliveries that it lists, jobs that have ended)."""
    with closing(sqlite3.connect(folder / "console" / FILE_NAME)) as database:
        ids = {row[0] for row in database.execute("SELECT webhook_id FROM seen")}
        listed = database.execute("SELECT count(*) FROM deliveries").fetchone()[0]
        ended = database.execute("SELECT count(*) FROM jobs WHERE state = 'canceled'").fetchone()[0]
    return ids, int(listed), int(ended)


if __name__ == "__main__":
    main()
