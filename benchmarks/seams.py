"""How seams show: tiles as they are and disturbed one by one, with the reference and without.

    .venv/bin/python benchmarks/seams.py [--picture FILE] [--model fast] [--tile 128]

Each tile gets an exposure of ±5 %, a colour cast of ±3 % a channel, or JPEG compression of quality 60 to 95,
before it is upscaled. Printed are the steps between tiles and what the picture itself changes beside them
(seams.py), in 8-bit sRGB codes, and the PSNR near the seams (12 source pixels to each side) to one
undisturbed tile of the whole.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from luxscaler.backends.base import MasterContext, Tile  # noqa: E402
from luxscaler.backends.local import LocalBackend, LocalSession  # noqa: E402
from luxscaler.io.read import read_picture  # noqa: E402
from luxscaler.masters.options import RunOptions  # noqa: E402
from luxscaler.masters.upscale import upscale_picture  # noqa: E402
from luxscaler.options import UpscalerOptions  # noqa: E402
from luxscaler.pipeline.request import UpscaleRequest  # noqa: E402
from luxscaler.tiling.plan import plan  # noqa: E402
from luxscaler.upscaling import code_values  # noqa: E402
from luxscaler.upscaling.model_cache import Models  # noqa: E402

NEAR = 12
"""Source pixels to each side of a seam."""

Disturbance = Callable[[Tile], Tile]


class DisturbedBackend(LocalBackend):
    """The local backend with damaged tiles."""

    def __init__(self, models: Models, disturb: Disturbance, *, reference: bool) -> None:
        super().__init__(models)
        self._disturb = disturb
        self._with_reference = reference

    @contextmanager
    def open(self, context: MasterContext) -> Iterator[LocalSession]:
        """Damages tiles before they are upscaled; withholds the reference if so asked."""
        with super().open(context if self._with_reference else replace(context, reference=None)) as session:
            upscale = session.run
            session.run = lambda tile: upscale(self._disturb(tile))  # type: ignore[method-assign]
            yield session


def disturbed(tile: Tile) -> Tile:
    """The tile with exposure, colour or JPEG damage seeded by its index."""
    rng = np.random.default_rng(tile.index)
    gains = rng.uniform(0.95, 1.05) * rng.uniform(0.97, 1.03, 3)
    rgb = tile.picture.rgb * gains.astype(np.float32)
    if tile.index % 2:
        coded = code_values.encode(torch.from_numpy(rgb)).clamp(0, 1).numpy()
        file = io.BytesIO()
        Image.fromarray(np.rint(coded * 255).astype(np.uint8)).save(
            file, "JPEG", quality=int(rng.integers(60, 96))
        )
        rgb = read_picture(file.getvalue()).rgb
    return replace(tile, picture=replace(tile.picture, rgb=rgb))


def main() -> None:
    """Parse the command line, run, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "sample" / "master.jpg")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--tile", type=int, default=128)
    parser.add_argument("--overlap", type=int)
    options = parser.parse_args()
    models = Models(UpscalerOptions())
    with tempfile.TemporaryDirectory() as folder:
        run = Runs(options, models, Path(folder))
        whole = run.make("whole", LocalBackend(models), tile=8192)
        print("tiles | reference | step | own | ratio | PSNR near seams")
        for name, disturb in (("as they are", lambda tile: tile), ("disturbed", disturbed)):
            for reference in (True, False):
                run.report(name, DisturbedBackend(models, disturb, reference=reference), reference, whole)


class Runs:
    """Masters of one picture."""

    def __init__(self, options: argparse.Namespace, models: Models, folder: Path) -> None:
        self._options = options
        self._models = models
        self._folder = folder

    def make(self, name: str, backend: LocalBackend, tile: int) -> torch.Tensor:
        """A master in code values; the seam figure is in `self.seams`."""
        request = UpscaleRequest(
            self._options.picture,
            output_format="exr",
            tile=tile,
            overlap=self._options.overlap,
            model=self._options.model,
        )
        target = self._folder / f"{name}.exr"
        page = RunOptions(report=self._folder / "page.html")
        self.seams = upscale_picture(request, target, backend, page).seams
        return code_values.encode(torch.from_numpy(read_picture(target).rgb))

    def report(self, name: str, backend: LocalBackend, reference: bool, whole: torch.Tensor) -> None:
        """A row of the table."""
        errors = (self.make("tiles", backend, self._options.tile) - whole).square()
        near = torch.zeros(errors.shape[:2], dtype=torch.bool)
        source = read_picture(self._options.picture)
        cuts = plan(
            source.width, source.height, scale=4.0, tile=self._options.tile, overlap=self._options.overlap
        )
        for spans, rows in ((cuts.rows, near), (cuts.columns, near.T)):
            for a, b in pairwise(spans):
                middle = (a.stop + b.start) // 2
                rows[middle - 4 * NEAR : middle + 4 * NEAR] = True
        psnr = -10 * float(torch.log10(errors[near].mean()))
        if self.seams is None:
            sys.exit("the picture is a single tile")
        step, own = 255 * self.seams.step, 255 * self.seams.own
        with_it = "yes" if reference else "no"
        print(f"{name} | {with_it} | {step:.2f} | {own:.2f} | {step / own:.3f} | {psnr:.1f}", flush=True)


if __name__ == "__main__":
    main()
