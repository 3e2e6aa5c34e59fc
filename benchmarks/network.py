"""Times our upscaler beside RealESRGANer in one run, interleaved, on one crop with the real weights.

    .venv/bin/python benchmarks/network.py [--size 128] [--device cpu|cuda] [--rounds 5] [--picture FILE]

Prints the median seconds, the ratio to RealESRGANer round by round (median and range), the PSNR to a float32
run of the reference network, and the machine's own matrix rate in the same run. Needs what ./scripts/test
installs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from luxscaler import network_coding  # noqa: E402
from luxscaler.image import read_picture  # noqa: E402
from luxscaler.upscaler import Upscaler, UpscalerOptions  # noqa: E402
from luxscaler.weights import load_network  # noqa: E402
from tests.reference_shim import make_importable  # noqa: E402

MATMUL_SIDE = {"cpu": 2048, "cuda": 8192}


def main() -> None:
    """Parse the command line, run, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=128, help="side of the crop in pixels")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--picture", default=str(ROOT / "docs" / "sample" / "master.jpg"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    coded = crop(options.picture, options.size)
    runs = candidates(coded, options.device)
    reference = float_reference(coded)
    times, results = interleaved(runs, options.rounds)
    print_table(options, times, results, reference)


def crop(picture: str, size: int) -> np.ndarray:
    """The middle of the picture, repeated by mirroring if it is smaller: (size, size, 3) sRGB in [0, 1]."""
    linear = torch.from_numpy(read_picture(picture).rgb).clamp(0.0, 1.0)
    coded = network_coding.encode(linear).numpy()
    rows, columns = (max(0, size - side) for side in coded.shape[:2])
    coded = np.pad(coded, ((0, rows), (0, columns), (0, 0)), mode="symmetric")
    top, left = (coded.shape[0] - size) // 2, (coded.shape[1] - size) // 2
    # 8 bits, which is all that RealESRGANer takes.
    return np.round(coded[top : top + size, left : left + size] * 255.0).astype(np.float32) / 255.0


def candidates(coded: np.ndarray, device: str) -> dict[str, Callable[[], np.ndarray]]:
    """What is compared: each maps to sRGB-coded (4·size, 4·size, 3)."""
    linear = network_coding.decode_(torch.from_numpy(coded.copy()))
    precisions = ("fp32", "bf16") if device == "cpu" else ("fp16", "fp32")

    def ours(precision: str) -> Callable[[], np.ndarray]:
        upscaler = Upscaler(load_network("photo").module, UpscalerOptions(device=device, precision=precision))
        return lambda: network_coding.encode(upscaler.upscale(linear, 4.0).cpu()).numpy()

    runs = {"RealESRGANer": real_esrganer(coded, device)}
    runs |= {f"ours {precision}": ours(precision) for precision in precisions}
    return runs


def real_esrganer(coded: np.ndarray, device: str) -> Callable[[], np.ndarray]:
    """RealESRGANer as its own script sets it up: half precision on a GPU, untiled, pre_pad 10."""
    make_importable()
    from basicsr.archs.rrdbnet_arch import RRDBNet
    from realesrgan import RealESRGANer

    state = load_network("photo").module.state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.pth"
        torch.save({"params_ema": state}, path)
        network = RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=64, num_block=23, num_grow_ch=32, scale=4)
        peer = RealESRGANer(
            4,
            str(path),
            model=network,
            tile=0,
            pre_pad=10,
            half=device == "cuda",
            device=torch.device(device),
        )
    bgr = np.round(coded[..., ::-1] * 255.0).astype(np.uint8)

    def run() -> np.ndarray:
        with torch.inference_mode():
            out, _ = peer.enhance(bgr, outscale=4)
        return np.asarray(out[..., ::-1], np.float32) / 255.0

    return run


def float_reference(coded: np.ndarray) -> np.ndarray:
    """The reference implementation of the network, float32 on the CPU, clamped to [0, 1]."""
    make_importable()
    from basicsr.archs.rrdbnet_arch import RRDBNet

    network = RRDBNet(num_in_ch=3, num_out_ch=3, num_feat=64, num_block=23, num_grow_ch=32, scale=4)
    network.load_state_dict(load_network("photo").module.state_dict())
    with torch.inference_mode():
        out = network.eval()(torch.from_numpy(coded).permute(2, 0, 1)[None])
    return out[0].permute(1, 2, 0).clamp(0.0, 1.0).numpy()


def interleaved(
    runs: dict[str, Callable[[], np.ndarray]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, np.ndarray]]:
    """Seconds of each round, and the last result, of each candidate in turn, after one warm-up."""
    results = {name: run() for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            results[name] = run()  # its result is on the CPU, so that a GPU has finished
            times[name].append(time.perf_counter() - start)
    return times, results


def print_table(
    options: argparse.Namespace,
    times: dict[str, list[float]],
    results: dict[str, np.ndarray],
    reference: np.ndarray,
) -> None:
    """A row per candidate, and the machine's own rates."""
    print(f"{options.size}² crop, ×4, {options.device}, {options.rounds} rounds, {options.threads} threads")
    print("| | median s | faster than RealESRGANer (range) | PSNR to fp32 |\n|---|---|---|---|")
    peer = np.array(times["RealESRGANer"])
    for name, seconds in times.items():
        ratios = peer / np.array(seconds)
        error = float(np.mean((results[name] - reference) ** 2))
        psnr = "exact" if error == 0.0 else f"{-10.0 * np.log10(error):.1f} dB"
        spread = f"{np.median(ratios):.2f} × ({ratios.min():.2f}–{ratios.max():.2f})"
        print(f"| {name} | {np.median(seconds):.3f} | {spread} | {psnr} |")
    for dtype in (torch.float32, torch.bfloat16 if options.device == "cpu" else torch.float16):
        print(f"matmul {str(dtype).removeprefix('torch.')}: {matmul_rate(options.device, dtype):.2f} TFLOP/s")


def matmul_rate(device: str, dtype: torch.dtype) -> float:
    """TFLOP/s of a square matrix product, the best of 10."""
    side = MATMUL_SIDE[device]
    a = torch.randn(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * side**3 / best / 1e12


if __name__ == "__main__":
    main()
