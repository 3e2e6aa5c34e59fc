"""What a start costs: `luxscaler upscale` of a small picture, each time a new process, and what is in it."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.prediction import write_tile

SIDE = 64
"""Of the small picture, in pixels."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = write_tile(argparse.Namespace(**{**vars(options), "size": SIDE}), folder)
        upscale = [str(Path(sys.executable).parent / "luxscaler"), "upscale", str(small)]
        where = ["--model", options.model, "--device", options.device, "--overwrite"]
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "luxscaler --version": [upscale[0], "--version"],
            f"luxscaler upscale, {SIDE}², WebP": [*upscale, str(folder / "out.webp"), *where],
            f"luxscaler upscale, {SIDE}², EXR, boost 4": [
                *upscale,
                str(folder / "out.exr"),
                *where,
                "--hdr-boost",
                "4",
            ],
        }
        rows = {name: measured(command, options.rounds) for name, command in commands.items()}
    print(f"\n### Starts, {options.model}, {options.device}: a new process each, {options.rounds} rounds\n")
    print("| | median s (range) | processor s |\n|---|---|---|")
    for name, row in rows.items():
        wall, used = row["wall"], median(row["processor"])
        print(f"| {name} | {median(wall):.2f} ({min(wall):.2f}–{max(wall):.2f}) | {used:.2f} |")
    return rows


def measured(command: list[str], rounds: int) -> dict[str, list[float]]:
    """Wall and processor seconds of each round; one before them fills the file cache."""
    found: dict[str, list[float]] = {"wall": [], "processor": []}
    for number in range(rounds + 1):
        before, start = os.times(), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - commands of this file
        wall, after = time.perf_counter() - start, os.times()
        if number:
            found["wall"].append(wall)
            used = after.children_user + after.children_system
            found["processor"].append(used - before.children_user - before.children_system)
    return found
