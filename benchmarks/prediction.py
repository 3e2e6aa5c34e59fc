"""The whole prediction in this process: seconds of each stage and bytes out, for every format of interest.

`beyond` is the time of all stages as a multiple of the network's.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.network import crop
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.options import UpscalerOptions
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.pipeline.stages import process
from luxscaler.upscaling.model_cache import Models

CASES: dict[str, dict[str, Any]] = {
    "webp": {"output_format": "webp"},
    "exr": {"output_format": "exr"},
    "exr, reference, boost 1.5, fractality 1.2": {
        "output_format": "exr",
        "hdr_boost": 1.5,
        "fractality": 1.2,
        "global_reference": True,
    },
}
STAGES = ("decode", "network", "detail", "reference", "expand", "transfer", "export")


def write_tile(options: argparse.Namespace, folder: Path) -> Path:
    """The crop as an 8-bit PNG."""
    path = folder / "tile.png"
    Image.fromarray(np.round(crop(options.picture, options.size) * 255.0).astype(np.uint8)).save(path)
    return path


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    on_cpu = ("bf16", "fp32") if has_bf16() else ("fp32",)
    precisions = on_cpu if options.device == "cpu" else ("fp16",)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tile = write_tile(options, folder)
        for precision in precisions:
            models = Models(UpscalerOptions(device=options.device, precision=precision))
            for case, inputs in CASES.items():
                rows.append(measure(options, models, tile, f"{precision}, {case}", dict(inputs)))
    print(f"\n### Prediction, {options.model}, {options.size}² → ×4, {options.device}: median seconds\n")
    print(f"| | {' | '.join(STAGES)} | all / network | MB out |\n|---|{'---|' * (len(STAGES) + 2)}")
    for row in rows:
        cells = " | ".join(f"{row['stages'][stage]:.3f}" for stage in STAGES)
        print(f"| {row['name']} | {cells} | {row['beyond']:.2f} | {row['bytes'] / 1e6:.2f} |")
    return {"size": options.size, "rows": rows}


def measure(
    options: argparse.Namespace, models: Models, tile: Path, name: str, inputs: dict[str, Any]
) -> dict[str, Any]:
    """One case's figures; the first prediction warms up."""
    if inputs.pop("global_reference", False):
        inputs["reference"] = tile
    request = UpscaleRequest(tile, model=options.model, **inputs)
    target = tile.parent / f"out.{inputs['output_format']}"
    timings = [process(request, models, target).timings for _ in range(options.rounds + 1)][1:]
    stages = {stage: median(timing.get(stage, 0.0) for timing in timings) for stage in STAGES}
    beyond = median(sum(timing.values()) / timing["network"] for timing in timings)
    return {"name": name, "stages": stages, "beyond": beyond, "bytes": target.stat().st_size}
