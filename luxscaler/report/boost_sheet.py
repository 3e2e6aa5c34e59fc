"""The picture that shows what hdr_boost does, before a run: four views of a small picture, and a scale.

    before              boosted, darker
    before, as dark     false colours: stops above SDR white

The darker views are rolled off as SDR files are (io/sdr.py), so that highlights can be told apart; the map is
grey where nothing rises above white.
"""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from luxscaler.color import encode_srgb, luminance
from luxscaler.errors import InputError
from luxscaler.io.atomic import replacing
from luxscaler.io.sdr import tone_map
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray, Picture

Sheet = NDArray[np.uint8]
"""(height, width, 3) sRGB codes."""

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_COLOURS = np.array(
    [(24, 60, 130), (20, 140, 170), (60, 180, 75), (245, 220, 60), (240, 130, 40), (255, 255, 255)]
)
"""sRGB codes, 0 to 255, of the scale: evenly spaced from just above white to its end."""
_GREY = 0.35
"""Factor on the sRGB code values of pixels that are not above white, so that the colours stand out."""
_BACKGROUND, _INK = (32, 32, 32), (235, 235, 235)
_LEAST_WIDTH = 360
"""Pixels that the words of a view need; smaller pictures are enlarged by whole numbers."""


def draw_sheet(before: Picture, boosted: Picture, stops: FloatArray) -> Sheet:
    """The four views side by side, with words, as 8-bit sRGB.

    before, boosted: the picture before and after the expansion, linear light. stops: (height, width), how
    many stops each pixel is above SDR white, 0 for the others. Transparent pixels are shown over black.
    """
    peak = max(float(boosted.rgb.max()), 1.0)
    darker = math.log2(peak) / 2
    end = max(1, math.ceil(float(stops.max()) - 1e-3))
    views = (
        ("before", _shown(before, 0.0)),
        (f"boosted, {darker:.1f} stops darker", _shown(boosted, darker)),
        (f"before, {darker:.1f} stops darker", _shown(before, darker)),
        ("above SDR white, in stops", _map(before, stops, end)),
    )
    enlarge = max(1, min(math.ceil(_LEAST_WIDTH / before.width), _LEAST_WIDTH // before.height))
    size = before.width * enlarge, before.height * enlarge
    width, line = max(size[0], _LEAST_WIDTH), max(16, size[0] // 32)
    gap, cell = line // 2, size[1] + 2 * line
    sheet = Image.new("RGB", (2 * width + 3 * gap, 2 * cell + 5 * line), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(line)
    for number, (words, view) in enumerate(views):
        left, top = gap + number % 2 * (width + gap), number // 2 * cell
        draw.text((left, top + line // 3), words, _INK, font)
        image = Image.fromarray(view).resize(size, Image.Resampling.NEAREST)
        sheet.paste(image, (left, top + 2 * line - line // 4))
    _draw_scale(sheet, end, 2 * cell + line // 2, line)
    return np.asarray(sheet)


def format_of_sheet(path: Path) -> str:
    """Pillow's name of the format for a path's suffix. Raises InputError."""
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        known = " ".join(SUFFIXES)
        raise InputError(f"a preview is a picture for the screen, {known}; {str(path)!r} is none") from None


def write_sheet(path: Path, sheet: Sheet) -> None:
    """Write a sheet as PNG, JPEG or WebP, by the suffix. Raises InputError and ExportError."""
    name = format_of_sheet(path)
    with replacing(path) as temporary, temporary.open("wb") as file:
        Image.fromarray(sheet).save(file, name, quality=92)


def _shown(picture: Picture, darker: float) -> Sheet:
    """The picture `darker` stops darker, tone-mapped into SDR."""
    light = np.maximum(_over_black(picture), 0.0) * 2.0**-darker
    return _codes(tone_map(light, float(light.max())))


def _map(before: Picture, stops: FloatArray, end: int) -> Sheet:
    """False colours of pixels above white; a dark grey picture elsewhere. end: stops at the scale's end."""
    grey = encode_srgb(luminance(np.clip(_over_black(before), 0.0, 1.0).astype(np.float32))) * _GREY
    coloured = colour_of(stops / end)
    return np.where(stops[..., None] > 0.0, coloured, np.rint(grey * 255)[..., None]).astype(np.uint8)


def colour_of(share: NDArray[np.floating]) -> Sheet:
    """The scale's colour at `share` of its length, 0 to 1, any shape: (..., 3) sRGB codes."""
    places = np.linspace(0.0, 1.0, len(_COLOURS))
    channels = [np.interp(share, places, _COLOURS[:, channel]) for channel in range(3)]
    return np.asarray(np.rint(np.stack(channels, axis=-1)), np.uint8)


def _draw_scale(sheet: Image.Image, end: int, top: int, line: int) -> None:
    """The bar of colours with a mark at each stop, and its luminance ("nits": the font has no cd/m²)."""
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(line)
    left, width = 3 * line, sheet.width - 6 * line
    bar = colour_of((np.arange(width) + 0.5) / width)
    sheet.paste(Image.fromarray(np.tile(bar, (line, 1, 1))), (left, top))
    for stop in range(end + 1):
        at = left + width * stop // end
        draw.line((at, top + line, at, top + line + line // 4), _INK)
        light = f"{REFERENCE_WHITE_CD_M2 * 2**stop:.0f}"
        words = f"+{stop}\n{light}" if stop else f"white\n{light} nits"
        draw.multiline_text(
            (at, top + line + line // 3), words, _INK, font, anchor="ma", align="center", spacing=2
        )


def _over_black(picture: Picture) -> NDArray[np.float64]:
    light = picture.rgb.astype(np.float64)
    alpha = picture.over_black().alpha
    return light if alpha is None else light * alpha[..., None]


def _codes(linear: NDArray[np.float64]) -> Sheet:
    return np.asarray(np.rint(encode_srgb(linear) * 255), np.uint8)
