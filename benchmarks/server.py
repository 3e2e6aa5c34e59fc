"""Consecutive predictions through the real Cog server: seconds from the start to READY, and per prediction.

The same server as ./scripts/serve, on a free port. Beside the wall time of each prediction stands the
network's own, which the container reports. The memory is that of the server's processes afterwards.
"""

import argparse
import base64
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prediction import write_tile
from tests.cog_server import CogServer, cog_server


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = write_tile(options, folder).read_bytes()
        tile = "data:image/png;base64," + base64.b64encode(picture).decode()
        start = time.perf_counter()
        with cog_server(folder, OMP_NUM_THREADS=str(options.threads)) as server:
            ready = time.perf_counter() - start
            found = stream(server, tile, options)
    print(f"\n### Cog server, {options.model}, {options.size}² → ×4 WebP, {options.rounds} in a row\n")
    print("| start to READY s | first prediction s | median s | network s | wall / network | memory MB |")
    print("|---|---|---|---|---|---|")
    print(
        f"| {ready:.1f} | {found['first']:.2f} | {found['median']:.3f} | {found['network']:.3f} | "
        f"{found['ratio']:.2f} | {found['megabytes']:.0f} |"
    )
    return {"size": options.size, "ready": ready, **found}


def stream(server: CogServer, tile: str, options: argparse.Namespace) -> dict[str, Any]:
    """One prediction after another, the first of them apart."""
    walls, networks = [], []
    for _ in range(options.rounds + 1):
        start = time.perf_counter()
        reply = server.predict(tile_input=tile, model=options.model)
        walls.append(time.perf_counter() - start)
        if reply["status"] != "succeeded":
            raise RuntimeError(f"the prediction failed: {reply.get('error')}")
        networks.append(float(reply["metrics"]["timing"]["network"]))
    ratios = [wall / network for wall, network in zip(walls[1:], networks[1:], strict=True)]
    return {
        "first": walls[0],
        "seconds": walls[1:],
        "median": median(walls[1:]),
        "network": median(networks[1:]),
        "ratio": median(ratios),
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
