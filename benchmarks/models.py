"""Which architectures load, run and tile: the table of docs/models.md, from networks with random weights.

    .venv/bin/python benchmarks/models.py [--only SPAN,DAT] [--write]

Each network of tests/support/architectures.py is loaded as a checkpoint is, run on a picture whose sides suit
nobody, and run in tiles and as a whole. What tiles change is given as the steepest change of the difference
between neighbouring columns or rows, on the average along them, in parts of the picture's own average change:
where there is an edge to be seen, this comes near 1 and more. fp16 and bf16: whether noise gives finite
values on this CPU.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from luxscaler.errors import WeightsError  # noqa: E402
from luxscaler.inference.eager import PlainNetwork  # noqa: E402
from luxscaler.io.read import read_picture  # noqa: E402
from luxscaler.networks.build import AnyNetwork  # noqa: E402
from luxscaler.networks.foreign import ForeignNetwork, gives_finite  # noqa: E402
from luxscaler.upscaling import code_values  # noqa: E402
from luxscaler.upscaling.channels import through  # noqa: E402
from luxscaler.upscaling.tiled import TiledRun  # noqa: E402
from luxscaler.upscaling.upscaler import FOREIGN_OVERLAP  # noqa: E402
from luxscaler.weights.spandrel_loader import foreign_architectures, load_foreign  # noqa: E402
from luxscaler.weights.store import network_of  # noqa: E402
from tests.support.architectures import SAMPLES, Sample  # noqa: E402

DOCUMENT = ROOT / "docs" / "models.md"
BEGIN, END = "<!-- architectures -->", "<!-- end of architectures -->"
HEAD = "| architecture | loads by | scale tried | size it wants | runs | change by tiles | bf16 | fp16 |"
SIDE, TILE = 200, 128
"""Of the picture and its tiles, in source pixels; tiles share what they share in use."""
SEAMLESS = 0.25
CPU = torch.device("cpu")


def main() -> None:
    """Parse the command line, measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="ids of architectures, a,b,c")
    parser.add_argument("--write", action="store_true", help="put the table into docs/models.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    names = foreign_architectures()
    only = {name for name in options.only.split(",") if name}
    rows = [HEAD, "|---|---|---|---|---|---|---|---|"]
    for sample in sorted(SAMPLES, key=lambda each: each.architecture.lower()):
        if not only or sample.architecture in only:
            start = time.perf_counter()
            rows.append(row(sample, names[sample.architecture]))
            print(f"{rows[-1]}  {time.perf_counter() - start:.0f} s", flush=True)
    if options.write:
        text = DOCUMENT.read_text(encoding="utf-8")
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(f"{before}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{after}", encoding="utf-8")


@torch.inference_mode()
def row(sample: Sample, name: str) -> str:
    """A row of the table."""
    try:
        network = network_of(sample.state(), "random")
    except WeightsError as error:
        return f"| {name} | refused: {str(error).rpartition(': ')[2]} | | | | | | |"
    config = network.config
    picture = picture_of(SIDE)
    odd = run(network, picture[:, :, :37, :45])
    fits = tuple(odd.shape[2:]) == (37 * config.scale, 45 * config.scale) and bool(torch.isfinite(odd).all())
    whole = run(network, picture)
    tiled = TiledRun(
        lambda piece: run(network, piece), config.scale, TILE, FOREIGN_OVERLAP, align=config.grid
    )(picture)
    ratio = steepest(tiled - whole) / changes(whole)
    foreign = network if isinstance(network, ForeignNetwork) else load_foreign(sample.state())
    by = "spandrel" if isinstance(network, ForeignNetwork) else "LuxScaler"
    seam = f"{ratio:.2f}, no seam" if ratio <= SEAMLESS else f"{ratio:.2f}: a seam"
    halves = (torch.bfloat16, torch.float16)
    finite = [gives_finite(PlainNetwork(foreign, CPU, half), foreign.config, CPU) for half in halves]
    words = [name, by, f"×{config.scale}", wants(foreign), "yes" if fits else "no", seam]
    return f"| {' | '.join(words + ['finite' if each else 'no' for each in finite])} |"


def wants(network: ForeignNetwork) -> str:
    """What sizes of pictures it takes, in words."""
    config = network.config
    words = [f"{config.minimum} at least"] if config.minimum else []
    words += [f"multiples of {config.multiple_of}"] if config.multiple_of > 1 else []
    words += ["square"] if config.square else []
    return ", ".join(words) or "any"


def picture_of(side: int) -> Tensor:
    """A square of the sample master as the networks see it, 1×3×side×side."""
    rgb = read_picture(ROOT / "docs" / "sample" / "master.jpg").rgb[:side, :side]
    return code_values.encode(torch.from_numpy(rgb.copy())).clamp(0.0, 1.0).permute(2, 0, 1)[None]


def run(network: AnyNetwork, picture: Tensor) -> Tensor:
    """The network on a piece, as the upscaler calls it."""
    plain, config = PlainNetwork(network, CPU, torch.float32), network.config
    return through(plain, config.in_channels, config.out_channels, picture, lambda _share: None).clone()


def steepest(difference: Tensor) -> float:
    """The largest average change between two neighbouring columns, or rows."""
    across = difference.diff(dim=3).abs().mean((0, 1, 2)).max()
    down = difference.diff(dim=2).abs().mean((0, 1, 3)).max()
    return float(torch.maximum(across, down))


def changes(picture: Tensor) -> float:
    """The average change between neighbours."""
    return float((picture.diff(dim=3).abs().mean() + picture.diff(dim=2).abs().mean()) / 2)


if __name__ == "__main__":
    main()
