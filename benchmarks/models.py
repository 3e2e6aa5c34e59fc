"""Which architectures load, run and tile: the table of docs/models.md, from networks with random weights.

    .venv/bin/python benchmarks/models.py [--only SPAN,DAT] [--rest] [--write]   # spandrel's ids

Each network of tests/support/architectures.py is loaded as a checkpoint is, and run on a picture whose sides
are no multiples of anything, in tiles and as a whole. The effect of tiles is the steepest change, between
neighbouring columns, of the difference between the two results, averaged along the columns and divided by the
picture's own average change. A visible edge gives about 1 or more. fp16 and bf16: whether noise gives finite
values on this CPU.
"""

import argparse
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from luxscaler.errors import WeightsError  # noqa: E402
from luxscaler.inference.eager import PlainNetwork  # noqa: E402
from luxscaler.io.read import read_picture  # noqa: E402
from luxscaler.networks.build import AnyNetwork  # noqa: E402
from luxscaler.networks.foreign import ForeignNetwork, gives_finite  # noqa: E402
from luxscaler.options import UpscalerOptions  # noqa: E402
from luxscaler.picture import Picture  # noqa: E402
from luxscaler.pipeline.request import UpscaleRequest  # noqa: E402
from luxscaler.pipeline.stages import read_sources, render_sources  # noqa: E402
from luxscaler.upscaling import code_values  # noqa: E402
from luxscaler.upscaling.channels import through  # noqa: E402
from luxscaler.upscaling.tiled import TiledRun  # noqa: E402
from luxscaler.upscaling.upscaler import Upscaler, foreign_overlap  # noqa: E402
from luxscaler.weights.spandrel_loader import foreign_architectures, load_foreign  # noqa: E402
from luxscaler.weights.store import network_of  # noqa: E402
from tests.support.architectures import SAMPLES, Sample  # noqa: E402

DOCUMENT = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- architectures -->", "<!-- end of architectures -->"
HEAD = (
    "| architecture | loads by | scale tried | size it wants | runs | change by tiles | by a master's tiles "
    "| bf16 | fp16 |"
)
HEIGHT, TILE = 64, 128
"""Of the picture, which is a quarter wider than a tile, and of its tiles at least, in source pixels; tiles
share what they share in use."""
MASTER_WIDTH = 204
"""Of a picture that is cut into two tiles of a master; the second begins at pixel 88."""
SEAMLESS = 0.25
CPU = torch.device("cpu")


def main() -> None:
    """Parse the command line, measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="ids of architectures, a,b,c")
    parser.add_argument("--rest", action="store_true", help="only what docs/models.md lacks figures of")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/models.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = foreign_architectures()
    only = {name for name in options.only.split(",") if name}
    before = rows_of(DOCUMENT.read_text(encoding="utf-8")) if options.rest else {}
    done = {name for name, line in before.items() if "not measured" not in line}
    for sample in SAMPLES:
        if (not only or sample.architecture in only) and names[sample.architecture] not in done:
            start = time.perf_counter()
            found = row(sample, names[sample.architecture])
            print(f"{found}  {time.perf_counter() - start:.0f} s", flush=True)
            if options.write:
                write(names[sample.architecture], found)


def write(name: str, found: str) -> None:
    """Put an architecture's row into the document, in place of the one that is there."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    rows = rows_of(text) | {name: found}
    lines = [BEGIN, HEAD, "|---|---|---|---|---|---|---|---|---|"]
    lines += [rows[key] for key in sorted(rows, key=str.lower)]
    DOCUMENT.write_text(before + "\n".join(lines) + "\n" + END + after, encoding="utf-8")


def rows_of(text: str) -> dict[str, str]:
    """The rows of the table in a document, by architecture."""
    table = text.split(BEGIN)[1].split(END, maxsplit=1)[0]
    return {line.split("|")[1].strip(): line for line in table.splitlines()[3:]}


@torch.inference_mode()
def row(sample: Sample, name: str) -> str:
    """A row of the table."""
    try:
        network = network_of(sample.state(), "random")
    except WeightsError as error:
        return f"| {name} | refused: {str(error).rpartition(': ')[2]} | | | | | | | |"
    config = network.config
    foreign = network if isinstance(network, ForeignNetwork) else load_foreign(sample.state())
    overlap = foreign_overlap(foreign.config)
    tile = max(TILE, 2 * config.grid + overlap)
    picture = picture_of(HEIGHT, tile * 5 // 4)
    odd = run(network, picture[:, :, :37, :45])
    fits = tuple(odd.shape[2:]) == (37 * config.scale, 45 * config.scale) and bool(torch.isfinite(odd).all())
    whole = run(network, picture)
    tiled = TiledRun(lambda piece: run(network, piece), config.scale, tile, overlap, align=config.grid)
    ratio = steepest(tiled(picture) - whole) / changes(whole)
    by = "spandrel" if isinstance(network, ForeignNetwork) else "LuxScaler"
    halves = (torch.bfloat16, torch.float16)
    finite = [gives_finite(PlainNetwork(foreign, CPU, half), foreign.config, CPU) for half in halves]
    words = [name, by, f"×{config.scale}", wants(foreign), "yes" if fits else "no"]
    words += [said(ratio), said(steepest_of_a_master(network))]
    return f"| {' | '.join(words + ['finite' if each else 'no' for each in finite])} |"


def said(ratio: float) -> str:
    """A change, and whether it would be seen."""
    return f"{ratio:.2f}, no seam" if ratio <= SEAMLESS else f"{ratio:.2f}: a seam"


def steepest_of_a_master(network: AnyNetwork) -> float:
    """The same of a master of two tiles, less the picture as one tile: the whole way of a picture."""
    rgb = read_picture(ROOT / "docs" / "sample" / "master.jpg").rgb[:HEIGHT, :MASTER_WIDTH]
    upscaler = Upscaler(network, UpscalerOptions(device="cpu"))

    def codes(tile: int) -> Tensor:
        picture = Picture(np.ascontiguousarray(rgb))
        picture = replace(picture, source=replace(picture.source, is_float=False, bits=8))  # as photographs
        request = UpscaleRequest(picture, output_format="tiff", scale=network.config.scale, tile=tile)
        light = render_sources(read_sources(request), upscaler).light.rgb
        return code_values.encode(torch.from_numpy(light)).clamp(0.0, 1.0).permute(2, 0, 1)[None]

    whole = codes(MASTER_WIDTH)
    return steepest(codes(TILE) - whole) / changes(whole)


def wants(network: ForeignNetwork) -> str:
    """What sizes of pictures it takes, in words."""
    config = network.config
    words = [f"{config.minimum} at least"] if config.minimum else []
    words += [f"multiples of {config.multiple_of}"] if config.multiple_of > 1 else []
    words += ["square"] if config.square else []
    return ", ".join(words) or "any"


def picture_of(height: int, width: int) -> Tensor:
    """A piece of the sample master as the networks see it, 1×3×height×width."""
    rgb = read_picture(ROOT / "docs" / "sample" / "master.jpg").rgb[:height, :width]
    return code_values.encode(torch.from_numpy(rgb.copy())).clamp(0.0, 1.0).permute(2, 0, 1)[None]


def run(network: AnyNetwork, picture: Tensor) -> Tensor:
    """The network on a piece, as the upscaler calls it."""
    plain, config = PlainNetwork(network, CPU, torch.float32), network.config
    return through(plain, config.in_channels, config.out_channels, picture, lambda _share: None).clone()


def steepest(difference: Tensor) -> float:
    """The largest average change between two neighbouring columns: tiles lie side by side."""
    return float(difference.diff(dim=3).abs().mean((0, 1, 2)).max())


def changes(picture: Tensor) -> float:
    """The average change between neighbouring columns."""
    return float(picture.diff(dim=3).abs().mean())


if __name__ == "__main__":
    main()
