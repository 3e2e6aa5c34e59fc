"""Settings of the lossy encoders: processor seconds against bytes at equal similarity, each on one thread.

    .venv/bin/python benchmarks/encoders.py [--picture docs/sample/master.jpg] [--side 1536] [--rounds 2]

The picture is enlarged four times by `fast`, as results are, and its middle is coded: WebP by every method,
AVIF by its faster speeds, PNG by the ways of libpng that come into question. Of each lossy setting several
qualities are coded; bytes and seconds are read off at the SSIM that today's setting has at quality 90. They
are processor seconds, which hardly depend on what else the machine does.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from luxscaler.api import read
from luxscaler.io.frame import Frame
from luxscaler.io.options import ExportOptions
from luxscaler.io.pq import encode_pq
from luxscaler.io.sdr import encode_sdr
from luxscaler.model import load_model
from luxscaler.picture import FloatArray
from luxscaler.training.similarity import ssim

ROOT = Path(__file__).resolve().parent.parent
QUALITY = 90
"""Of the reference setting, and what users get unless they ask otherwise."""
QUALITIES = (74, 82, *range(86, 97), 98)
WEBP_TODAY, AVIF_TODAY = 4, 9
Codes = NDArray[np.uint8 | np.uint16]
Coded = tuple[float, int, float]
"""Seconds, bytes, SSIM."""


def result(path: Path, side: int) -> FloatArray:
    """(side, side, 3) linear light: the middle of a picture that `fast` has enlarged."""
    rgb = load_model("fast", device="cpu").upscale(read(path)).rgb
    side = min(side, *rgb.shape[:2])
    top, left = (rgb.shape[0] - side) // 2, (rgb.shape[1] - side) // 2
    return np.ascontiguousarray(rgb[top : top + side, left : left + side])


def webp(codes: Codes, method: int, quality: int) -> tuple[bytes, Codes]:
    """As luxscaler/io/webp.py writes, by a method of libwebp from 0 (fastest) to 6."""
    buffer = io.BytesIO()
    Image.fromarray(codes).save(buffer, "WEBP", quality=quality, method=method)
    return buffer.getvalue(), np.asarray(Image.open(buffer).convert("RGB"))


def avif(codes: Codes, speed: int, quality: int) -> tuple[bytes, Codes]:
    """As luxscaler/io/avif/write.py writes, on one thread."""
    data = imagecodecs.avif_encode(
        codes, level=quality, speed=speed, bitspersample=10, primaries=9, transfer=16, matrix=9, numthreads=1
    )
    return bytes(data), np.asarray(imagecodecs.avif_decode(data))


def measure(code: Callable[[], tuple[bytes, Codes]], codes: Codes, rounds: int) -> Coded:
    """The least of the rounds' seconds; decoding is in them, a tenth of encoding and the same for all."""
    top = float(255 if codes.dtype == np.uint8 else 1023)
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        data, back = code()
        seconds.append(time.process_time() - start)
    return min(seconds), len(data), ssim(tensor(back, top), tensor(codes, top))


def tensor(codes: Codes, top: float) -> torch.Tensor:
    """(1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(codes.astype(np.float32) / top).permute(2, 0, 1)[None]


def at(similarity: float, found: list[Coded]) -> tuple[float, float]:
    """Seconds and bytes at a similarity, between the qualities on both sides of it."""
    found = sorted(found, key=lambda one: one[2])
    similarities = [one[2] for one in found]
    seconds = np.interp(similarity, similarities, [one[0] for one in found])
    if not similarities[0] <= similarity <= similarities[-1]:
        return float(seconds), float("nan")  # outside of QUALITIES
    size = np.exp(np.interp(similarity, similarities, np.log([one[1] for one in found])))
    return float(seconds), float(size)


def lossy(
    name: str,
    encode: Callable[[Codes, int, int], tuple[bytes, Codes]],
    codes: Codes,
    settings: tuple[int, ...],
    today: int,
    rounds: int,
) -> None:
    """Print a line for each setting."""
    target = measure(lambda: encode(codes, today, QUALITY), codes, 1)[2]
    table = {
        setting: at(
            target,
            [measure(lambda: encode(codes, setting, q), codes, rounds) for q in QUALITIES],  # noqa: B023
        )
        for setting in settings
    }
    seconds, size = table[today]
    for setting, (took, length) in table.items():
        mark = " (today)" if setting == today else ""
        print(
            f"| {name} {setting}{mark} | {took:.2f} | {took / seconds:.2f} | {length / 1e3:.0f} | "
            f"{length / size:.3f} | {target:.4f} |",
            flush=True,
        )


def png(codes: Codes, rounds: int) -> None:
    """Print a line for each way of libpng: level, strategy, filter."""
    ways = {
        "level 1, run lengths, Sub (today)": (1, 3, 16),
        "level 1, default, Sub": (1, 0, 16),
        "level 1, run lengths, Up": (1, 3, 32),
        "level 1, run lengths, Paeth": (1, 3, 128),
        "level 1, Huffman alone, Sub": (1, 2, 16),
        "level 6, filtered, all filters": (6, 1, 248),
    }
    found = {}
    for name, (level, strategy, filter_) in ways.items():
        seconds = []
        for _ in range(rounds):
            start = time.process_time()
            size = len(imagecodecs.png_encode(codes, level=level, strategy=strategy, filter=filter_))
            seconds.append(time.process_time() - start)
        found[name] = min(seconds), size
    first = next(iter(found.values()))
    for name, (took, size) in found.items():
        print(
            f"| PNG {name} | {took:.2f} | {took / first[0]:.2f} | {size / 1e3:.0f} | "
            f"{size / first[1]:.3f} | 1 |",
            flush=True,
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "sample" / "master.jpg")
    parser.add_argument("--side", type=int, default=1536)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", default="", choices=["", "webp", "avif", "png"])
    options = parser.parse_args()
    rgb = result(options.picture, options.side)
    torch.set_num_threads(1)
    frame = Frame(rgb, None, 1.0, ExportOptions(), {})
    print(f"{rgb.shape[1]} × {rgb.shape[0]}, one thread\n")
    print("| | s | × today | kB | × today | SSIM |\n|---|---|---|---|---|---|")
    if options.only in ("", "webp"):
        codes = encode_sdr(frame, np.dtype(np.uint8))
        lossy("WebP method", webp, codes, (0, 1, 2, 3, 4, 5, 6), WEBP_TODAY, options.rounds)
    if options.only in ("", "avif"):
        lossy("AVIF speed", avif, encode_pq(frame, 10)[0], (6, 8, 9, 10), AVIF_TODAY, options.rounds)
    if options.only in ("", "png"):
        png(encode_sdr(frame, np.dtype(np.uint16)), options.rounds)


if __name__ == "__main__":
    main()
