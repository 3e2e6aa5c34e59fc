"""Colour arithmetic: transfer functions, primaries, and the matrices between them. NumPy only.

Everything here is a pure function of arrays. Transfer functions work sample by sample, keep the floating
dtype they are given (so that a small table can be made in float64 and a picture stays float32) and are
odd, f(-x) = -f(x), so that the negative values of wide-gamut colours survive. "Linear" means the pixel
contract: 1.0 = SDR white = 203 cd/m². ICC profiles are applied in io/icc.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luxscaler.errors import InputError
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

Floats = NDArray[np.floating]
"""float32 or float64 of any shape; the result of a transfer function has the same dtype."""
Matrix = NDArray[np.float64]
"""3 × 3, applied to column vectors."""
Point = tuple[float, float]
"""A chromaticity: CIE 1931 x, y."""

D65: Point = (0.3127, 0.3290)
EQUAL_ENERGY: Point = (1 / 3, 1 / 3)
"""Illuminant E."""


@dataclass(frozen=True)
class Primaries:
    """Chromaticities of an RGB space."""

    red: Point
    green: Point
    blue: Point
    white: Point = D65

    @property
    def chromaticities(self) -> tuple[float, ...]:
        """x, y of red, green, blue and white: eight numbers in the order of the file formats."""
        return *self.red, *self.green, *self.blue, *self.white


REC709 = Primaries((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
"""ITU-R BT.709-6 and IEC 61966-2-1 (sRGB)."""
DISPLAY_P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
"""SMPTE EG 432-1 primaries with D65."""
DCI_P3 = Primaries((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))
"""SMPTE RP 431-2, with the white of the cinema."""
REC2020 = Primaries((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
"""ITU-R BT.2020-2 and BT.2100-2."""
ADOBE_RGB = Primaries((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))
"""Adobe RGB (1998)."""
REC601_625 = Primaries((0.640, 0.330), (0.290, 0.600), (0.150, 0.060))
"""ITU-R BT.601-7, 625 lines."""
REC601_525 = Primaries((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
"""ITU-R BT.601-7, 525 lines; SMPTE 170M."""

PROPHOTO = Primaries((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))
"""ISO 22028-2, ROMM RGB."""
ACES_WHITE: Point = (0.32168, 0.33767)
AP0 = Primaries((0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.0770), ACES_WHITE)
"""SMPTE ST 2065-1, ACES2065-1."""
AP1 = Primaries((0.713, 0.293), (0.165, 0.830), (0.128, 0.044), ACES_WHITE)
"""Academy S-2014-004, ACEScg."""

REC709_TO_REC2020: Matrix = np.array(
    [
        [0.6274038959346989, 0.3292830383778838, 0.0433130656874172],
        [0.0690972893582320, 0.9195403950754587, 0.0113623155663093],
        [0.0163914388751502, 0.0880133078772257, 0.8955952532476242],
    ]
)
"""`rgb_to_rgb(REC709, REC2020)`, written out so that files do not depend on the machine's linear algebra."""
LUMINANCE_WEIGHTS = (0.2126, 0.7152, 0.0722)
"""Weights of linear Rec.709 R, G and B in luminance (ITU-R BT.709-6, item 3.2)."""
LUMINANCE = np.array(LUMINANCE_WEIGHTS, np.float32)

ADOBE_RGB_GAMMA = 563 / 256
_BT2020_ALPHA, _BT2020_BETA = 1.09929682680944, 0.018053968510807

# IEC 61966-2-1: the slope of the dark end, where it ends, and the power above.
_SRGB_SLOPE = 12.92
_SRGB_LINEAR_END = 0.0031308
_SRGB_CODED_END = 0.04045
_SRGB_SCALE = 1.055
_SRGB_OFFSET = 0.055
_SRGB_GAMMA = 2.4

PQ_PEAK_CD_M2 = 10_000.0
"""Luminance of the PQ signal 1.0 (SMPTE ST 2084:2014, 5.1)."""
_PQ_PEAK = PQ_PEAK_CD_M2 / REFERENCE_WHITE_CD_M2
# SMPTE ST 2084:2014, 5.2.
_PQ_M1 = 2610 / 16384
_PQ_M2 = 2523 / 4096 * 128
_PQ_C1 = 3424 / 4096
_PQ_C2 = 2413 / 4096 * 32
_PQ_C3 = 2392 / 4096 * 32

_HLG_PEAK = 1000.0 / REFERENCE_WHITE_CD_M2
# ITU-R BT.2100-2, table 5. The system gamma is 1.2 at a nominal peak of 1000 cd/m².
_HLG_GAMMA = 1.2
_HLG_A = 0.17883277
_HLG_B = 1 - 4 * _HLG_A
_HLG_C = 0.5 - _HLG_A * float(np.log(4 * _HLG_A))


def _curve(values: Floats, magnitude: Floats) -> Floats:
    """Give `magnitude`, the curve of |values|, the sign and the dtype of `values`."""
    return np.copysign(magnitude, values).astype(values.dtype, copy=False)


def decode_srgb(coded: Floats) -> Floats:
    """sRGB values, 1.0 = white, to linear (IEC 61966-2-1). Beyond 1 the formula is extended."""
    size = np.abs(coded)
    power = ((size + _SRGB_OFFSET) / _SRGB_SCALE) ** _SRGB_GAMMA
    return _curve(coded, np.where(size <= _SRGB_CODED_END, size / _SRGB_SLOPE, power))


def encode_srgb(linear: Floats) -> Floats:
    """Linear values, 1.0 = white, to sRGB (IEC 61966-2-1). Beyond 1 the formula is extended."""
    size = np.abs(linear)
    power = _SRGB_SCALE * size ** (1 / _SRGB_GAMMA) - _SRGB_OFFSET
    return _curve(linear, np.where(size <= _SRGB_LINEAR_END, size * _SRGB_SLOPE, power))


def decode_gamma(coded: Floats, gamma: float) -> Floats:
    """A pure power law: coded values, 1.0 = white, to linear = coded^gamma."""
    return _curve(coded, np.abs(coded) ** gamma)


def encode_gamma(linear: Floats, gamma: float) -> Floats:
    """The inverse of `decode_gamma`: linear values to linear^(1/gamma)."""
    return _curve(linear, np.abs(linear) ** (1 / gamma))


def encode_romm(linear: Floats) -> Floats:
    """Linear values, 1.0 = white, to ROMM RGB (ISO 22028-2): a straight line, then the power 1/1.8."""
    size = np.abs(linear)
    return _curve(linear, np.where(size < 1 / 512, size * 16, size ** (1 / 1.8)))


def encode_bt2020(linear: Floats) -> Floats:
    """Linear values, 1.0 = white, to the signal of a camera (ITU-R BT.2020-2, table 4, OETF)."""
    size = np.abs(linear)
    power = _BT2020_ALPHA * size**0.45 - (_BT2020_ALPHA - 1)
    return _curve(linear, np.where(size < _BT2020_BETA, size * 4.5, power))


def decode_pq(coded: Floats) -> Floats:
    """PQ signal in [-1, 1] to linear, 1.0 = 203 cd/m², at most 49.26 (SMPTE ST 2084, EOTF).

    Values outside the range are clamped: the formula has a pole just above 1.
    """
    power = np.minimum(np.abs(coded), 1.0) ** (1 / _PQ_M2)
    ratio = np.maximum(power - _PQ_C1, 0.0) / (_PQ_C2 - _PQ_C3 * power)
    return _curve(coded, _PQ_PEAK * ratio ** (1 / _PQ_M1))


def encode_pq(linear: Floats) -> Floats:
    """Linear, 1.0 = 203 cd/m², to a PQ signal (SMPTE ST 2084, inverse EOTF); clamped at 10 000 cd/m²."""
    return _curve(linear, pq_signal(np.minimum(np.abs(linear) / _PQ_PEAK, 1.0)))


def pq_signal(light: Floats) -> Floats:
    """Luminance in [0, 1], 1.0 = PQ_PEAK_CD_M2, to a PQ signal in [0, 1]: `encode_pq` without its checks."""
    power = light**_PQ_M1
    return np.asarray(((_PQ_C1 + _PQ_C2 * power) / (1 + _PQ_C3 * power)) ** _PQ_M2)


def decode_hlg_scene(coded: Floats) -> Floats:
    """HLG signal to scene light, 1.0 = nominal peak (ITU-R BT.2100-2, inverse OETF)."""
    size = np.abs(coded)
    return _curve(coded, np.where(size <= 0.5, size**2 / 3, (np.exp((size - _HLG_C) / _HLG_A) + _HLG_B) / 12))


def hlg_scene_to_display(scene: FloatArray) -> FloatArray:
    """HLG scene light to linear light of a display with 1000 cd/m² (ITU-R BT.2100-2, OOTF, gamma 1.2).

    scene: (height, width, 3) float32, Rec.2020 primaries, 1.0 = nominal peak; the result has the same
    shape and primaries and 1.0 = 203 cd/m², which HLG reaches at a signal of 75 % (ITU-R BT.2408).
    """
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    gain = np.maximum(luminance, 0.0) ** np.float32(_HLG_GAMMA - 1)
    return scene * (gain * np.float32(_HLG_PEAK))[..., None]


def luminance(rgb: FloatArray) -> FloatArray:
    """(..., 3) float32, linear Rec.709, to its luminance (...), 1.0 = SDR white."""
    return np.asarray(rgb @ LUMINANCE, np.float32)


def _xyz(point: Point) -> NDArray[np.float64]:
    x, y = point
    if not (np.isfinite([x, y]).all() and abs(y) > 1e-6):
        raise InputError(f"chromaticities need a finite x and a y that is not 0, got {x}, {y}")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _corner(point: Point) -> NDArray[np.float64]:
    """XYZ of a primary, at any scale: y is 0 for the X and Z of CIE XYZ itself."""
    x, y = point
    return np.array([x, y, 1 - x - y]) if y == 0 and np.isfinite(x) else _xyz(point)


def rgb_to_xyz(primaries: Primaries) -> Matrix:
    """The 3 × 3 matrix from linear RGB to CIE XYZ with Y = 1 for RGB 1, 1, 1 (SMPTE RP 177).

    Raises InputError for chromaticities that span no gamut, such as three equal ones.
    """
    corners = np.stack([_corner(primaries.red), _corner(primaries.green), _corner(primaries.blue)], axis=1)
    if abs(np.linalg.det(corners)) < 1e-9:
        raise InputError(f"chromaticities span no gamut: {primaries}")
    return np.asarray(corners * np.linalg.solve(corners, _xyz(primaries.white)))


def xyz_to_rec709(white: Point) -> Matrix:
    """CIE XYZ, adapted by Bradford from `white` to D65, to linear Rec.709; 3 × 3 for column vectors."""
    return np.asarray(np.linalg.solve(rgb_to_xyz(REC709), bradford(white, D65)), np.float64)


def bradford(source_white: Point, target_white: Point) -> Matrix:
    """The 3 × 3 XYZ matrix of the Bradford adaptation between two whites (ICC.1:2022, annex E)."""
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gains = (cone @ _xyz(target_white)) / (cone @ _xyz(source_white))
    return np.asarray(np.linalg.inv(cone) @ (gains[:, None] * cone))


def rgb_to_rgb(source: Primaries, target: Primaries = REC709) -> Matrix:
    """The 3 × 3 matrix from linear RGB of `source` to linear RGB of `target`.

    White stays white: where the two whites differ, Bradford adaptation lies between. Raises InputError
    for chromaticities that span no gamut.
    """
    to_xyz = rgb_to_xyz(source)
    if source.white != target.white:
        to_xyz = bradford(source.white, target.white) @ to_xyz
    return np.asarray(np.linalg.solve(rgb_to_xyz(target), to_xyz))


def apply_matrix(rgb: FloatArray, matrix: ArrayLike) -> FloatArray:
    """Apply a 3 × 3 matrix to every pixel of a (height, width, 3) float32 picture, in one pass (BLAS).

    Returns a new array of the same shape; values are neither clipped nor rounded beyond float32.
    """
    return rgb @ np.asarray(matrix, np.float32).T
