"""Contact sheets: every column at two exposures, and a WebP within its limit."""

import io

import numpy as np
import pytest
from PIL import Image

from evaluation.contact_sheet import CELL_WIDTH, STOPS, Row, sheet, webp


def test_a_sheet_has_every_column_at_every_exposure() -> None:
    bright = np.full((30, 40, 3), 4.0, np.float32)
    picture = sheet("title", ("reference", "SDR"), [Row("a", (bright, np.minimum(bright, 1)))])
    assert picture.width > CELL_WIDTH * 2 * len(STOPS)
    middle = picture.height - 90
    cells = [int(np.asarray(picture)[middle, 4 + i * 244 + 120, 0]) for i in range(4)]
    assert cells[0] == cells[2] == 255, "at SDR's exposure both are white"
    assert cells[1] > cells[3], "darker, only the reference is brighter than SDR white"


@pytest.mark.slow
def test_a_webp_keeps_its_limit_by_quality_and_then_by_size() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (300, 400, 3), np.uint8))
    plain = Image.new("RGB", (300, 400))
    for limit in (60_000, 8_000):
        data = webp(noise, limit)
        assert len(data) <= limit
        assert Image.open(io.BytesIO(data)).width <= 400
    assert Image.open(io.BytesIO(webp(plain, 8_000))).size == plain.size
