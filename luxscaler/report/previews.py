"""Small pictures for the compare page: reduced by area, coded as half floats, and the richest places.

It works on bands of rows, so that a result on disk (a memory map) need not fit into memory.

The coding, which report.js undoes: the samples are straight RGB(A) in linear light, plane by plane. Each
becomes a half float rounded to MANTISSA_BITS, as an integer of CODE_BITS; the difference to the prediction
from its neighbours (LOCO-I, as in JPEG-LS) is folded to an unsigned 16-bit number (0, -1, 1, -2, …); all
low bytes come first, then all high bytes; zlib and base64 follow.
"""

import base64
import math
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import encode_srgb, luminance
from luxscaler.picture import FloatArray, Picture

Box = tuple[float, float, float, float]
"""x, y, width, height in fractions of a picture."""

PREVIEW_PIXELS = 1_000_000
"""About as many as a desktop window shows. Two such previews of a photograph take about 6 MB of the page."""
DETAIL_SIDE = 320
"""Pixels of the result that a detail shows: four stand side by side on a desktop."""
DETAILS = 4

MANTISSA_BITS = 8
"""Of a half float's ten. Values are off by at most 0.2 %, a quarter of the smallest step between two 8-bit
sRGB codes (0.9 %, at white); the two bits left out are noise, and a fifth of the page's size."""
CODE_BITS = 6 + MANTISSA_BITS
"""Sign, exponent, mantissa."""
_DROPPED = 10 - MANTISSA_BITS
_LARGEST = 32768.0
"""Fifteen stops above white; a half float ends one stop higher."""
_LEAST_ALPHA = np.float32(1e-6)


def reduce_picture(picture: Picture, pixels: int = PREVIEW_PIXELS) -> Picture:
    """The picture with at most `pixels` pixels, each the average of the light it stands for.

    A picture that is small enough comes back itself. Colour is weighted by alpha.
    """
    shrink = math.sqrt(pixels / (picture.width * picture.height))
    if shrink >= 1:
        return picture
    # A picture one pixel wide cannot become narrower: its length shrinks instead.
    width = min(max(1, int(picture.width * shrink)), pixels)
    height = min(max(1, int(picture.height * shrink)), pixels // width)
    width = min(picture.width, pixels // height) if height == 1 else width
    rows = _average_rows(lambda band: _weighted(picture, band), picture.height, height)
    turned = rows.swapaxes(0, 1)
    small = _average_rows(lambda band: turned[band], picture.width, width).swapaxes(0, 1)
    if picture.alpha is None:
        return Picture(np.ascontiguousarray(small), source=picture.source)
    alpha = np.clip(small[..., 3], 0, 1)
    rgb = small[..., :3] / np.maximum(alpha, _LEAST_ALPHA)[..., None]
    return Picture(np.asarray(rgb, np.float32), np.ascontiguousarray(alpha), picture.source)


def _weighted(picture: Picture, band: slice) -> FloatArray:
    """Rows of the picture; with alpha (rows, width, 4), the colour multiplied by it."""
    if picture.alpha is None:
        return picture.rgb[band]
    alpha = picture.alpha[band][..., None]
    return np.concatenate([picture.rgb[band] * alpha, alpha], axis=2)


def _average_rows(rows: Callable[[slice], FloatArray], length: int, count: int) -> FloatArray:
    """`length` rows averaged into `count`; a row on a border counts in both averages, by its share."""
    averaged = []
    for index in range(count):
        start, stop = index * length / count, (index + 1) * length / count
        first, last = math.floor(start), min(math.ceil(stop), length)
        places = np.arange(first, last)
        weights = np.minimum(places + 1, stop) - np.maximum(places, start)
        weights = (weights / weights.sum()).astype(np.float32)
        averaged.append(np.tensordot(weights, rows(slice(first, last)), 1))
    return np.stack(averaged)


def encode_picture(picture: Picture) -> str:
    """The samples as base64 text, as the module's docstring says; the size is not in it."""
    samples = picture.rgb
    if picture.alpha is not None:
        samples = np.concatenate([samples, picture.alpha[..., None]], axis=2)
    planes = np.moveaxis(np.clip(samples, -_LARGEST, _LARGEST), 2, 0)
    halves = np.ascontiguousarray(planes, np.float16).view(np.uint16).astype(np.int32)
    codes = (halves + (1 << _DROPPED >> 1)) >> _DROPPED
    difference = codes - _predicted(codes)
    folded = ((difference << 1) ^ (difference >> 31)).astype("<u2")
    split = folded.reshape(-1, 1).view(np.uint8).T
    return base64.b64encode(zlib.compress(split.tobytes(), 9)).decode("ascii")


def _predicted(codes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The prediction of each code from its left, upper and upper left neighbours (LOCO-I, Weinberger et al.
    2000).

    Neighbours outside the picture are 0.
    """
    padded = np.pad(codes, ((0, 0), (1, 0), (1, 0)))
    left, upper, corner = padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1]
    return np.asarray(np.clip(left + upper - corner, np.minimum(left, upper), np.maximum(left, upper)))


def choose_details(
    reduced: Picture, size: tuple[int, int], count: int = DETAILS, side: int = DETAIL_SIDE
) -> tuple[Box, ...]:
    """Up to `count` places with the most detail, not too close to one another, the richest first.

    reduced: the result, small. size: (width, height) of the result itself. Each box is `side` pixels of the
    result a side, or all of it where it is smaller, and begins at a whole pixel.
    """
    scores = _mean_detail(
        reduced,
        max(1, round(reduced.width * min(1.0, side / size[0]))),
        max(1, round(reduced.height * min(1.0, side / size[1]))),
    )
    spread_x, spread_y = (side * small / large for small, large in zip(_size(reduced), size, strict=True))
    boxes: list[Box] = []
    while len(boxes) < count:
        y, x = (int(place) for place in np.unravel_index(np.argmax(scores), scores.shape))
        if boxes and scores[y, x] <= 0:
            break
        boxes.append(_box(x / reduced.width, y / reduced.height, size, side))
        # Half a side of distance: four crops of one tree say no more than one.
        rows, columns = np.ogrid[: scores.shape[0], : scores.shape[1]]
        near = (abs(rows - y) < 1.5 * spread_y) & (abs(columns - x) < 1.5 * spread_x)
        scores = np.where(near, -1, scores)
    return tuple(boxes)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.width, picture.height


def _box(x: float, y: float, size: tuple[int, int], side: int) -> Box:
    width, height = size
    wide, high = min(side, width), min(side, height)
    left, top = min(round(x * width), width - wide), min(round(y * height), height - high)
    return left / width, top / height, wide / width, high / height


def _mean_detail(picture: Picture, wide: int, high: int) -> NDArray[np.float64]:
    """Mean difference of neighbouring sRGB-coded luminances in each window of wide × high pixels."""
    seen = encode_srgb(np.maximum(luminance(picture.rgb), 0))
    if picture.alpha is not None:
        seen = seen * picture.alpha
    steps = np.abs(np.diff(seen, axis=0, append=seen[-1:])) + np.abs(
        np.diff(seen, axis=1, append=seen[:, -1:])
    )
    total = np.pad(steps.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[high:, wide:] - total[:-high, wide:] - total[high:, :-wide] + total[:-high, :-wide]
    return np.asarray(sums / (wide * high))
