"""What `luxscaler info` says of a picture: a list of names and values, as text."""

import math

import numpy as np

from luxscaler.color import luminance
from luxscaler.io.own_tags import own_tags
from luxscaler.io.read import Source
from luxscaler.isolation.pool import read_header_isolated, read_picture_isolated
from luxscaler.options import MAIN_LAYER, LayerChoice
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray
from luxscaler.words import counted

NOISE_FLOOR_PERCENTILE, PEAK_PERCENTILE = 0.1, 99.99
"""Luminance percentiles between which the range is measured: robust against single dead or hot pixels."""
LEAST_LUMINANCE = 2.0**-24
"""Below the smallest half float: stands for black, which has no finite number of stops."""


def report(file: Source, choice: LayerChoice = MAIN_LAYER) -> list[tuple[str, str]]:
    """Name and value of each fact of a path or of a file's bytes, in order. choice: which layer of an EXR.

    Raises PictureError.
    """
    header = read_header_isolated(file, choice=choice)
    kind = "float" if header.is_float else "integer"
    alpha = " with alpha" if header.has_alpha else ""
    lines = [
        ("format", header.format),
        ("size", f"{header.width} × {header.height} ({header.width * header.height / 1e6:.2f} megapixels)"),
        ("depth", f"{header.bits}-bit {kind}, {counted(header.channels, 'channel')}{alpha}"),
        ("colour", header.color_space),
    ]
    if header.orientation != 1:
        lines.append(("orientation", f"EXIF {header.orientation}, applied"))
    if header.gain_map:
        lines.append(("gain map", header.gain_map))
    lines += [(f"luxscaler:{name}", value) for name, value in own_tags(file).items()]
    picture = read_picture_isolated(file, choice=choice)
    lines += _range(picture.rgb)
    lines += [("note", notice) for notice in dict.fromkeys(header.notices + picture.source.notices)]
    return lines


def _range(rgb: FloatArray) -> list[tuple[str, str]]:
    light = luminance(rgb)
    low, high = np.percentile(light, (NOISE_FLOOR_PERCENTILE, PEAK_PERCENTILE))
    low, high = max(float(low), LEAST_LUMINANCE), max(float(high), LEAST_LUMINANCE)
    peak = float(rgb.max())
    outside = float((rgb.min(axis=2) < 0).mean())
    above = float((rgb.max(axis=2) > 1).mean())
    lines = [
        ("range", f"{math.log2(high / low):.1f} stops (luminance {low:.3g} to {high:.3g}, 1 = SDR white)"),
        ("peak", f"{peak:.4g} = {peak * REFERENCE_WHITE_CD_M2:.0f} cd/m²"),
        ("above white", f"{above:.2%} of pixels"),
    ]
    if outside:
        lines.append(("wide gamut", f"{outside:.2%} of pixels outside Rec.709"))
    return lines
