"""The compare page: one HTML file that shows a picture before and after, and the figures of the run.

report.html, report.css and report.js hold the page (standalone.py); this module fills in words, numbers and
pictures.
"""

import html
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from luxscaler.color import luminance
from luxscaler.io.atomic import replacing
from luxscaler.io.sdr import KNEE
from luxscaler.picture import FloatArray, Picture
from luxscaler.report.previews import (
    CODE_BITS,
    DETAILS,
    MANTISSA_BITS,
    Box,
    encode_picture,
    reduce_picture,
)
from luxscaler.report.standalone import standalone_page
from luxscaler.words import counted

_FOLDER = Path(__file__).parent
DARKEST_STOP, STOPS_PER_BIN = -12, 0.25
"""Where the histogram begins, and the width of its bins, in stops from SDR white; darker light counts as the
first."""
BRIGHTEST_STOPS = 2, 16
"""The histogram ends at the brightest light, within these limits."""
PEAK_PERCENTILE = 99.99
"""Percentile of the pixels' largest channels that counts as the brightest light, to ignore hot pixels."""


@dataclass(frozen=True)
class TileFigure:
    """Time, attempts and cost of one tile."""

    index: int
    box: Box
    seconds: float
    attempts: int
    dollars: float = 0.0


@dataclass(frozen=True)
class Detail:
    """A part of the picture at full size."""

    name: str
    box: Box
    before: Picture
    """Enlarged by a cubic to the size of `after`."""
    after: Picture
    """Cut out of the result."""


@dataclass(frozen=True)
class Report:
    """What the page shows. All pictures are linear light under the pixel contract."""

    title: str
    before: Picture
    """The source; it is reduced to PREVIEW_PIXELS."""
    after: Picture
    """The result, likewise."""
    figures: tuple[tuple[str, str], ...]
    """Name and value, in the order to show."""
    tiles: tuple[TileFigure, ...] = ()
    estimated_range: bool = False
    """Whether light above SDR white was invented (hdr_boost above 1)."""
    details: tuple[Detail, ...] = ()
    """The first DETAILS of them are shown."""


def write_report(path: str | os.PathLike[str], report: Report) -> None:
    """Write the page; a file that was there is replaced once the new one is complete.

    Raises ExportError when it cannot be written.
    """
    # File names can hold bytes that are no characters (lone surrogates here): shown as question marks.
    page = render_page(report).encode("utf-8", "replace")
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(page)


def render_page(report: Report) -> str:
    """The HTML of the page."""
    pictures = {"before": reduce_picture(report.before), "after": reduce_picture(report.after)}
    main, details = dict(pictures), report.details[:DETAILS]
    for number, detail in enumerate(details):
        pictures[f"detail-{number}-before"], pictures[f"detail-{number}-after"] = detail.before, detail.after
    parts = {
        "TITLE": html.escape(report.title),
        "ESTIMATED": _estimated(report),
        "FIGURES": _rows(report.figures),
        "SUMMARY": html.escape(_summary(main)),
        "DETAILS": "\n".join(_detail(number, detail) for number, detail in enumerate(details)),
        "TILES": _tiles(report.tiles),
        "DATA": _json(_data(report, pictures, main)),
        "PICTURES": "\n".join(
            f'<script type="text/plain" id="{name}">{encode_picture(picture)}</script>'
            for name, picture in pictures.items()
        ),
    }
    return standalone_page(_FOLDER, "report", f"{report.title} · LuxScaler", parts)


def _json(value: object) -> str:
    """JSON in which no "<" can end the script element around it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _data(report: Report, pictures: Mapping[str, Picture], main: Mapping[str, Picture]) -> dict[str, Any]:
    """The data of the page's script."""
    return {
        "codeBits": CODE_BITS,
        "mantissaBits": MANTISSA_BITS,
        "pictures": [
            {"id": name, "width": one.width, "height": one.height, "channels": 3 if one.alpha is None else 4}
            for name, one in pictures.items()
        ],
        "details": [detail.box for detail in report.details[:DETAILS]],
        "tiles": [
            {"number": tile.index + 1, "box": tile.box, "attempts": tile.attempts, "text": _tile_text(tile)}
            for tile in report.tiles
        ],
        "peak": _peak(main["after"]),
        "peaks": {name: _peak(picture) for name, picture in main.items()},
        "knee": KNEE,
        "histogram": _histogram(main),
    }


def _histogram(pictures: Mapping[str, Picture]) -> dict[str, Any]:
    """Shares of the pixels by luminance, in bins of stops from SDR white."""
    low, high = BRIGHTEST_STOPS
    brightest = max(_stops(float(luminance(picture.rgb).max())) for picture in pictures.values())
    last = min(max(math.ceil(brightest + STOPS_PER_BIN), low), high)
    edges = np.arange(DARKEST_STOP, last + STOPS_PER_BIN / 2, STOPS_PER_BIN)
    shares: dict[str, Any] = {"first": DARKEST_STOP, "last": last}
    for name, picture in pictures.items():
        light = np.clip(_visible(picture, luminance(picture.rgb)), 2.0**DARKEST_STOP, 2.0 ** (last - 0.01))
        counts = np.histogram(np.log2(light), edges)[0]
        shares[name] = [round(float(count), 6) for count in counts / max(1, light.size)]
    return shares


def _visible(picture: Picture, values: FloatArray) -> FloatArray:
    """The values of pixels that are not fully transparent, as a flat array."""
    return values.ravel() if picture.alpha is None else values[picture.alpha > 0]


def _peak(picture: Picture) -> float:
    """The brightest light (PEAK_PERCENTILE), in stops from SDR white."""
    largest = _visible(picture, picture.rgb.max(axis=2))
    return _stops(float(np.percentile(largest, PEAK_PERCENTILE)) if largest.size else 0.0)


def _stops(light: float) -> float:
    return round(math.log2(max(light, 2.0**DARKEST_STOP)), 2)


def _summary(pictures: Mapping[str, Picture]) -> str:
    """The histogram in words."""
    words = []
    for name, picture in pictures.items():
        largest = _visible(picture, picture.rgb.max(axis=2))
        share = float((largest > 1.0005).mean()) if largest.size else 0.0
        above = f"{100 * share:.2f} % of the pixels" if share else "nothing"
        brightest = f"brightest light {_signed(_peak(picture))} stops"
        words.append(f"{name.capitalize()}: {above} above SDR white, {brightest}.")
    return " ".join(words)


def _signed(stops: float) -> str:
    return f"{stops:+.1f}".replace("-", "−") if abs(stops) >= 0.05 else "0"


def _estimated(report: Report) -> str:
    if not report.estimated_range:
        return ""
    return (
        '<p class="note"><strong>Light above SDR white is an estimate.</strong> The source does not hold it: '
        "with hdr_boost above 1, LuxScaler computes from the rest of the picture how bright highlights were. "
        "It is plausible, not measured.</p>"
    )


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td dir="auto">{html.escape(value)}</td></tr>'
        for name, value in rows
    )


def _detail(number: int, detail: Detail) -> str:
    name = html.escape(detail.name)
    sides = "".join(
        f'<canvas id="detail-{number}-{side}-canvas" role="img" aria-label="{name}, {words}"></canvas>'
        for side, words in (("before", "before, enlarged by a cubic"), ("after", "after"))
    )
    return (
        f'<figure><div class="pair">{sides}</div><figcaption><span dir="auto">{name}</span>'
        f'<button type="button" data-detail="{number}" aria-label="Show in the picture: {name}">'
        "Show in the picture</button></figcaption></figure>"
    )


def _tile_text(tile: TileFigure) -> str:
    attempts = counted(tile.attempts, "attempt")
    return f"{tile.seconds:.1f} s · {attempts}" + (f" · ${tile.dollars:.4f}" if tile.dollars else "")


def _tiles(tiles: tuple[TileFigure, ...]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{tile.index + 1}</th><td>{tile.seconds:.1f}</td><td>{tile.attempts}</td>'
        f"<td>{tile.dollars:.4f}</td></tr>"
        for tile in tiles
    )
