"""Results → Markdown tables, results.json, the results section of a document."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation.baselines import SMOOTH, UNTOUCHED
from evaluation.method import OURS
from evaluation.results import (
    JOD,
    PSNR,
    TEARING,
    ByMethod,
    PictureResult,
    Results,
    best_baseline,
)
from evaluation.verdict import checks
from luxscaler.errors import InputError

TITLES = {PSNR: "PU21-PSNR, dB", JOD: "ColorVideoVDP, JOD", TEARING: "tearing, %"}
BEGIN, END = "<!-- results: written by ./scripts/evaluate-hdr --document -->", "<!-- end of results -->"


def tables(results: Results) -> str:
    """Markdown: what must hold, all groups, then each group by rendering and by picture."""
    parts = [
        "### What must hold",
        _verdict(results),
        "### All groups\nThe mean of the groups' averages.",
        _overall(results),
    ]
    for group in results.groups():
        parts.append(f"### {group.capitalize()} ({len(results.of(group))})")
        parts += [_group(results, group, measure) for measure in results.measures()]
        parts.append(_pictures(results, group))
    return "\n\n".join(parts)


def to_json(results: Results) -> dict[str, Any]:
    """Everything: the scores of every picture, the means and spreads of every group, the verdict."""
    groups = {
        group: {
            "pictures": [picture.name for picture in results.of(group)],
            "renderings": results.renderings(group),
            "average": {
                method: {measure: asdict(results.spread(group, method, measure)) for measure in scores}
                for method, scores in results.average(group).items()
            },
        }
        for group in results.groups()
    }
    return {
        "verdict": [asdict(check) for check in checks(results)],
        "overall": results.overall(),
        "groups": groups,
        "pictures": {picture.name: asdict(picture) for picture in results.pictures},
    }


def replace_results(document: Path, text: str) -> None:
    """Put `text` between the two marks of a Markdown file. Raises InputError where they are missing."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{document} has no place for the results: the lines {BEGIN} and {END}")
    document.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _verdict(results: Results) -> str:
    rows = [
        (c.rule, c.where, f"{c.measured:.2f}", f"{c.limit:.2f} ({c.other})", "yes" if c.holds else "**no**")
        for c in checks(results)
    ]
    return _table(("rule", "where", OURS, "limit", "holds"), rows)


def _overall(results: Results) -> str:
    overall, measures = results.overall(), results.measures()
    columns = [_column(overall, measure) for measure in measures]
    rows = [(method, *(column.get(method, "") for column in columns)) for method in overall]
    return _table(("method", *(TITLES[measure] for measure in measures)), rows)


def _group(results: Results, group: str, measure: str) -> str:
    """A row a method, a column a rendering; then the average over the pictures, and their spread."""
    renderings, average = results.renderings(group), results.average(group)
    methods = [method for method in average if measure in average[method]]
    columns = [_column(of, measure) for of in (*renderings.values(), average)]
    rows = []
    for method in methods:
        spread = results.spread(group, method, measure)
        told = (f"{spread.deviation:.2f}", f"{spread.lowest:.2f}", f"{spread.highest:.2f}")
        rows.append((method, *(column[method] for column in columns), *told))
    if measure != TEARING:
        rows.append(_lead(measure, (*renderings.values(), average)))
    return _table((TITLES[measure], *renderings, "average", "± pictures", "lowest", "highest"), rows)


def _column(of: ByMethod, measure: str) -> dict[str, str]:
    """The cells of a column, the best of them bold; of the tearing none, for untouched SDR has none."""
    values = {method: scores[measure] for method, scores in of.items() if measure in scores}
    best = None if measure == TEARING else max(values.values())
    return {method: f"**{v:.2f}**" if v == best else f"{v:.2f}" for method, v in values.items()}


def _lead(measure: str, columns: Sequence[ByMethod]) -> tuple[str, ...]:
    leads = [of[OURS][measure] - of[best_baseline(of, measure)][measure] for of in columns]
    return (f"*{OURS} over the best other*", *(f"{lead:+.2f}" for lead in leads), "", "", "")


def _pictures(results: Results, group: str) -> str:
    """A row a picture: ours, the untouched SDR and the picture's own best baseline, over its renderings."""
    measures = [measure for measure in results.measures() if measure != TEARING]
    head = ["picture", "boost"]
    for measure in measures:
        head += [f"{TITLES[measure]}: {OURS}", UNTOUCHED, "best baseline"]
    head += [f"{TITLES[TEARING]}: {OURS}", SMOOTH]
    return _table(head, [_picture(picture, measures) for picture in results.of(group)])


def _picture(picture: PictureResult, measures: Sequence[str]) -> list[str]:
    average = picture.average()
    cells = [picture.name, f"{max(picture.boosts.values()):.2f}"]
    for measure in measures:
        best = best_baseline(average, measure)
        told = f"{average[best][measure]:.2f} ({best})"
        cells += [f"{average[OURS][measure]:.2f}", f"{average[UNTOUCHED][measure]:.2f}", told]
    return [*cells, *(f"{average[method][TEARING]:.2f}" for method in (OURS, SMOOTH))]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
