"""GIF through Pillow: the first picture; where it does not cover the canvas, pixels are transparent.

Browsers show the uncovered canvas as transparent; Pillow fills it with a colour of the palette, unless one of
them is transparent.
"""

from dataclasses import replace
from typing import BinaryIO

import numpy as np
from PIL import GifImagePlugin

from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.pillow_format import PillowFormat

_PILLOW = PillowFormat("gif", GifImagePlugin.GifImageFile)


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header of the file and of its first picture."""
    info = _PILLOW.read_info(stream)
    covered = _covered(stream)
    if covered is None:
        return info
    left, top, right, bottom = covered
    notice = (
        f"the first picture has {right - left} × {bottom - top} of the {info.width} × {info.height} pixels; "
        "around it all is clear"
    )
    return replace(info, channels=info.channels + 1, alpha=Alpha.STRAIGHT, notices=(*info.notices, notice))


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels) uint8, the palette expanded."""
    samples = _PILLOW.read_samples(stream, info)
    covered = _covered(stream)
    if covered is None:
        return samples
    left, top, right, bottom = covered
    canvas = np.zeros((info.height, info.width, info.channels), np.uint8)
    canvas[top:bottom, left:right, :-1] = samples[top:bottom, left:right]
    canvas[top:bottom, left:right, -1] = 255
    return canvas


def _covered(stream: BinaryIO) -> tuple[int, int, int, int] | None:
    """Where the first picture lies on the canvas: left, top, right, bottom.

    None where it covers all of it, or Pillow makes the rest transparent itself.
    """
    stream.seek(0)
    image = GifImagePlugin.GifImageFile(stream)
    if "transparency" in image.info or not image.tile:
        return None
    box = image.tile[0][1]
    return None if box is None or box == (0, 0, *image.size) else box
