"""How much an expansion tears a picture: neighbours that it drives apart, or whose order it reverses.

A smooth expansion needs a moderate slope: BT.2446-1 A multiplies what the eye sees of a difference between
neighbours by 1.2 to 2.5 (boost 4.93), over 2 only near white. A curve that is steep near white, or a gain
that jumps between two areas of one colour, makes patches and rims of differences that were hardly visible.
Differences are in PU21 units, which are equally visible at every luminance. A difference of colour counts
like one of luminance: a gain that changes at an edge which the SDR picture shows is no tear.
"""

import numpy as np
from numpy.typing import NDArray

from evaluation.metrics import pu21
from luxscaler.color import luminance
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

STEEPEST = 2.0
"""A neighbour's difference may grow this many times."""
VISIBLE = 1.0
"""PU21 units: the step of an 8-bit sRGB code in mid-grey. Smaller differences in SDR count as this one."""


def tearing(sdr: FloatArray, expanded: FloatArray) -> float:
    """The share of pairs of neighbouring pixels that are torn, in percent; 0 for a single pixel.

    sdr, expanded: (H, W, 3) float32 linear Rec.709, 1.0 = 203 cd/m². A pair, beside or below one another, is
    torn when its luminances differ more than STEEPEST times as much as the largest difference of a channel in
    the SDR picture, or when the darker one became the brighter one, both by more than VISIBLE.
    """
    channels, light, result = seen(sdr), seen(luminance(sdr)), seen(luminance(expanded))
    torn = pairs = 0
    for axis in (0, 1):
        before, after = np.diff(light, axis=axis), np.diff(result, axis=axis)
        edge = np.abs(np.diff(channels, axis=axis)).max(axis=2)
        steep = np.abs(after) > STEEPEST * np.maximum(edge, VISIBLE)
        turned = (before * after < 0) & (np.minimum(np.abs(before), np.abs(after)) > VISIBLE)
        torn += int(np.count_nonzero(steep | turned))
        pairs += after.size
    return 100 * torn / max(pairs, 1)


def seen(linear: FloatArray) -> NDArray[np.float64]:
    """Linear light in PU21 units."""
    return pu21(linear * REFERENCE_WHITE_CD_M2)
