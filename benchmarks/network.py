"""The network alone: ours beside every peer, on one crop with the real weights, interleaved in one run.

Of each candidate: median and range of the seconds, how many times as fast as RealESRGANer round by round,
the PSNR to the reference implementation in float32 on the same 8-bit input, and the class that this makes it.
TFLOP/s counts the multiplications of a plain convolution, so that Winograd's can exceed the machine's rate.
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.machine import copy_rate, matmul_rate
from benchmarks.peers import Array, Run, basicsr_network, builders
from luxscaler.inference.cpu.support import has_bf16
from luxscaler.inference.cuda.load import SWITCH
from luxscaler.io.read import read_picture
from luxscaler.networks.build import Network
from luxscaler.options import UpscalerOptions
from luxscaler.upscaling import code_values
from luxscaler.upscaling.upscaler import Upscaler
from luxscaler.weights.store import load_network

EXACT_DB, HALF_DB = 100.0, 50.0
BASE = "RealESRGANer"
PROBED_SIDE = 32
"""Side, in pixels, of the crop that predicts how long a candidate takes."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Print the table; return it."""
    coded = crop(options.picture, options.size)
    network = load_network(options.model).own
    candidates, missing = build(network, coded, options)
    reference = float_reference(network, coded)
    times, results = interleaved(candidates, options.rounds)
    rates = machine_rates(options.device)
    work = multiplications(network, options.size)
    rows = [row(name, times, results[name], reference) for name in times]
    print(f"\n### Network {options.model}, {options.size}² → ×4, {options.device}, {options.rounds} rounds\n")
    print_table(rows, missing, rates, work)
    return {"size": options.size, "rows": rows, "missing": missing, "rates": rates, "gflop": work}


def crop(picture: str, size: int) -> Array:
    """The middle of the picture, repeated by mirroring if it is smaller: (size, size, 3) sRGB in [0, 1]."""
    linear = torch.from_numpy(read_picture(picture).rgb).clamp(0.0, 1.0)
    coded = code_values.encode(linear).numpy()
    while min(coded.shape[:2]) < size:
        coded = np.pad(coded, ((0, coded.shape[0]), (0, coded.shape[1]), (0, 0)), mode="symmetric")
    top, left = (coded.shape[0] - size) // 2, (coded.shape[1] - size) // 2
    # 8 bits, which is all that RealESRGANer takes.
    return np.round(coded[top : top + size, left : left + size] * 255.0).astype(np.float32) / 255.0


def ours(precision: str, *, kernels: bool = True) -> Callable[..., Run]:
    """Our upscaler, from linear light to linear light, both codings included in the time.

    kernels: False leaves our own CUDA kernels out, so that PyTorch runs the network.
    """

    def build_ours(network: Network, coded: Array, device: str, _threads: int) -> Run:
        fresh = type(network)(network.config)  # type: ignore[arg-type]
        fresh.load_state_dict(network.state_dict())
        with patch.dict(os.environ, {} if kernels else {SWITCH: "0"}):
            upscaler = Upscaler(fresh, UpscalerOptions(device=device, precision=precision))
        linear = code_values.decode_(torch.from_numpy(coded.copy()))
        return lambda: upscaler.upscale(linear, 4.0).cpu().numpy()

    return build_ours


def build(
    network: Network, coded: Array, options: argparse.Namespace
) -> tuple[dict[str, Run], dict[str, str]]:
    """The candidates that can run, and why the others cannot."""
    precisions = ("fp32", "bf16") if options.device == "cpu" else ("fp32", "fp16")
    every: dict[str, Callable[..., Run]] = {f"ours {precision}": ours(precision) for precision in precisions}
    if options.device == "cuda":
        every["ours fp32 by PyTorch"] = ours("fp32", kernels=False)
    every |= builders(options.model, options.device)
    wanted = [part for part in options.peers.split(",") if part]
    candidates: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for name, builder in every.items():
        if wanted and not any(part in name for part in wanted):
            missing[name] = "left out by --peers"
            continue
        if reason := hopeless(name, options.device):
            missing[name] = reason
            continue
        try:
            check_pace(builder, network, coded, options)
            candidates[name] = builder(network, coded, options.device, options.threads)
            candidates[name]()
        except Exception as error:  # the table says why a peer is missing
            candidates.pop(name, None)
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return candidates, missing


def hopeless(name: str, device: str) -> str | None:
    """Why a candidate is not even begun here."""
    if device == "cpu" and name.endswith("bf16") and not has_bf16():
        return "this processor does not compute in bfloat16: a run would take minutes"
    return None


def check_pace(
    builder: Callable[..., Run], network: Network, coded: Array, options: argparse.Namespace
) -> None:
    """TimeoutError for a candidate that would not end within --most-seconds, as a small crop tells."""
    side = min(PROBED_SIDE, options.size)
    probe = builder(network, np.ascontiguousarray(coded[:side, :side]), options.device, options.threads)
    probe()
    start = time.perf_counter()
    probe()
    expected = (time.perf_counter() - start) * (options.size / side) ** 2
    if expected > options.most_seconds:
        raise TimeoutError(
            f"a run would take about {expected:.0f} s; --most-seconds is {options.most_seconds:.0f}"
        )


def float_reference(network: Network, coded: Array) -> Array:
    """The reference implementation of the network, float32 on the CPU, clamped to [0, 1]."""
    with torch.inference_mode():
        out = basicsr_network(network)(torch.from_numpy(coded).permute(2, 0, 1)[None])
    return np.asarray(out[0].permute(1, 2, 0).clamp(0.0, 1.0).numpy())


def interleaved(runs: dict[str, Run], rounds: int) -> tuple[dict[str, list[float]], dict[str, Array]]:
    """Seconds of each round, and the last result, of each candidate in turn; each has run once before."""
    results: dict[str, Array] = {}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, candidate in runs.items():
            start = time.perf_counter()
            results[name] = candidate()  # its result is on the CPU, so that a GPU has finished
            times[name].append(time.perf_counter() - start)
    for name, result in results.items():
        if name.startswith("ours"):
            results[name] = code_values.encode(torch.from_numpy(result)).numpy()
    return times, results


def row(name: str, times: dict[str, list[float]], result: Array, reference: Array) -> dict[str, Any]:
    """One candidate's figures."""
    seconds = np.array(times[name])
    error = float(np.mean((np.clip(result, 0.0, 1.0).astype(np.float64) - reference) ** 2))
    psnr = 999.0 if error == 0.0 else -10.0 * float(np.log10(error))
    kind = "exact" if psnr >= EXACT_DB else "half" if psnr >= HALF_DB else "8-bit"
    found: dict[str, Any] = {"name": name, "seconds": [round(float(value), 4) for value in seconds]}
    found |= {"median": float(np.median(seconds)), "psnr": psnr, "class": kind}
    if BASE in times:
        ratios = np.array(times[BASE]) / seconds
        found["ratio"] = [float(np.median(ratios)), float(ratios.min()), float(ratios.max())]
    return found


def multiplications(network: Network, size: int) -> float:
    """GFLOP of the network's convolutions as they are written down, two per product."""
    total = 0.0

    def count(module: torch.nn.Module, _inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        total += 2.0 * cast(torch.Tensor, module.weight)[0].numel() * output.numel()

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    side = 16
    with torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    last = getattr(network, "conv_last", None)
    if last is not None:  # called as a function, which no hook sees
        total += 2.0 * last.weight.numel() * (4 * side) ** 2
    return total * (size / side) ** 2 / 1e9


def machine_rates(device: str) -> dict[str, float]:
    """Matrix products in TFLOP/s by dtype, copies in GB/s."""
    half = torch.bfloat16 if device == "cpu" else torch.float16
    types = (torch.float32, half) if device == "cuda" or has_bf16() else (torch.float32,)
    rates = {str(dtype).removeprefix("torch."): matmul_rate(device, dtype) for dtype in types}
    return rates | {"copy": copy_rate(device)}


def print_table(
    rows: list[dict[str, Any]], missing: dict[str, str], rates: dict[str, float], work: float
) -> None:
    """A row per candidate, what is missing, and the machine's own rates."""
    print("| | median s (range) | faster than RealESRGANer (range) | PSNR to float32 | class | TFLOP/s |")
    print("|---|---|---|---|---|---|")
    for entry in sorted(rows, key=lambda entry: float(entry["median"])):
        low, high = min(entry["seconds"]), max(entry["seconds"])
        ratio = "{:.2f} × ({:.2f}–{:.2f})".format(*entry["ratio"]) if "ratio" in entry else ""
        psnr = "identical" if entry["psnr"] > 900 else f"{entry['psnr']:.1f} dB"
        rate = work / entry["median"] / 1e3
        print(
            f"| {entry['name']} | {entry['median']:.3f} ({low:.3f}–{high:.3f}) | {ratio} | {psnr} | "
            f"{entry['class']} | {rate:.2f} |"
        )
    for name, reason in missing.items():
        print(f"| {name} | missing: {reason} | | | | |")
    best = {kind: [entry for entry in rows if entry["class"] == kind] for kind in ("exact", "half")}
    for kind, entries in best.items():
        mine = [entry for entry in entries if entry["name"].startswith("ours")]
        others = [entry for entry in entries if not entry["name"].startswith("ours")]
        if mine and others:
            fastest = min(others, key=lambda entry: float(entry["median"]))
            ratios = np.array(fastest["seconds"]) / np.array(mine[0]["seconds"])
            print(
                f"\nClass {kind}: {mine[0]['name']} is {np.median(ratios):.2f} × as fast as "
                f"{fastest['name']} ({ratios.min():.2f}–{ratios.max():.2f})."
            )
    print(f"\nA plain convolution's work: {work:.0f} GFLOP. Matrix products here, TFLOP/s: ", end="")
    print(", ".join(f"{name} {rate:.2f}" for name, rate in rates.items() if name != "copy"), end="")
    print(f"; copies {rates['copy']:.1f} GB/s.")
