"""The SDR rendering that PNG, WebP, 16-bit TIFF and JPEGs show: tone map, clip to a gamut, code values."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import Floats, apply_matrix, encode_srgb
from luxscaler.io.frame import Frame, in_bands, rows_of_a_band
from luxscaler.io.profiles import OutputProfile
from luxscaler.picture import FloatArray

Code = TypeVar("Code", bound=np.uint8 | np.uint16)
KNEE = 0.75
"""Linear value up to which `tone_map` changes nothing. Ours: it keeps diffuse whites (about 0.9) close to
where they were and leaves the sRGB codes 225–255 of 255 to the highlights."""


def as_written(coded: NDArray[Code], frame: Frame) -> NDArray[Code]:
    """(height, width, 3 or 4) codes with the channels that a file stores: 1 or 2 of a grey frame."""
    if not frame.has_one_channel:
        return coded
    return np.ascontiguousarray(coded[..., 1:2] if frame.alpha is None else coded[..., 1::2])


def encode_sdr(
    frame: Frame, dtype: np.dtype[np.uint8] | np.dtype[np.uint16], picture: FloatArray | None = None
) -> NDArray[np.uint8 | np.uint16]:
    """Return (height, width, 3 or 4) codes of the frame's profile, which has a curve, tone-mapped, rounded to
    nearest; alpha is linear.

    picture: like frame.rgb, encoded in its place. Computed in float64, so that no code is off by rounding.
    """
    if frame.coded is not None and picture is None:
        return frame.coded.astype(dtype, copy=False)
    top = np.iinfo(dtype).max
    height, width = frame.rgb.shape[:2]
    source = frame.rgb if picture is None else picture
    matrix, curve = frame.profile.matrix, frame.profile.encode or encode_srgb
    coded = np.empty((height, width, 3 if frame.alpha is None else 4), dtype)

    def encode(band: slice) -> None:
        light: Floats = source[band]
        if matrix is not None:
            light = light.astype(np.float64) @ matrix.T
        linear = tone_map(np.maximum(light, 0, dtype=np.float64), frame.sdr_peak)
        coded[band, :, :3] = np.rint(curve(linear) * top)
        if frame.is_grey:
            coded[band, :, :3] = coded[band, :, 1:2]
        if frame.alpha is not None:
            coded[band, :, 3] = np.rint(np.multiply(frame.alpha[band], top, dtype=np.float64))

    in_bands(height, width, encode)
    return coded


def tone_map(rgb: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Bring linear values up to `peak` into [0, 1] for an SDR display; values above `peak` are clipped to 1.

    rgb: (height, width, 3) float64, linear, ≥ 0; it comes back itself where nothing changes, which is so
    for every picture without values above 1 and a peak ≤ 1.

    The curve is equation 4 of Reinhard, Stark, Shirley and Ferwerda, "Photographic tone reproduction for
    digital images" (2002), applied above KNEE: there it starts with slope 1, and for peak → 1 it becomes
    the identity. It maps max(R, G, B) and scales the three channels alike, so hue and saturation stay.
    """
    level = np.maximum(np.maximum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])
    if level.max() <= (KNEE if peak > 1 else 1):
        return rgb
    above = np.maximum(level - KNEE, 0) / (1 - KNEE)
    white = (max(peak, 1.0) - KNEE) / (1 - KNEE)
    mapped = np.minimum(KNEE + (1 - KNEE) * above * (1 + above / white**2) / (1 + above), 1)
    gain = np.divide(mapped, level, out=np.ones_like(level), where=level > KNEE)
    return rgb * gain[..., None]


def peak_in(profile: OutputProfile, rgb: FloatArray) -> float:
    """The largest value of (height, width, 3) linear Rec.709 in the primaries of a profile."""
    matrix = profile.matrix
    rows = rows_of_a_band(rgb.shape[1])
    bands = (rgb[start : start + rows] for start in range(0, rgb.shape[0], rows))
    return max(float((band if matrix is None else apply_matrix(band, matrix)).max()) for band in bands)
