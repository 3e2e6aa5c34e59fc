"""Scores of all pictures → means, the tables on stdout, results.json."""

from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from luxscaler.errors import InputError

OURS = "LuxScaler"
UNTOUCHED = "SDR untouched"
MEASURES = {"pu21_psnr": "PU21-PSNR, dB", "jod": "ColorVideoVDP, JOD"}
BEGIN, END = "<!-- results: written by ./scripts/evaluate-hdr --document -->", "<!-- end of results -->"
Scores = dict[str, float]
"""Value by measure."""


@dataclass
class Results:
    """Every score of a run."""

    scores: dict[str, dict[str, dict[str, Scores]]] = field(default_factory=dict)
    """By picture, rendering and method."""

    def add(self, picture: str, rendering: str, method: str, scores: Scores) -> None:
        """Add what one method reached on one rendering of one picture."""
        self.scores.setdefault(picture, {}).setdefault(rendering, {})[method] = scores

    def means(self) -> dict[str, dict[str, Scores]]:
        """By rendering and method: the mean over the pictures."""
        first = next(iter(self.scores.values()))
        return {
            rendering: {
                method: {
                    measure: fmean(of[rendering][method][measure] for of in self.scores.values())
                    for measure in measures
                }
                for method, measures in methods.items()
            }
            for rendering, methods in first.items()
        }

    def best_baseline(self, rendering: str) -> str:
        """The method with the highest mean PU21-PSNR besides ours and the untouched SDR."""
        of = self.means()[rendering]
        return max((name for name in of if name not in (OURS, UNTOUCHED)), key=lambda n: of[n]["pu21_psnr"])

    def tables(self) -> str:
        """A Markdown table for each measure: a row a method, a column a rendering and their average.

        The best of each column is bold; the last row is how far ours is above the best of the others.
        """
        means = self.means()
        measured = next(iter(next(iter(means.values())).values()))
        return "\n\n".join(
            _table(title, {r: {m: s[measure] for m, s in of.items()} for r, of in means.items()})
            for measure, title in MEASURES.items()
            if measure in measured
        )


def replace_results(document: Path, tables: str) -> None:
    """Put the tables between the two marks of a Markdown file. Raises InputError where they are missing."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise InputError(f"{document} has no place for the results: the lines {BEGIN} and {END}")
    document.write_text(f"{before}{begin}\n{tables}\n{end}{after}", encoding="utf-8")


def _table(title: str, columns: dict[str, dict[str, float]]) -> str:
    methods = list(next(iter(columns.values())))
    columns = {**columns, "average": {m: fmean(of[m] for of in columns.values()) for m in methods}}
    lines = [f"| {title} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method in methods:
        cells = [
            f"**{of[method]:.2f}**" if of[method] == max(of.values()) else f"{of[method]:.2f}"
            for of in columns.values()
        ]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    lead = [of[OURS] - max(v for m, v in of.items() if m != OURS) for of in columns.values()]
    lines.append(f"| *{OURS} over the best other* | " + " | ".join(f"{x:+.2f}" for x in lead) + " |")
    return "\n".join(lines)
