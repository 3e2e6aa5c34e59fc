"""The sheet of samples of a validation: cubic, base, trained and true side by side, a row for each
picture."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

TITLES = ("cubic", "base", "trained", "true")
MOST_ROWS = 6
SIDE = 256
"""Side of each part shown, in pixels."""
_GAP, _TITLE = 6, 18


def sheet(rows: Sequence[Sequence[Tensor]]) -> bytes:
    """A PNG that shows the middle of each picture; rows: a picture for each of TITLES, 1×3×H×W in [0, 1]."""
    width = len(TITLES) * (SIDE + _GAP) + _GAP
    height = _TITLE + len(rows[:MOST_ROWS]) * (SIDE + _GAP) + _GAP
    image = Image.new("RGB", (width, height), (24, 24, 24))
    draw = ImageDraw.Draw(image)
    for column, title in enumerate(TITLES):
        draw.text((_GAP + column * (SIDE + _GAP), 4), title, fill=(220, 220, 220))
    for row, pictures in enumerate(rows[:MOST_ROWS]):
        for column, picture in enumerate(pictures):
            place = (_GAP + column * (SIDE + _GAP), _TITLE + row * (SIDE + _GAP))
            image.paste(as_image(middle(picture)), place)
    return png_bytes(image)


def middle(picture: Tensor, side: int = SIDE) -> Tensor:
    """The middle of an N×C×H×W picture, at most `side` pixels a side."""
    top, left = (max(0, each - side) // 2 for each in picture.shape[2:])
    return picture[:, :, top : top + side, left : left + side]


def as_image(picture: Tensor) -> Image.Image:
    """1×3×H×W code values → 8-bit RGB."""
    levels = (picture[0].clamp(0.0, 1.0) * 255.0).round().to(torch.uint8)
    return Image.fromarray(np.ascontiguousarray(levels.permute(1, 2, 0).numpy()))


def png_bytes(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
