"""A training's report as one HTML file: figures, curves, pictures before and after, rejected files.

page.html, page.css and page.js hold the page (report/standalone.py); this module fills in words, numbers and
pictures.
"""

import base64
import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from luxscaler.report.standalone import standalone_page
from luxscaler.training.prepare import Prepared
from luxscaler.training.record import lines_of
from luxscaler.training.result import remarks, rows
from luxscaler.training.run import Trained
from luxscaler.training.samples import as_image, middle, png_bytes
from luxscaler.training.validation import answer, gain_text, network_of, questions

_FOLDER = Path(__file__).parent
_WIDTH, _HEIGHT, _EDGE = 420, 200, 34
MOST_SAMPLES = 6
_POINTS = 200
"""Most points of a curve; where there are more, neighbours are averaged."""

Point = tuple[float, float]


def page(job: Prepared, trained: Trained) -> str:
    """The HTML of the report."""
    settings = {**job.settings.to_json(), "base's SHA-256": job.base.digest, "ended": trained.ended}
    parts = {
        "TITLE": html.escape(job.target.name),
        "VERDICT": html.escape(_verdict(job, trained)),
        "FIGURES": _table(rows(trained)),
        "REMARKS": "".join(f"<p>{html.escape(line)}</p>" for line in remarks(trained)),
        "CURVES": _curves(job, trained),
        "SAMPLES": "".join(_samples(job, trained)),
        "PICTURES": _table(_by_picture(trained)),
        "REJECTED": _rejected(job),
        "SETTINGS": _table([("setting", "value"), *((name, str(value)) for name, value in settings.items())]),
    }
    title = f"{job.target.name} · LuxScaler training"
    return standalone_page(_FOLDER, "page", title, parts, has_images=True)


def _verdict(job: Prepared, trained: Trained) -> str:
    if trained.best_scores is None:
        return f"No network of this training is better than {job.settings.base}: no model was written."
    gain = gain_text(trained.best_scores.means(), trained.base_scores.means(), job.settings.goal)
    step = trained.position.best_step
    return f"{gain} over {job.settings.base} on the held-out pictures (step {step})."


def _table(table: Sequence[Sequence[str]]) -> str:
    heading, *rest = table
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in heading)
    body = "".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        f"{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for first, *cells in rest
    )
    return f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"


def _by_picture(trained: Trained) -> list[tuple[str, ...]]:
    best = trained.best_scores
    table: list[tuple[str, ...]] = [("picture", "cubic dB", "base dB", "trained dB", "gain dB")]
    for name, values in trained.base_scores.by_picture.items():
        cubic = f"{trained.cubic_scores.by_picture[name]['psnr']:.2f}"
        made = None if best is None else best.by_picture[name]["psnr"]
        ends = ("–", "–") if made is None else (f"{made:.2f}", f"{made - values['psnr']:+.2f}")
        table.append((name, cubic, f"{values['psnr']:.2f}", *ends))
    return table


def _rejected(job: Prepared) -> str:
    if not job.pictures.rejected:
        return ""
    table = _table([("picture", "reason"), *((each.name, each.reason) for each in job.pictures.rejected)])
    return (
        '<section class="card" aria-labelledby="rejected-title"><h2 id="rejected-title">Not used</h2>'
        f'<div class="wide"><table>{table}</table></div></section>'
    )


def _samples(job: Prepared, trained: Trained) -> Iterable[str]:
    """Figures of base and trained network side by side; the last network where none was better."""
    config, device = job.base.own.config, job.device
    base = network_of(config, job.base.own.state_dict()).to(device)
    values = trained.best or trained.learner.averaged()
    network = network_of(config, trained.learner.whole(values)).to(device)
    shown = job.pictures.held_out[:MOST_SAMPLES]
    for each in questions(shown, job.recipe, job.base.scale, config.unshuffle, job.settings.seed):
        pictures = (answer(model, each.small, device) for model in (base, network))
        images = "".join(
            f'<img alt="{alt}" src="data:image/png;base64,'
            f'{base64.b64encode(png_bytes(as_image(middle(made)))).decode()}">'
            for alt, made in zip(("By the base", "By the trained network"), pictures, strict=True)
        )
        name = html.escape(each.name)
        yield (
            f'<figure><div class="pair">{images}</div><input type="range" min="0" max="100" value="50" '
            f'aria-label="Border between base and trained network, {name}">'
            f"<figcaption>{name}</figcaption></figure>"
        )


def _curves(job: Prepared, trained: Trained) -> str:
    losses = [(line["step"], line["loss"]) for line in lines_of(job.folder) if line.get("loss") is not None]
    quality = [(entry["step"], entry["mean"]["psnr"]) for entry in trained.position.history]
    base = trained.base_scores.mean("psnr")
    curves = [
        _curve("Loss", _thinned(losses), ()),
        _curve("PSNR on the held-out pictures, dB; dashed: the base", [(0, base), *quality], (base,)),
    ]
    if "judge" in (means := trained.base_scores.means()):
        judged = [(entry["step"], entry["mean"]["judge"]) for entry in trained.position.history]
        title, far = "The judge's distance on the held-out pictures; dashed: the base", means["judge"]
        curves.append(_curve(title, [(0, far), *judged], (far,)))
    return "".join(curves)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """At most _POINTS points, each the mean of a group of neighbours."""
    size = max(1, math.ceil(len(points) / _POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _curve(title: str, points: Sequence[Point], levels: Sequence[float]) -> str:
    if not points:
        return f"<figure><figcaption>{html.escape(title)}: nothing to show</figcaption></figure>"
    ys = [y for _, y in points] + list(levels)
    low, high = min(ys), max(ys)
    span, last = high - low or 1.0, max(x for x, _ in points) or 1.0

    def place(x: float, y: float) -> str:
        across = _EDGE + (_WIDTH - 2 * _EDGE) * x / last
        down = _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (y - low) / span
        return f"{across:.1f},{down:.1f}"

    line = " ".join(place(x, y) for x, y in points)
    dashes = "".join(
        f'<polyline class="level" points="{place(0, level)} {place(last, level)}"/>' for level in levels
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f'<rect class="frame" x="{_EDGE}" y="{_EDGE}" width="{_WIDTH - 2 * _EDGE}" '
        f'height="{_HEIGHT - 2 * _EDGE}"/>{dashes}<polyline class="line" points="{line}"/>'
        f'<text x="2" y="{_EDGE + 4}">{high:.3g}</text><text x="2" y="{_HEIGHT - _EDGE + 4}">{low:.3g}</text>'
        f'<text x="{_EDGE}" y="{_HEIGHT - 16}">step 0</text>'
        f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 16}" text-anchor="end">{last:g}</text></svg>'
        f"<figcaption>{html.escape(title)}</figcaption></figure>"
    )
