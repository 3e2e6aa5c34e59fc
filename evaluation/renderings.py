"""Five ways in which an SDR picture comes to be, each with the HDR reference to compare with.

An SDR picture holds no absolute luminance, so the reference is scaled until the part that the rendering
left alone (below the shoulder) agrees with it; where a curve bends everywhere, the median luminances agree.
An expansion is judged by the rest. SDR is 8-bit sRGB-coded.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from luxscaler.color import decode_srgb, encode_srgb, luminance
from luxscaler.picture import REFERENCE_WHITE_CD_M2, FloatArray

CAP_CD_M2 = 1000.0
"""The reference is capped here: what a display of this class shows."""
WHITE_PERCENTILE = 95.0
"""Of luminance: where a clipped rendering has its white."""
MID_GREY = 0.18
HABLE = (0.15, 0.50, 0.10, 0.20, 0.02, 0.30)
"""Shoulder strength, linear strength, linear angle, toe strength, toe numerator, toe denominator."""
HABLE_WHITE = 11.2
CAMERA_EXPOSURE = 0.5
CAMERA_KNEE = 0.4
JPEG_QUALITY = 85


@dataclass(frozen=True)
class Rendering:
    """An SDR picture and the HDR picture it should become; both under the pixel contract, the same size."""

    sdr: FloatArray
    """(H, W, 3) float32, linear, in [0, 1], on the grid of 8-bit sRGB."""
    reference: FloatArray
    """(H, W, 3) float32, linear, 1.0 = 203 cd/m², not negative; luminance at most CAP_CD_M2."""


def capped(rgb: FloatArray) -> FloatArray:
    """Pixels brighter than CAP_CD_M2 are darkened to it, colour kept."""
    cap = CAP_CD_M2 / REFERENCE_WHITE_CD_M2
    gain = cap / np.maximum(luminance(rgb), cap)
    return np.asarray(rgb * gain[..., None], np.float32)


def hard_clip(hdr: FloatArray) -> Rendering:
    """White at the 95th percentile of luminance; everything above is cut off, channel by channel."""
    scene = _exposed(hdr)
    return Rendering(_quantized(scene), capped(scene))


def filmic(hdr: FloatArray) -> Rendering:
    """Hable's curve (GDC 2010, "Uncharted 2: HDR lighting"), per channel, white 11.2.

    The exposure renders the median luminance as mid-grey, 0.18.
    """
    exposure = hable_inverse(MID_GREY) / max(float(np.median(luminance(hdr))), 1e-9)
    scene = hdr * np.float32(exposure)
    return _median_anchored(scene, hable(scene))


def hable(scene: FloatArray) -> FloatArray:
    """Hable's curve: 0 → 0, HABLE_WHITE → 1."""
    return np.asarray(_hable(scene) / _hable(np.float32(HABLE_WHITE)), np.float32)


def hable_inverse(rendered: float) -> float:
    """The scene value that hable() renders as `rendered`, in [0, 1]: the positive root of a quadratic."""
    a, b, c, d, e, f = HABLE
    level = rendered * float(_hable(np.float32(HABLE_WHITE))) + e / f
    return float(np.roots([a * (1 - level), b * (c - level), d * (e - level * f)]).real.max())


def camera(hdr: FloatArray) -> Rendering:
    """One stop under hard_clip: linear up to 0.4, from there an exponential shoulder that only nears 1."""
    scene = _exposed(hdr) * np.float32(CAMERA_EXPOSURE)
    room = 1 - CAMERA_KNEE
    shoulder = CAMERA_KNEE + room * (1 - np.exp(-(scene - CAMERA_KNEE) / room))
    return Rendering(_quantized(np.where(scene <= CAMERA_KNEE, scene, shoulder)), capped(scene))


def jpeg(hdr: FloatArray) -> Rendering:
    """hard_clip, stored as a JPEG of quality 85 with Pillow's 4:2:0 subsampling."""
    scene = _exposed(hdr)
    file = io.BytesIO()
    Image.fromarray(codes_of(scene)).save(file, "JPEG", quality=JPEG_QUALITY)
    with Image.open(file) as picture:
        codes = np.asarray(picture)
    return Rendering(decoded(codes), capped(scene))


def aces(hdr: FloatArray) -> Rendering:
    """A strong film curve as a stress test: Narkowicz's fit of the ACES reference rendering (2016).

    Per channel, exposure 0.8 times hard_clip's. It darkens shadows and lifts midtones, which no expansion
    that pins midtones undoes.
    """
    scene = _exposed(hdr) * np.float32(0.8)
    rendered = scene * (2.51 * scene + 0.03) / (scene * (2.43 * scene + 0.59) + 0.14)
    return _median_anchored(scene, np.asarray(rendered, np.float32))


RENDERINGS: dict[str, Callable[[FloatArray], Rendering]] = {
    "hard clip": hard_clip,
    "filmic": filmic,
    "camera −1": camera,
    "JPEG 85": jpeg,
    "ACES": aces,
}
"""By the name in the tables. Each takes (H, W, 3) float32 linear light, finite, not negative, any scale."""


def _exposed(hdr: FloatArray) -> FloatArray:
    """The picture with the 95th percentile of its luminance at 1.0."""
    white = float(np.percentile(luminance(hdr), WHITE_PERCENTILE))
    return np.asarray(hdr / np.float32(max(white, 1e-9)), np.float32)


def _hable(scene: FloatArray | np.float32) -> FloatArray:
    a, b, c, d, e, f = HABLE
    curve = (scene * (a * scene + c * b) + d * e) / (scene * (a * scene + b) + d * f) - e / f
    return np.asarray(curve, np.float32)


def _median_anchored(scene: FloatArray, rendered: FloatArray) -> Rendering:
    sdr = _quantized(rendered)
    scale = float(np.median(luminance(sdr))) / max(float(np.median(luminance(scene))), 1e-9)
    return Rendering(sdr, capped(scene * np.float32(scale)))


def codes_of(linear: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """8-bit sRGB codes of linear light, clipped to [0, 1]."""
    return np.round(encode_srgb(np.clip(linear, 0, 1)) * 255).astype(np.uint8)


def decoded(codes: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> FloatArray:
    """Linear light of 8-bit sRGB codes."""
    return decode_srgb(np.arange(256) / 255).astype(np.float32)[codes]


def _quantized(linear: FloatArray) -> FloatArray:
    return decoded(codes_of(linear))
