"""Times `open_stream` beside `export` and OpenImageIO's own writer, each in a process of its own.

    .venv/bin/python benchmarks/stream.py [--side 8192] [--rounds 2] [--folder /tmp]

The picture has highlights and grain; it lies in a file that every process maps, so that the peak of anonymous
memory (RssAnon, Linux) is what the writer itself holds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - the name its own documentation uses
from numpy.typing import NDArray

from luxscaler.io.options import ExportOptions
from luxscaler.io.write import export, open_stream

Picture = NDArray[np.float32]
BAND = 512
"""Rows that the caller hands over at once."""
SUFFIX = {"exr": ".exr", "tiff": ".tif", "png": ".png", "png-pq": ".png"}
CASES = {
    "EXR ZIP": ("exr", ExportOptions()),
    "EXR ZIP, tiles of 256": ("exr", ExportOptions(exr_tile=256)),
    "EXR PIZ, 12 bits": ("exr", ExportOptions(mantissa_bits=12, exr_compression="auto")),
    "EXR half PIZ": ("exr", ExportOptions(exr_type="half", exr_compression="piz")),
    "TIFF": ("tiff", ExportOptions()),
    "TIFF, 12 bits": ("tiff", ExportOptions(mantissa_bits=12)),
    "PNG": ("png", ExportOptions(sdr_peak=9.0)),
    "PNG PQ": ("png-pq", ExportOptions()),
}


def make_picture(path: Path, side: int) -> None:
    """(side, side, 3) float32, 0 to 9, written band by band."""
    rng = np.random.default_rng(1)
    coarse = rng.random((side // 64 + 1, side // 64 + 1, 3), dtype=np.float32) ** 4 * 9
    blobs = oiio.ImageBufAlgo.resize(
        oiio.ImageBuf(coarse), "cubic", roi=oiio.ROI(0, side, 0, side, 0, 1, 0, 3)
    )
    picture = np.lib.format.open_memmap(path, "w+", np.float32, (side, side, 3))
    for top in range(0, side, BAND):
        roi = oiio.ROI(0, side, top, min(top + BAND, side))
        smooth = np.maximum(np.asarray(blobs.get_pixels("float", roi)), 0)
        picture[top : top + BAND] = smooth + 0.02 * np.sqrt(smooth) * rng.standard_normal(
            smooth.shape, np.float32
        )


def by_export(path: Path, rgb: Picture, name: str, options: ExportOptions) -> None:
    """`export`, the whole picture at once."""
    export(path, rgb, file_format=name, options=options)


def by_stream(path: Path, rgb: Picture, name: str, options: ExportOptions) -> None:
    """`open_stream`, BAND rows at a time."""
    with open_stream(path, rgb.shape[1], rgb.shape[0], file_format=name, options=options) as writer:
        for top in range(0, len(rgb), BAND):
            writer.write(rgb[top : top + BAND])


def by_oiio(path: Path, rgb: Picture, name: str, options: ExportOptions) -> None:
    """OpenImageIO itself, in the same bands, tuned like ours: tiles of 256 and zlib level 1 for TIFF."""
    spec = oiio.ImageSpec(rgb.shape[1], rgb.shape[0], 3, "uint16" if name == "png" else options.exr_type)
    spec.attribute("compression", "zip" if name == "tiff" else options.exr_compression)
    spec.attribute("tiff:zipquality", 1)
    spec.attribute("tiff:predictor", 3)
    spec.attribute("png:compressionLevel", 1)
    tile = 256 if name == "tiff" else options.exr_tile
    spec.tile_width = spec.tile_height = tile
    file = oiio.ImageOutput.create(str(path))
    if not (file and file.open(str(path), spec)):
        raise RuntimeError(oiio.geterror())
    for top in range(0, len(rgb), BAND):
        band, bottom = rgb[top : top + BAND], min(top + BAND, len(rgb))
        if tile:
            written = file.write_tiles(0, rgb.shape[1], top, bottom, 0, 1, band)
        else:
            written = file.write_scanlines(top, bottom, 0, band)
        if not written:
            raise RuntimeError(file.geterror())
    if not file.close():
        raise RuntimeError(file.geterror())


WRITERS: dict[str, Callable[[Path, Picture, str, ExportOptions], None]] = {
    "export": by_export,
    "open_stream": by_stream,
    "OpenImageIO": by_oiio,
}


def peak_of_anonymous_memory(stop: threading.Event, found: list[int]) -> None:
    """MiB that belong to the process alone: what is mapped from files does not count."""
    while not stop.wait(0.02):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        found.append(int(status.split("RssAnon:")[1].split()[0]) // 1024)


def one(picture: Path, folder: Path, writer: str, case: str) -> None:
    """Write once; print seconds, MiB of the file, MiB of memory at the peak and before."""
    rgb = np.load(picture, mmap_mode="r")
    name, options = CASES[case]
    path = folder / f"luxscaler-stream-benchmark{SUFFIX[name]}"
    stop, found = threading.Event(), [0]
    watch = threading.Thread(target=peak_of_anonymous_memory, args=(stop, found))
    watch.start()
    time.sleep(0.1)
    before, start = found[-1], time.perf_counter()
    WRITERS[writer](path, rgb, name, options)
    seconds = time.perf_counter() - start
    stop.set()
    watch.join()
    print(seconds, path.stat().st_size / 2**20, max(found), before)
    path.unlink()


def main() -> None:
    """Print one line a case and writer."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))  # noqa: S108 - a default to write timings to
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    picture = arguments.folder / f"luxscaler-stream-benchmark-{arguments.side}.npy"
    if arguments.one:
        one(picture, arguments.folder, *arguments.one)
        return
    if not picture.exists():
        make_picture(picture, arguments.side)
    megabytes = arguments.side**2 * 12 / 1e6
    print(f"{arguments.side}² × 3 float32, {megabytes:.0f} MB, {os.cpu_count()} processors")
    results: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(arguments.rounds):
        for case, (name, options) in CASES.items():
            for writer in WRITERS:
                rounded = options.mantissa_bits < 23 or name.startswith("png")
                if arguments.only not in case or (writer == "OpenImageIO" and rounded):
                    continue  # it rounds no mantissas and maps no tones
                command = [sys.executable, __file__, "--side", str(arguments.side)]
                command += ["--folder", str(arguments.folder), "--one", writer, case]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ourselves
                results.setdefault((case, writer), []).append([float(x) for x in done.stdout.split()])
    for (case, writer), rows in results.items():
        seconds, size, peak, before = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"{case:22} {writer:12} {seconds:6.1f} s {megabytes / seconds:5.0f} MB/s {size:7.1f} MiB  "
            f"{peak - before:6.0f} MiB of memory"
        )
    picture.unlink()


if __name__ == "__main__":
    main()
