"""A whole master on this machine: `luxscaler upscale` in several formats beside RealESRGANer with tiles.

Ours is a process each, its start in the time. RealESRGANer (half precision on a card, tiles as large as ours,
8-bit PNG by OpenCV as in its own script) is timed without its start.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.money import print_dollars
from benchmarks.network import crop
from luxscaler.weights.store import load_network
from tests.support.reference_shim import make_importable

CASES = {
    "PNG, 16 bits": ("png", []),
    "EXR, half, boost 4": ("exr", ["--exr-type", "half", "--hdr-boost", "4"]),
    "EXR, float, boost 4": ("exr", ["--hdr-boost", "4"]),
    "TIFF, float, boost 4": ("tiff", ["--hdr-boost", "4"]),
}
TILE = 1024


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    side = options.master or 4 * options.size
    tile = min(TILE, side // 2)
    codes = np.round(crop(options.picture, side) * 255.0).astype(np.uint8)
    seconds: dict[str, float] = {}
    sizes: dict[str, float] = {}
    missing = ""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.png"
        Image.fromarray(codes).save(source)
        command = [str(Path(sys.executable).parent / "luxscaler"), "upscale", str(source)]
        shared = ["--model", options.model, "--device", options.device, "--tile", str(tile)]
        for case, (suffix, more) in CASES.items():
            target = folder / f"out.{suffix}"
            start = time.perf_counter()
            subprocess.run([*command, str(target), *shared, *more], check=True, capture_output=True)  # noqa: S603
            seconds[f"ours, {case}"] = time.perf_counter() - start
            sizes[f"ours, {case}"] = target.stat().st_size / 1e6
            target.unlink()
        try:
            target = folder / "peer.png"
            seconds["RealESRGANer, PNG, 8 bits"] = peer(codes, target, tile, options)
            sizes["RealESRGANer, PNG, 8 bits"] = target.stat().st_size / 1e6
        except Exception as error:  # the table says why the peer is missing
            missing = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    print(f"\n### Master, {options.model}, {side}² → {4 * side}², tiles of {tile}, {options.device}\n")
    print("| | s | MB |\n|---|---|---|")
    for case, value in seconds.items():
        print(f"| {case} | {value:.1f} | {sizes[case]:.0f} |")
    if missing:
        print(f"| RealESRGANer | missing: {missing} | |")
    print_dollars("master", seconds, options.device)
    return {"side": side, "seconds": seconds, "megabytes": sizes, "missing": missing}


def peer(codes: np.ndarray[Any, Any], target: Path, tile: int, options: argparse.Namespace) -> float:
    """Seconds of RealESRGANer with tiles, its PNG included."""
    make_importable()
    import cv2
    from realesrgan import RealESRGANer

    from benchmarks.peers import basicsr_network

    network = load_network(options.model).module
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save({"params_ema": network.state_dict()}, path)
        upsampler = RealESRGANer(
            4,
            str(path),
            model=basicsr_network(network),
            tile=tile,
            tile_pad=10,
            pre_pad=0,
            half=options.device == "cuda",
            device=torch.device(options.device),
        )
    start = time.perf_counter()
    out, _ = upsampler.enhance(np.ascontiguousarray(codes[..., ::-1]), outscale=4)
    cv2.imwrite(str(target), out)
    return time.perf_counter() - start
