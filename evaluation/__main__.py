"""The command: a folder of HDR pictures → tables on stdout, results.json, a contact sheet per rendering."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from evaluation.baselines import BASELINES, Expansion
from evaluation.contact_sheet import Row, sheet
from evaluation.metrics import ColorVideoVdp, Jod, pu21_psnr
from evaluation.renderings import CAP_CD_M2, RENDERINGS
from evaluation.report import OURS, UNTOUCHED, Results, replace_results
from luxscaler.errors import InputError, LuxScalerError
from luxscaler.hdr.expand import ToneStatistics, expand
from luxscaler.io.read import read_picture
from luxscaler.options import check_boost
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

SUFFIXES = (".exr", ".hdr", ".tif", ".tiff", ".avif", ".png", ".jxl")
"""Formats that can hold HDR. Results of an earlier run lie in a folder of their own and are not read."""
DOCUMENTED = ("hdr-hard-clip", "hdr-filmic")
"""The sheets that go into the documents."""
DEFAULT_BOOST = 4.93
"""203 cd/m² times this is 1000 cd/m², the cap of the reference."""


def ours(sdr: FloatArray, peak: float) -> FloatArray:
    """hdr_boost as the pipeline applies it, with the picture's own statistics."""
    tensor = torch.from_numpy(sdr)
    return expand(tensor, peak, ToneStatistics.of(tensor)).numpy()


METHODS: dict[str, Expansion] = {**BASELINES, OURS: ours}


def pictures_of(folder: Path) -> list[Path]:
    """The pictures directly in `folder`, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def evaluate(paths: Sequence[Path], boost: float, jod: Jod | None) -> Results:
    """Score every method on every rendering of every picture."""
    results = Results()
    for path in paths:
        hdr = np.maximum(read_picture(path).rgb, 0)
        for rendering, render in RENDERINGS.items():
            made = render(hdr)
            for method, expansion in METHODS.items():
                result = expansion(made.sdr, boost)
                scores = {"pu21_psnr": pu21_psnr(result, made.reference)}
                if jod is not None:
                    scores["jod"] = jod(result, made.reference)
                results.add(path.name, rendering, method, scores)
        print(path.name, file=sys.stderr)
    return results


def contact_sheets(
    paths: Sequence[Path], boost: float, results: Results
) -> Iterator[tuple[str, Image.Image]]:
    """Draw one sheet a rendering; yields its file name, e.g. "hdr-hard-clip", and the sheet."""
    for rendering, render in RENDERINGS.items():
        best = results.best_baseline(rendering)
        rows = []
        for path in paths:
            made = render(np.maximum(read_picture(path).rgb, 0))
            cells = (made.reference, made.sdr, ours(made.sdr, boost), BASELINES[best](made.sdr, boost))
            scores = results.scores[path.name][rendering]
            label = ", ".join(f"{m} {scores[m]['pu21_psnr']:.1f} dB" for m in (UNTOUCHED, OURS, best))
            rows.append(Row(f"{path.name}: {label}", cells))
        title = f"SDR made by: {rendering}"
        yield "hdr-" + _file_name(rendering), sheet(title, ("reference", "SDR", OURS, best), rows)


def run(options: argparse.Namespace) -> str:
    """Evaluate, write everything that is asked for, and return the tables. Raises LuxScalerError, OSError."""
    check_boost(options.boost)
    paths = pictures_of(options.folder)
    if not paths:
        raise InputError(f"{options.folder} holds no picture ({', '.join(SUFFIXES)})")
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    with ColorVideoVdp(out / "cvvdp-cache.json") as metric:
        results = evaluate(paths, options.boost, None if options.no_cvvdp else metric)
    report = {
        "boost": options.boost,
        "reference_white_cd_m2": REFERENCE_WHITE_CD_M2,
        "cap_cd_m2": CAP_CD_M2,
        "mean": results.means(),
        "pictures": results.scores,
    }
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    tables = f"{len(paths)} pictures, boost {options.boost:g}.\n\n{results.tables()}"
    if options.document:
        replace_results(options.document, tables)
    for name, picture in contact_sheets(paths, options.boost, results):
        picture.save(out / f"{name}.png")
        if options.document and name in DOCUMENTED:
            picture.save(options.document.parent / f"{name}.webp", quality=80)
    return tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    try:
        print(run(_parser().parse_args(arguments)))
    except (LuxScalerError, OSError) as error:
        print(f"evaluate-hdr: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evaluate-hdr", description=__doc__)
    parser.add_argument("folder", type=Path, help="HDR pictures: EXR, .hdr, or another format")
    parser.add_argument("--out", type=Path, default=Path("out/evaluate-hdr"), help="default: %(default)s")
    parser.add_argument("--boost", type=float, default=DEFAULT_BOOST, help="hdr_boost; default: %(default)s")
    parser.add_argument("--no-cvvdp", action="store_true", help="PU21-PSNR only: seconds instead of minutes")
    parser.add_argument(
        "--document", type=Path, help="a Markdown file whose results to replace; two sheets go beside it"
    )
    return parser


def _file_name(rendering: str) -> str:
    """ "camera −1" → "camera-1"."""
    return rendering.lower().replace(" −", "-").replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
