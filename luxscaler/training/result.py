"""The figures of a training that has ended: as lines for a terminal, and as the model's card."""

from collections.abc import Sequence

from luxscaler.training.prepare import Prepared
from luxscaler.training.run import Trained
from luxscaler.training.validation import Scores
from luxscaler.words import counted

_COLUMNS = (("psnr", "PSNR dB", ".2f"), ("ssim", "SSIM", ".4f"), ("ms_ssim", "MS-SSIM", ".4f"))
_MORE = (
    ("colour", "colour /255", ".2f"),
    ("judge", "judge", ".4f"),
    ("forgetting", "base's own dB", ".2f"),
)
"""Columns that not every training has."""


def rows(trained: Trained) -> list[tuple[str, ...]]:
    """The table of figures on the held-out pictures, its heading first."""
    measured = trained.base_scores.means()
    columns = [each for each in (*_COLUMNS, *_MORE) if each[0] in measured]
    table = [("", *(title for _, title, _ in columns))]
    parts = [("cubic", trained.cubic_scores), ("base", trained.base_scores)]
    if trained.best_scores is not None:
        parts.append(("trained", trained.best_scores))
    for name, scores in parts:
        means = scores.means()
        table.append((name, *(format(means[key], form) if key in means else "–" for key, _, form in columns)))
    return table


def lines(trained: Trained) -> list[str]:
    """The table as text, followed by remarks."""
    table = rows(trained)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    text = [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width) for index, (cell, width) in cells
        ).rstrip()
        for cells in (list(enumerate(zip(row, widths, strict=True))) for row in table)
    ]
    return [*text, *remarks(trained)]


def remarks(trained: Trained) -> list[str]:
    """What a user should know of the figures, a sentence a line."""
    base, best = trained.base_scores, trained.best_scores
    count = len(base.by_picture)
    held_out = counted(count, "held-out picture")
    said = [f"Measured on {held_out}, on which the best step was chosen too."]
    if "judge" in base.means():
        said.append(
            "judge: how far the picture looks from the true one to a network that no training has as a loss; "
            "the smaller the nearer."
        )
    if best is None:
        return said
    if (plain := trained.cubic_scores.mean("psnr")) > best.mean("psnr"):
        said.append(f"A plain cubic has {plain:.2f} dB, more than the trained network.")
    worse = worse_pictures(base, best)
    if worse:
        name, loss = worse[0]
        said.append(f"{len(worse)} of {count} became worse; the most {name}, by {loss:.2f} dB.")
    else:
        said.append("No picture became worse.")
    if "forgetting" in base.means() and (lost := base.mean("forgetting") - best.mean("forgetting")) > 1.0:
        said.append(f"On the base's own degradations it lost {lost:.2f} dB: it is a specialist now.")
    return said


def worse_pictures(base: Scores, best: Scores) -> list[tuple[str, float]]:
    """Pictures whose PSNR fell, with how far, the worst first."""
    falls = [
        (name, values["psnr"] - best.by_picture[name]["psnr"]) for name, values in base.by_picture.items()
    ]
    return sorted(((name, fall) for name, fall in falls if fall > 0.005), key=lambda each: -each[1])


def card(job: Prepared, trained: Trained) -> str:
    """The model's card in Markdown."""
    settings = job.settings
    method = f"LoRA, rank {settings.rank}" if settings.method == "lora" else "all parameters"
    learned, steps = len(job.pictures.learn), counted(settings.steps, "step")
    return "\n".join(
        [
            f"# {job.target.stem}",
            "",
            f"A ×{job.base.scale} upscaler for LuxScaler, trained from `{job.base.name}` "
            f"(SHA-256 `{job.base.digest}`) on {counted(learned, 'picture')}.",
            "",
            f"- Method: {method}; best after {trained.position.best_step} of {steps}",
            f"- Goal: {_goal(job)}",
            f"- Degradation: {'own pairs' if settings.pairs else settings.degradation}",
            f"- Learning rate {settings.learning_rate(job.base.own.config):g}, seed {settings.seed}",
            "",
            _markdown(rows(trained)),
            "",
            *remarks(trained),
            "",
            f"Use: `luxscaler upscale IN OUT --model {job.target.name}`",
            "",
        ]
    )


def _goal(job: Prepared) -> str:
    features = job.onlookers.used["features"]
    return job.settings.goal + (f" (features: {features}; chosen by the judge)" if features else "")


def _markdown(table: Sequence[Sequence[str]]) -> str:
    heading, *rest = table
    marks = ["---"] * len(heading)
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, marks, *rest))
