"""Times the writers of large float files beside OpenImageIO's, in one process, rounds interleaved.

    .venv/bin/python benchmarks/export.py [--side 4096] [--rounds 3] [--folder /dev/shm]

The picture: smooth blobs with highlights, and grain as a photograph has it, made here from a fixed seed. Both
write float32: EXR with ZIP scan lines, TIFF with zlib and predictor 3, each on all threads. The ratios count:
seconds depend on the machine and on what else it does.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
from numpy.typing import NDArray

from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export

Picture = NDArray[np.float32]


def picture(side: int) -> Picture:
    """(side, side, 3) float32, about 0 to 9."""
    rng = np.random.default_rng(1)
    coarse = rng.random((side // 64 + 1, side // 64 + 1, 3), dtype=np.float32) ** 4 * 9
    blobs = oiio.ImageBufAlgo.resize(
        oiio.ImageBuf(coarse), "lanczos3", roi=oiio.ROI(0, side, 0, side, 0, 1, 0, 3)
    )
    smooth = np.maximum(np.asarray(blobs.get_pixels("float")), 0)
    return np.asarray(smooth + 0.02 * np.sqrt(smooth) * rng.standard_normal(smooth.shape, np.float32))


def by_oiio(path: Path, rgb: Picture) -> None:
    """OpenImageIO's writer with the same codec and predictor, tuned like ours: zlib level 1 for TIFF."""
    spec = oiio.ImageSpec(rgb.shape[1], rgb.shape[0], 3, "float")
    spec.attribute("compression", "zip")
    if path.suffix == ".tif":
        spec.attribute("tiff:zipquality", 1)
        spec.attribute("tiff:predictor", 3)
    file = oiio.ImageOutput.create(str(path))
    if not (file and file.open(str(path), spec) and file.write_image(rgb) and file.close()):
        raise RuntimeError(oiio.geterror())


def main() -> None:
    """Print one line a writer."""
    oiio.attribute("threads", os.cpu_count() or 1)
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))  # noqa: S108 - a default to write timings to
    arguments = parser.parse_args()
    rgb = picture(arguments.side)
    rounded = ExportOptions(mantissa_bits=12, exr_compression="auto")
    rounded_zip = ExportOptions(mantissa_bits=12, exr_compression="zip")
    writers: dict[str, tuple[str, Callable[[Path, Picture], None]]] = {
        "EXR ZIP, OpenImageIO": ("exr", by_oiio),
        "EXR ZIP, ours": ("exr", export),
        "EXR ZIP, ours, 12 bits": ("exr", lambda path, rgb: export(path, rgb, options=rounded_zip)),
        "EXR PIZ, ours, 12 bits": ("exr", lambda path, rgb: export(path, rgb, options=rounded)),
        "TIFF zlib, OpenImageIO": ("tif", by_oiio),
        "TIFF zlib, ours": ("tif", export),
        "TIFF zlib, ours, 12 bits": ("tif", lambda path, rgb: export(path, rgb, options=rounded)),
        "PNG 16-bit": ("png", export),
        "PNG 16-bit PQ": ("png", lambda path, rgb: export(path, rgb, file_format="png-pq")),
        "WebP": ("webp", export),
        "AVIF": ("avif", export),
        "JPEG XL": ("jxl", export),
    }
    seconds: dict[str, list[float]] = {name: [] for name in writers}
    sizes = {}
    for _ in range(arguments.rounds):
        for name, (suffix, write) in writers.items():
            path = arguments.folder / f"luxscaler-export-benchmark.{suffix}"
            start = time.perf_counter()
            write(path, rgb)
            seconds[name].append(time.perf_counter() - start)
            sizes[name] = path.stat().st_size
            path.unlink()
    print(f"{arguments.side}² × 3 float32, {rgb.nbytes / 2**20:.0f} MiB, {os.cpu_count()} processors")
    for name, (suffix, _) in writers.items():
        median = statistics.median(seconds[name])
        rival = next(
            (other for other in writers if "OpenImageIO" in other and writers[other][0] == suffix), None
        )
        ratio = f"{statistics.median(seconds[rival]) / median:5.2f} × as fast as OpenImageIO" if rival else ""
        print(f"{name:26}{median:7.2f} s {sizes[name] / 2**20:8.1f} MiB  {ratio}")


if __name__ == "__main__":
    main()
