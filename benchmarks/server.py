"""A stream of predictions through the real Cog server: seconds from the start to READY, and per tile.

The same server as ./scripts/serve, on a free port, with as many predictions under way as cog.yaml asks for,
as a queue would keep it. Beside the wall time of a tile stands the network's own, which the container
reports. The memory is that of the server's processes afterwards.
"""

import argparse
import base64
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prediction import write_tile
from tests.support.cog_server import CogServer, cog_server

IN_FLIGHT = 8
"""cog.yaml's `concurrency: max`."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = write_tile(options, folder).read_bytes()
        tile = "data:image/png;base64," + base64.b64encode(picture).decode()
        start = time.perf_counter()
        threads, slots = str(options.threads), str(IN_FLIGHT)
        with cog_server(folder, OMP_NUM_THREADS=threads, COG_MAX_CONCURRENCY=slots) as server:
            ready = time.perf_counter() - start
            found = stream(server, tile, options)
    print(
        f"\n### Cog server, {options.model}, {options.size}² → ×4 EXR, a stream of {found['tiles']} tiles\n"
    )
    print("| start to READY s | first prediction s | s per tile | network s | wall / network | memory MB |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {ready:.1f} | {found['first']:.2f} | {found['per_tile']:.3f} | {found['network']:.3f} | "
        f"{found['ratio']:.2f} | {found['megabytes']:.0f} |"
    )
    return {"size": options.size, "ready": ready, **found}


def stream(server: CogServer, tile: str, options: argparse.Namespace) -> dict[str, Any]:
    """A first prediction alone, then a stream; seconds."""

    def predict(_number: int) -> float:
        reply = server.predict(tile_input=tile, model=options.model, output_format="exr")
        if reply["status"] != "succeeded":
            raise RuntimeError(f"the prediction failed: {reply.get('error')}")
        return float(reply["metrics"]["timing"]["network"])

    start = time.perf_counter()
    predict(0)
    first = time.perf_counter() - start
    tiles = IN_FLIGHT * options.rounds
    with ThreadPoolExecutor(IN_FLIGHT) as clients:
        list(clients.map(predict, range(IN_FLIGHT)))  # each thread of the server has its own warming up
        start = time.perf_counter()
        networks = list(clients.map(predict, range(tiles)))
        per_tile = (time.perf_counter() - start) / tiles
    return {
        "first": first,
        "tiles": tiles,
        "per_tile": per_tile,
        "network": median(networks),
        "ratio": per_tile / median(networks),
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
