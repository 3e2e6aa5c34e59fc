"""The coding of HDR on the web: PQ (SMPTE ST 2084) in BT.2020 or P3 primaries, and light levels (CTA-861.3).

PQ codes absolute luminance from 0 to 10,000 cd/m². Values beyond are clipped, channel by channel; a colour
outside the primaries has negative channels and is thereby brought to the border of the gamut.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import (
    DISPLAY_P3,
    PQ_PEAK_CD_M2,
    REC709,
    REC709_TO_REC2020,
    REC2020,
    Matrix,
    Primaries,
    pq_signal,
    rgb_to_rgb,
)
from luxscaler.io.frame import Frame, in_bands
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray


@dataclass(frozen=True)
class PqSpace:
    """Primaries that PQ files come in."""

    primaries: Primaries
    from_rec709: Matrix
    cicp: tuple[int, int, int]
    """Code points of ITU-T H.273: primaries, transfer (16: PQ), matrix of luma and chroma (0 would be
    RGB)."""


_REC2020 = PqSpace(REC2020, REC709_TO_REC2020, (9, 16, 9))
# Matrix: that of BT.601, libavif's own choice, since P3 has none.
_P3 = PqSpace(DISPLAY_P3, rgb_to_rgb(REC709, DISPLAY_P3), (12, 16, 6))
_SPACES = {"display-p3": _P3}
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

    def mastering_display(self, space: PqSpace) -> tuple[int, ...]:
        """Return x, y of red, green, blue and white in 0.00002, then the largest and the smallest luminance
        in 0.0001 cd/m²: PNG's mDCV, after SMPTE ST 2086.

        There was no mastering display. A nominal one that can show the whole picture is declared: the
        primaries of the file, D65, and the first of 1000, 2000, 4000 and 10,000 cd/m² that reaches MaxCLL.
        """
        largest = next(level for level in _DISPLAYS_CD_M2 if self.max_cll <= level)
        chromaticities = (round(value * 50_000) for value in space.primaries.chromaticities)
        return *chromaticities, largest * 10_000, 1


def pq_space(frame: Frame) -> PqSpace:
    """The primaries of the frame's file: BT.2020, unless its profile is Display P3."""
    return _SPACES.get(frame.profile.name, _REC2020)


def encode_pq(frame: Frame, bits: int) -> tuple[NDArray[np.uint16], LightLevels]:
    """Return (height, width, 3 or 4) codes of `bits` bits, full range, rounded to nearest, and light levels.

    Alpha is linear and the colour straight. In float64: PQ's exponent of 79 would show float32's rounding in
    the last of 16 bits.
    """
    height, width = frame.rgb.shape[:2]
    coded = np.empty((height, width, 3 if frame.alpha is None else 4), np.uint16)
    space = pq_space(frame)
    levels: dict[int, tuple[float, float]] = {}  # by band, so that the sum has one order

    def encode(band: slice) -> None:
        alpha = None if frame.alpha is None else frame.alpha[band]
        levels[band.start] = code_band(space, frame.rgb[band], alpha, bits, coded[band])
        if frame.is_grey:
            coded[band, :, :3] = coded[band, :, 1:2]

    in_bands(height, width, encode)
    return coded, light_levels([levels[start] for start in sorted(levels)], height * width)


def code_band(
    space: PqSpace, rgb: FloatArray, alpha: FloatArray | None, bits: int, coded: NDArray[np.uint16]
) -> tuple[float, float]:
    """Write the codes of `encode_pq` into `coded`; return the largest max(R, G, B) and the sum of all.

    rgb, alpha: a band of the picture, as in Frame. The two light levels: 1 = 10,000 cd/m², as coded.
    """
    top = 2**bits - 1
    light = np.clip(rgb @ space.from_rec709.T * (REFERENCE_WHITE_CD_M2 / PQ_PEAK_CD_M2), 0, 1)
    brightest = light.max(axis=2)
    coded[..., :3] = np.rint(pq_signal(light) * top)
    if alpha is not None:
        coded[..., 3] = np.rint(np.multiply(alpha, top, dtype=np.float64))
    return float(brightest.max()), float(brightest.sum())


def light_levels(bands: Sequence[tuple[float, float]], pixels: int) -> LightLevels:
    """Return the picture's levels from what `code_band` said of its bands, in their order from the top."""
    peak = max(largest for largest, _ in bands)
    return LightLevels(peak * PQ_PEAK_CD_M2, sum(total for _, total in bands) / pixels * PQ_PEAK_CD_M2)
