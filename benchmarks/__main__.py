"""The command line of ./scripts/benchmark: which tables, on what, and where the JSON goes."""

import argparse
import json
import os
from pathlib import Path

import torch

from benchmarks import network, prediction, server, start, whole_master
from benchmarks.machine import describe

PARTS = {
    "network": network,
    "prediction": prediction,
    "server": server,
    "master": whole_master,
    "start": start,
}
ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Parse the command line, run the parts, print their tables and write them as JSON."""
    parser = argparse.ArgumentParser(prog="./scripts/benchmark", description=__doc__)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", type=int, default=128, help="side of the picture in pixels")
    parser.add_argument("--model", default="photo", choices=["photo", "anime", "fast"])
    parser.add_argument(
        "--master", type=int, default=0, help="side of the master's source; default 4 × --size"
    )
    parser.add_argument(
        "--most-seconds", type=float, default=120.0, help="a peer whose run would take longer is left out"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--picture", default=str(ROOT / "docs" / "sample" / "master.jpg"))
    parser.add_argument("--only", choices=list(PARTS), help="one table; default: all")
    parser.add_argument("--peers", default="", help="only candidates whose name holds one of these, a,b,c")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "benchmark")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    print(describe(options.device, options.threads))
    for name, part in PARTS.items():
        if options.only in (None, name):
            result = part.run(options)
            (options.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
