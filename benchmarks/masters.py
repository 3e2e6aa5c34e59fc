"""Orchestration of large masters, the network replaced by repetition: memory, and time beside the tiles'.

    .venv/bin/python benchmarks/masters.py [--sides 4096,8192,16384,32768] [--seconds 0.25] [--format exr]

For each side of the result one process makes a master of a synthetic picture, twice: the second time counts,
when modules are loaded and the tiles of the stand-in are made. Printed are the peak resident memory, the wall
time, the time that tiles alone would take (tiles × seconds / tiles at once), the time that the encoder alone
takes for as many rows, and the processor's time, which hardly depends on other work. Without --own the
repetition of pixels, which stands for the network, is part of it. Needs what ./scripts/test installs.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Parse the command line; a process for each size; a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sides", default="4096,8192,16384,32768")
    parser.add_argument("--seconds", type=float, default=1.0, help="what a tile takes")
    parser.add_argument("--at-once", type=int, default=1, help="tiles at once; one more waits its turn")
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--format", default="exr", choices=["exr", "tiff", "png"])
    parser.add_argument("--folder", type=Path, help="for the pictures; a temporary one if not given")
    parser.add_argument(
        "--own",
        action="store_true",
        help="tiles as of a network of this program: cheap ones are not written.\n"
        "Those of one size share their memory, and so cost this processor nothing",
    )
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(run(options)))
        return
    print("side | tiles | wall s | tiles alone s | encoder alone s | processor s | peak MB | file MB")
    for side in options.sides.split(","):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            command = [sys.executable, __file__, "--one", side, "--folder", folder]
            for name in ("seconds", "at_once", "tile", "format"):
                command += [f"--{name.replace('_', '-')}", str(getattr(options, name))]
            command += ["--own"] * options.own
            result = json.loads(_output_of(command))
        print(
            f"{side} | {result['tiles']} | {result['wall']:.1f} | {result['alone']:.1f} | "
            f"{result['encoder']:.1f} | {result['processor']:.1f} | "
            f"{result['peak'] / 1e6:.0f} | {result['file'] / 1e6:.0f}",
            flush=True,
        )


def _output_of(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def run(options: argparse.Namespace) -> dict[str, float]:
    """One master."""
    from luxscaler.spinning import spin_briefly

    spin_briefly()  # as the command does
    from luxscaler.masters.upscale import upscale_picture
    from luxscaler.pipeline.request import UpscaleRequest
    from tests.support.fake_backend import FakeBackend

    source = options.folder / "source.tif"
    synthetic(source, options.one // 4)
    target = options.folder / f"out.{options.format}"
    request = UpscaleRequest(source, output_format=options.format, tile=options.tile)
    backend = FakeBackend(
        workers=options.at_once + 1,
        seconds=options.seconds,
        at_once=options.at_once,
        trusted=options.own,
        prepared=options.own,
    )
    backend.seconds = 0.001
    upscale_picture(request, target, backend)
    backend.seconds = options.seconds
    before, start = time.process_time(), time.perf_counter()
    result = upscale_picture(request, target, backend)
    wall, processor = time.perf_counter() - start, time.process_time() - before
    rounds = -(-result.progress.total // options.at_once)
    file, peak = target.stat().st_size, peak_bytes()
    encoder = encoder_seconds(source, options.folder / f"again.{options.format}", options.one, options.format)
    shutil.rmtree(options.folder, ignore_errors=True)
    return {
        "tiles": result.progress.total,
        "wall": wall,
        "processor": processor,
        "alone": rounds * options.seconds,
        "encoder": encoder,
        "peak": peak,
        "file": file,
    }


def encoder_seconds(source: Path, target: Path, side: int, file_format: str) -> float:
    """Of writing the first rows of the result again and again, until there are as many as it has."""
    import numpy as np
    import tifffile

    from luxscaler.color import decode_srgb
    from luxscaler.io.write import open_stream

    rows = 256
    light = decode_srgb(tifffile.imread(source)[: rows // 4].astype(np.float32) / 255)
    strip = np.ascontiguousarray(light.repeat(4, 0).repeat(4, 1), np.float32)
    start = time.perf_counter()
    with open_stream(target, side, side, has_alpha=False, file_format=file_format) as writer:
        for _ in range(side // rows):
            writer.write(strip)
    return time.perf_counter() - start


def peak_bytes() -> int:
    """Peak resident memory of this process; ru_maxrss would begin with its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return 1024 * int(found[1]) if found else 0


def synthetic(path: Path, side: int) -> None:
    """A smooth picture of side × side pixels in 8 bits, written in strips."""
    import numpy as np
    import tifffile

    across = np.linspace(0, 40, side, dtype=np.float32)

    def strips() -> Iterator[Any]:
        for top in range(0, side, 256):
            down = np.arange(top, min(top + 256, side), dtype=np.float32)[:, None] / 97
            waves = (np.sin(across + down), np.sin(1.3 * across - down), np.cos(0.7 * across + 2 * down))
            yield np.stack([(127.5 + 120 * wave) for wave in waves], axis=2).astype(np.uint8)

    tifffile.imwrite(
        path, strips(), shape=(side, side, 3), dtype=np.uint8, rowsperstrip=256, photometric="rgb"
    )


if __name__ == "__main__":
    main()
