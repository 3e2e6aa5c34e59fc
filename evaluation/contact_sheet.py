"""A contact sheet: one row a picture; reference, SDR, ours and the best baseline, each at two exposures.

The second exposure shows what lies above SDR white: where the sheet is flat there, nothing was expanded.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from luxscaler.color import encode_srgb
from luxscaler.picture import FloatArray

STOPS = (0.0, -2.3)
"""−2.3 brings 1000 cd/m², the cap of the reference, to SDR white."""
CELL_WIDTH = 240
GAP = 4
LABEL = 18
WEBP_QUALITIES = (80, 60, 40)


@dataclass(frozen=True)
class Row:
    """One picture of the sheet."""

    name: str
    cells: tuple[FloatArray, ...]
    """(H, W, 3) float32 linear, one a column; all of one size."""


def _plain(text: str) -> str:
    """Without the dash of names that stand side by side: Pillow's own font has none."""
    return text.replace("–", "-")


def sheet(title: str, columns: tuple[str, ...], rows: list[Row]) -> Image.Image:
    """Draw the rows below one another, each column at every exposure, with labels."""
    tables = [[_cell(cell, stop) for cell in row.cells for stop in STOPS] for row in rows]
    width = GAP + (CELL_WIDTH + GAP) * len(columns) * len(STOPS)
    height = 2 * LABEL + sum(LABEL + GAP + cells[0].height for cells in tables)
    canvas = Image.new("RGB", (width, height), (40, 40, 40))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(13)
    draw.text((GAP, 2), _plain(title), font=font)
    for index, (column, stop) in enumerate((column, stop) for column in columns for stop in STOPS):
        draw.text((GAP + index * (CELL_WIDTH + GAP), LABEL), _plain(f"{column}, {stop:+g} EV"), font=font)
    top = 2 * LABEL
    for row, cells in zip(rows, tables, strict=True):
        draw.text((GAP, top), _plain(row.name), font=font)
        for index, cell in enumerate(cells):
            canvas.paste(cell, (GAP + index * (CELL_WIDTH + GAP), top + LABEL))
        top += LABEL + GAP + cells[0].height
    return canvas


def webp(picture: Image.Image, limit: int) -> bytes:
    """A WebP of at most `limit` bytes: the best quality that fits, else of three quarters the size."""
    for quality in WEBP_QUALITIES:
        file = io.BytesIO()
        picture.save(file, "WEBP", quality=quality)
        if len(file.getvalue()) <= limit:
            return file.getvalue()
    return webp(picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)), limit)


def _cell(linear: FloatArray, stop: float) -> Image.Image:
    coded = encode_srgb(np.clip(linear * np.float32(2.0**stop), 0, 1))
    picture = Image.fromarray(np.round(coded * 255).astype(np.uint8))
    height = max(1, round(CELL_WIDTH * picture.height / picture.width))
    return picture.resize((CELL_WIDTH, height), Image.Resampling.BOX)
