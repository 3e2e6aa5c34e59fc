"""An extra TIFF channel that no tag explains: alpha where its values leave no doubt.

OpenCV and many scripts write RGBA without ExtraSamples; Photoshop writes saved selections in the same way,
and satellite pictures further bands. Pixel values decide: alpha has transparent and opaque parts, and either
nearly nothing in between, or no colour exceeds it, as in premultiplied pictures. Any other channel is left
out, with a notice. One strip or tile is in memory at a time; of pictures above _MOST_PIXELS only some are
looked at.
"""

import numpy as np
import tifffile

from luxscaler.io.decoder import Alpha, Samples

_MOST_SEGMENT_BYTES = 64 * 2**20
"""Of one strip or tile, decoded; larger ones are not looked at."""
_MOST_PIXELS = 2**25
_CUTOUT_SHARE = 0.9
"""Least share of transparent and opaque pixels together in a cutout."""
_EACH_SHARE = 0.005
"""Least share of transparent pixels, and of opaque ones."""


def undeclared_alpha(page: tifffile.TiffPage, color: int) -> Alpha:
    """How the last of color + 1 channels relates to the colour, by its values; NONE where that is unclear."""
    if color not in (1, 3) or page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        return Alpha.NONE
    if page.planarconfig != tifffile.PLANARCONFIG.CONTIG or page.dtype is None or page.dtype.kind not in "uf":
        return Alpha.NONE
    segment = (page.tilewidth or page.imagewidth) * (page.tilelength or page.rowsperstrip or page.imagelength)
    segment = min(segment, page.imagewidth * page.imagelength) if not page.is_tiled else segment
    if segment * page.samplesperpixel * page.dtype.itemsize > _MOST_SEGMENT_BYTES:
        return Alpha.NONE
    try:
        return _judged(page, color, -(-page.imagewidth * page.imagelength // _MOST_PIXELS))
    except Exception:  # a damaged strip becomes an error when the picture is read
        return Alpha.NONE


def _judged(page: tifffile.TiffPage, color: int, step: int) -> Alpha:
    is_float = page.dtype is not None and page.dtype.kind == "f"
    top = 1.0 if is_float else float(2**page.bitspersample - 1)
    clear = opaque = total = 0
    is_covered, is_range = True, True
    for number, (samples, *_) in enumerate(page.segments(maxworkers=1)):
        if number % step or samples is None:
            continue
        pixels: Samples = np.asarray(samples).reshape(-1, page.samplesperpixel)
        alpha, brightest = pixels[:, color], pixels[:, :color].max(axis=1)
        total += len(alpha)
        clear += int((alpha == 0).sum())
        opaque += int((alpha == top).sum())
        is_covered = is_covered and bool((brightest <= alpha).all())
        is_range = is_range and bool(((alpha >= 0) & (alpha <= top)).all())
    if not total or not is_range or clear == total:
        return Alpha.NONE
    if opaque == total:
        return Alpha.STRAIGHT
    if min(clear, opaque) < _EACH_SHARE * total:
        return Alpha.NONE
    if is_covered:
        return Alpha.ASSOCIATED
    return Alpha.STRAIGHT if clear + opaque >= _CUTOUT_SHARE * total else Alpha.NONE
