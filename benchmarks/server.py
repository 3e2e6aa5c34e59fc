"""A stream of predictions through the real Cog server: seconds to READY, of a single tile, and per tile.

The same server as ./scripts/serve, on a free port, with as many predictions under way as cog.yaml asks for,
as a queue would keep it. As on Replicate the picture is fetched over HTTP and the result is put to an upload
address, both on this machine. Beside the wall time of a tile stands the network's own, which the container
reports, and what a tile costs at this pace by the price list. The memory is that of the server's processes
afterwards.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.money import print_dollars
from benchmarks.prediction import CASES, write_tile
from tests.support.cog_server import CogServer, cog_server
from tests.support.file_server import Files, file_server

IN_FLIGHT = 8
"""cog.yaml's `concurrency: max`."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, file_server() as files:
        folder = Path(name)
        tile = files.add("tile.png", write_tile(options, folder).read_bytes())
        start = time.perf_counter()
        environment = {"OMP_NUM_THREADS": str(options.threads), "COG_MAX_CONCURRENCY": str(IN_FLIGHT)}
        with cog_server(folder, "--upload-url", files.base, **environment) as server:
            ready = time.perf_counter() - start
            for case, inputs in CASES.items():
                asked = {"tile_input": tile, "model": options.model, **inputs}
                if asked.pop("global_reference", False):
                    asked["global_reference"] = tile
                rows[case] = stream(server, files, asked, options)
    print(f"\n### Cog server, {options.model}, {options.size}² → ×4 over HTTP, READY after {ready:.1f} s\n")
    heads = (
        "first s",
        "alone s",
        "in a stream s per tile",
        "network s",
        "stream / network",
        "MB",
        "memory MB",
    )
    print(f"| | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    for case, row in rows.items():
        print(
            f"| {case} | {row['first']:.2f} | {row['alone']:.2f} | {row['per_tile']:.3f} "
            f"| {row['network']:.3f} | {row['ratio']:.2f} | {row['put']:.1f} | {row['megabytes']:.0f} |"
        )
    print_dollars("tile in a stream", {case: row["per_tile"] for case, row in rows.items()}, options.device)
    return {"size": options.size, "ready": ready, "rows": rows}


def stream(
    server: CogServer, files: Files, inputs: dict[str, Any], options: argparse.Namespace
) -> dict[str, Any]:
    """A first prediction, one alone, then a stream; seconds."""

    def predict(_number: int) -> float:
        reply = server.predict(**inputs)
        if reply["status"] != "succeeded":
            raise RuntimeError(f"the prediction failed: {reply.get('error')}")
        return float(reply["metrics"]["timing"]["network"])

    def seconds() -> float:
        start = time.perf_counter()
        predict(0)
        return time.perf_counter() - start

    before = set(files.held)
    first, alone = seconds(), median(seconds() for _ in range(options.rounds))
    tiles = IN_FLIGHT * options.rounds
    with ThreadPoolExecutor(IN_FLIGHT) as clients:
        list(clients.map(predict, range(IN_FLIGHT)))  # each thread of the server has its own warming up
        start = time.perf_counter()
        networks = list(clients.map(predict, range(tiles)))
        per_tile = (time.perf_counter() - start) / tiles
    put = [files.held.pop(name) for name in set(files.held) - before]
    return {
        "first": first,
        "alone": alone,
        "tiles": tiles,
        "per_tile": per_tile,
        "network": median(networks),
        "ratio": per_tile / median(networks),
        "put": max((len(data) for data in put), default=0) / 1e6,
        "megabytes": _resident(os.getpgid(server.process.pid)) / 1e6,
    }


def _resident(group: int) -> float:
    """Bytes of a process group's own pages (Linux), files that it maps left out."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getpgid(int(status.parent.name)) == group:
                total += int(status.read_text().split("RssAnon:")[1].split()[0]) * 1024
        except (OSError, IndexError):  # gone meanwhile, or a thread of the kernel  # noqa: PERF203
            continue
    return total
