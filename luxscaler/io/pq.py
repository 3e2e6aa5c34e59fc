"""The coding of HDR on the web: BT.2020 primaries, PQ, and what CTA-861.3 wants to be known of the picture.

PQ stands for absolute luminance up to 10,000 cd/m² and for nothing below 0: both ends are clipped here, per
channel. A colour outside BT.2020, which is the only one negative in it, is thereby brought to its border.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.io.frame import D65, WHITE_CD_M2, FloatArray, Job, in_bands

PEAK_CD_M2 = 10_000.0
"""SMPTE ST 2084:2014, 5.1."""
REC2020 = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)
"""x, y of red, green, blue: ITU-R BT.2020-2, table 3."""
CICP = (9, 16, 9)
"""ITU-T H.273: BT.2020 primaries, PQ, matrix of BT.2020 non-constant luminance (that of RGB would be 0)."""
# Linear Rec.709 → BT.2020 (ITU-R BT.2087-0, 2.2), to more digits than there; a test computes it again.
TO_REC2020 = np.array(
    [
        [0.6274038959346989, 0.3292830383778838, 0.0433130656874172],
        [0.0690972893582320, 0.9195403950754587, 0.0113623155663093],
        [0.0163914388751502, 0.0880133078772257, 0.8955952532476242],
    ]
)
# SMPTE ST 2084:2014, 5.2.
_M1 = 2610 / 16384
_M2 = 2523 / 4096 * 128
_C1 = 3424 / 4096
_C2 = 2413 / 4096 * 32
_C3 = 2392 / 4096 * 32
_DISPLAYS_CD_M2 = (1000, 2000, 4000, 10_000)


@dataclass(frozen=True)
class LightLevels:
    """Content light levels (CTA-861.3, annex P), of max(R, G, B) of each pixel as it is coded."""

    max_cll: float
    """The largest, in cd/m²."""
    max_fall: float
    """The mean over the picture, in cd/m²."""

    def clli(self) -> tuple[int, int]:
        """Return MaxCLL and MaxFALL in 0.0001 cd/m², the unit of PNG's cLLI."""
        return round(self.max_cll * 10_000), round(self.max_fall * 10_000)

    def mastering_display(self) -> tuple[int, ...]:
        """Return x, y of red, green, blue and white in 0.00002, then the largest and the smallest luminance
        in 0.0001 cd/m²: PNG's mDCV, after SMPTE ST 2086.

        Nobody has watched the picture being made. Declared is a nominal display that shows all of it: BT.2020
        primaries, D65, and the first of 1000, 2000, 4000 and 10,000 cd/m² that reaches MaxCLL.
        """
        largest = next(level for level in _DISPLAYS_CD_M2 if self.max_cll <= level)
        chromaticities = (round(value * 50_000) for value in REC2020 + D65)
        return *chromaticities, largest * 10_000, 1


def encode_pq(job: Job, bits: int) -> tuple[NDArray[np.uint16], LightLevels]:
    """Return (height, width, 3 or 4) codes of `bits` bits, full range, rounded to nearest, and light levels.

    Alpha is linear and the colour straight. In float64: PQ's exponent of 79 would show float32's rounding in
    the last of 16 bits.
    """
    height, width = job.rgb.shape[:2]
    coded = np.empty((height, width, 3 if job.alpha is None else 4), np.uint16)
    levels: dict[int, tuple[float, float]] = {}  # by band, so that the sum has one order

    def encode(band: slice) -> None:
        alpha = None if job.alpha is None else job.alpha[band]
        levels[band.start] = code_band(job.rgb[band], alpha, bits, coded[band])

    in_bands(height, width, encode)
    return coded, light_levels([levels[start] for start in sorted(levels)], height * width)


def code_band(
    rgb: FloatArray, alpha: FloatArray | None, bits: int, coded: NDArray[np.uint16]
) -> tuple[float, float]:
    """Write the codes of `encode_pq` into `coded`; return the largest max(R, G, B) and the sum of all.

    rgb, alpha: a band of the picture, as in Job. The two light levels: 1 = 10,000 cd/m², as coded.
    """
    top = 2**bits - 1
    light = np.clip(rgb @ TO_REC2020.T * (WHITE_CD_M2 / PEAK_CD_M2), 0, 1)
    brightest = light.max(axis=2)
    coded[..., :3] = np.rint(pq(light) * top)
    if alpha is not None:
        coded[..., 3] = np.rint(np.multiply(alpha, top, dtype=np.float64))
    return float(brightest.max()), float(brightest.sum())


def light_levels(bands: Sequence[tuple[float, float]], pixels: int) -> LightLevels:
    """Return the picture's levels from what `code_band` said of its bands, in their order from the top."""
    peak = max(largest for largest, _ in bands)
    return LightLevels(peak * PEAK_CD_M2, sum(total for _, total in bands) / pixels * PEAK_CD_M2)


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode luminance [0, 1], 1 = 10,000 cd/m², as signal [0, 1]: SMPTE ST 2084:2014, 5.3, inverse EOTF."""
    power: NDArray[np.float64] = light**_M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2
