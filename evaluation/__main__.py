"""The command: HDR pictures and pairs → tables on stdout, results.json and contact sheets.

    ./scripts/evaluate-hdr [GROUP=]PATH... [--leave-one-out [--train-with [GROUP=]PATH...]]

A PATH is a picture or a folder. `NAME.sdr.*` beside `NAME.hdr.*` and JPEGs with a gain map are pairs; the
other pictures of a folder are panoramas where most of them are 2:1, else photographs, unless GROUP= says.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from evaluation.baselines import BASELINES, UNTOUCHED
from evaluation.contact_sheet import Row, sheet, webp
from evaluation.expansion import Expansion
from evaluation.leave_one_out import fitted_without
from evaluation.method import OURS, Fit, ours
from evaluation.metrics import DISPLAY
from evaluation.pictures import Source, cases, find
from evaluation.renderings import CAP_CD_M2
from evaluation.report import replace_results, tables, to_json
from evaluation.results import PSNR, Results, best_baseline
from evaluation.scoring import Task, score
from luxscaler.errors import InputError, LuxScalerError
from luxscaler.options import check_boost
from luxscaler.picture import REFERENCE_WHITE_CD_M2

DOCUMENTED = ("hdr-pairs-as-shipped", "hdr-photographs-filmic", "hdr-panoramas-filmic")
"""The sheets that go into the documents."""
DOCUMENTED_BYTES = 300_000
DEFAULT_BOOST = 4.93
"""203 cd/m² times this is 1000 cd/m², the cap of the reference."""


@dataclass(frozen=True)
class Judged:
    """A picture and the expansion that it is judged with."""

    source: Source
    ours: Expansion


def run(options: argparse.Namespace, fit: Fit | None) -> str:
    """Evaluate, write everything that is asked for, and return the tables. Raises LuxScalerError, OSError."""
    _check(options)
    sources = find(options.paths)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    fit = fit or _fit(options, sources)
    judged: list[Judged] = []

    def tasks() -> Iterator[Task]:
        for one in _judged(sources, options, fit):
            judged.append(one)
            yield Task(one.source, one.ours, options.boost, out, not options.no_cvvdp)

    results = score(tasks(), options.jobs, out)
    settings = {
        "boost": options.boost,
        "reference_white_cd_m2": REFERENCE_WHITE_CD_M2,
        "cap_cd_m2": CAP_CD_M2,
        "display": DISPLAY,
        "leave_one_out": options.leave_one_out,
        "folds": options.folds,
    }
    text = json.dumps({**settings, **to_json(results)}, indent=1, ensure_ascii=False, allow_nan=False)
    (out / "results.json").write_text(text + "\n", encoding="utf-8")
    report = f"{_heading(results, options)}\n\n{tables(results)}"
    if options.document:
        replace_results(options.document, report)
    for name, picture in contact_sheets(judged, options.boost, results):
        picture.save(out / f"{name}.png")
        if options.document and name in DOCUMENTED:
            (options.document.parent / f"{name}.webp").write_bytes(webp(picture, DOCUMENTED_BYTES))
    return report


def contact_sheets(
    judged: Sequence[Judged], boost: float, results: Results
) -> Iterator[tuple[str, Image.Image]]:
    """Draw a sheet for each group and rendering; yields its file name, e.g. "hdr-photographs-filmic", too."""
    for group in results.groups():
        of_group = [one for one in judged if one.source.group == group]
        rows: dict[str, list[Row]] = {}
        best = {
            rendering: best_baseline(of, PSNR, without=(UNTOUCHED,))
            for rendering, of in results.renderings(group).items()
        }
        scores = {picture.name: picture.scores for picture in results.of(group)}
        for one in of_group:
            for case in cases(one.source, boost):
                name = best[case.rendering]
                expanded = (one.ours(case.sdr, case.boost), BASELINES[name](case.sdr, case.boost))
                reached = scores[one.source.name][case.rendering]
                label = ", ".join(f"{m} {reached[m][PSNR]:.1f} dB" for m in (UNTOUCHED, OURS, name))
                row = Row(f"{one.source.name}: {label}", (case.reference, case.sdr, *expanded))
                rows.setdefault(case.rendering, []).append(row)
        for rendering, found in rows.items():
            title = f"{group}, SDR made by: {rendering}"
            columns = ("reference", "SDR", OURS, best[rendering])
            yield f"hdr-{group}-{_file_name(rendering)}", sheet(title, columns, found)


def main(arguments: Sequence[str] | None = None, fit: Fit | None = None) -> int:
    """Run the command; returns its exit code. fit: what --leave-one-out calls instead of the training."""
    try:
        print(run(_parser().parse_args(arguments), fit))
    except (LuxScalerError, OSError) as error:
        print(f"evaluate-hdr: {error}", file=sys.stderr)
        return 1
    return 0


def _fit(options: argparse.Namespace, sources: Sequence[Source]) -> Fit | None:
    """The training, with samples of all pictures; None where nothing is fitted."""
    if not options.leave_one_out:
        return None
    from evaluation.training.leave_out import LeaveOut, all_samples  # noqa: PLC0415 (needs cvvdp)

    more = find(options.train_with) if options.train_with else []
    return LeaveOut(all_samples([*sources, *more], options.jobs, options.samples))


def _judged(sources: Sequence[Source], options: argparse.Namespace, fit: Fit | None) -> Iterator[Judged]:
    if fit is None or not options.leave_one_out:
        yield from (Judged(source, ours) for source in sources)
        return
    for fold, expansion in fitted_without(sources, options.folds, fit):
        yield from (Judged(source, expansion) for source in fold)


def _check(options: argparse.Namespace) -> None:
    check_boost(options.boost)
    if (options.train_with or options.samples) and not options.leave_one_out:
        raise InputError("--train-with and --samples are for the fits of --leave-one-out, which is not given")
    if options.folds is not None and not options.leave_one_out:
        raise InputError("--folds divides the pictures of --leave-one-out, which is not given")
    if options.document and not options.leave_one_out:
        raise InputError("--document shows only pictures that the fit has not seen: give --leave-one-out too")


def _heading(results: Results, options: argparse.Namespace) -> str:
    counts = ", ".join(f"{group}: {len(results.of(group))}" for group in results.groups())
    seen = f"{OURS} as shipped: it may have been fitted to some of these pictures."
    if options.leave_one_out:
        left = "it" if options.folds is None else f"its part of {options.folds}"
        seen = f"{OURS} fitted, for each picture, without {left} (leave-one-out)."
    return f"Pictures: {counts}. Boost {options.boost:g}; of the pairs, their own headroom. {seen}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate-hdr", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="[GROUP=]PATH", help="a folder or picture")
    parser.add_argument("--out", type=Path, default=Path("out/evaluate-hdr"), help="default: %(default)s")
    parser.add_argument(
        "--boost",
        type=float,
        default=DEFAULT_BOOST,
        help="hdr_boost of what is no pair; default: %(default)s",
    )
    parser.add_argument("--no-cvvdp", action="store_true", help="no JOD: minutes instead of hours")
    parser.add_argument("--jobs", type=int, default=_cores(), help="processes; default: one a core")
    parser.add_argument("--leave-one-out", action="store_true", help="fit again without the picture judged")
    parser.add_argument(
        "--train-with",
        nargs="+",
        metavar="[GROUP=]PATH",
        help="more pictures to fit to, not judged",
    )
    parser.add_argument("--samples", type=Path, help="a file that keeps the fits' samples between runs")
    parser.add_argument("--folds", type=int, help="fit this many times, each without a part of the pictures")
    parser.add_argument(
        "--document", type=Path, help="a Markdown file whose results to replace; three sheets go beside it"
    )
    return parser


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _file_name(rendering: str) -> str:
    """ "camera −1" → "camera-1"."""
    return rendering.lower().replace(" −", "-").replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
