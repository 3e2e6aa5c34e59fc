"""ICC profiles: samples through them to linear Rec.709 by LittleCMS (imagecodecs), and profiles to write.

LittleCMS computes in float whenever its result is float, also for integer samples (measured: the green
of Display P3 comes out as -0.2249, 1.0421, -0.0786), so that colours outside Rec.709 come out below 0 or
above 1 instead of being clipped. Relative colorimetric intent, without black point compensation: white
becomes 1, 1, 1. Profiles that say sRGB in their numbers take the exact and faster formula instead.
"""

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from luxscaler.color import REC709, Matrix, apply_matrix, decode_srgb
from luxscaler.io.color_encoding import LINEAR_ASSUMED, SRGB_ASSUMED, ColorCoding, from_icc
from luxscaler.io.decoder import Samples
from luxscaler.io.profiles import OutputProfile
from luxscaler.picture import FloatArray
from luxscaler.words import counted

MAX_PROFILE_BYTES = 16 * 2**20
"""Larger profiles are treated as damaged; those of printers reach about 3 MB."""

_SPACES = {b"RGB ": "rgb", b"GRAY": "gray", b"CMYK": "cmyk"}
# Grey samples with an RGB profile are grey RGB.
_FITTING = {("rgb", 3), ("rgb", 1), ("gray", 1), ("cmyk", 4)}
_RELATIVE_COLORIMETRIC = 1
# Profiles of sRGB round their numbers differently; half a step of 8 bits at white is 0.0044 in linear.
_SRGB_TOLERANCE = 1e-3
_MODEL_CHECKS = 4096
_SLOPE_STEP = 1 / 256
# LittleCMS rounds matrices to 1/65536; an error of 5e-5 in linear is a hundredth of an 8-bit step at white.
_MODEL_TOLERANCE = 5e-5


def profile_coding(profile: bytes, channels: int) -> tuple[ColorCoding | None, tuple[str, ...]]:
    """The coding of an ICC profile for `channels` colour channels; None and a notice where it is unusable.

    A damaged profile is no reason to refuse the picture, so the caller goes on to its next guess.
    """
    space = profile_space(profile)
    if len(profile) > MAX_PROFILE_BYTES or space is None:
        return None, ("the ICC profile is damaged or of an unknown kind; it is ignored",)
    if (space, channels) not in _FITTING:
        return None, (
            f"the ICC profile is for {space}, not for {counted(channels, 'channel')}; it is ignored",
        )
    try:
        if space == "rgb" and is_srgb(profile):
            return ColorCoding("ICC: sRGB"), ()
        to_linear(np.zeros((1, 1, channels), np.uint8), profile)
        return from_icc(profile, _description(profile)), ()
    except (imagecodecs.CmsError, ValueError):
        return None, ("the ICC profile cannot be used; it is ignored",)


def profile_or_assumed(
    profile: bytes | None, channels: int, *, is_float: bool
) -> tuple[ColorCoding, tuple[str, ...]]:
    """The coding of a usable ICC profile; else sRGB for integers, linear Rec.709 for floats; and notices."""
    assumed = LINEAR_ASSUMED if is_float else SRGB_ASSUMED
    if profile is None:
        return assumed, ()
    coding, notices = profile_coding(profile, channels)
    return coding or assumed, notices


def profile_space(profile: bytes) -> str | None:
    """ "rgb", "gray", "cmyk", or None for any other space (ICC.1:2022, section 7.2.6)."""
    return _SPACES.get(profile[16:20]) if profile[36:40] == b"acsp" else None


def to_linear(samples: Samples, profile: bytes) -> FloatArray:
    """Convert samples through a profile to linear Rec.709, unclipped.

    samples: (height, width, channels of the profile), uint8 or uint16 over their full range, or float32
    with 1.0 = full. Returns (height, width, 3) float32, 1.0 = white. Raises
    imagecodecs.CmsError or ValueError where the profile does not fit.
    """
    space = profile_space(profile)
    if space == "rgb" and samples.shape[2] == 1:
        samples = np.repeat(samples, 3, axis=2)
    if space == "cmyk" and samples.dtype.kind == "f":
        samples = samples * np.float32(100)  # LittleCMS counts float inks in per cent
    result = imagecodecs.cms_transform(
        samples[..., 0] if space == "gray" else samples,
        profile,
        linear_profile(),
        colorspace=space,
        outcolorspace="rgb",
        outdtype="float32",
        intent=_RELATIVE_COLORIMETRIC,
    )
    return np.asarray(result, np.float32).reshape(*samples.shape[:2], 3)


@lru_cache(maxsize=16)
def ends_of(profile: bytes, channels: int) -> tuple[float, float]:
    """The sample values below and above which LittleCMS clips; infinite where it does not.

    Tables end at 0 and 1, power curves at 0. Inks count as unclipped: none is thicker than full.
    """
    if profile_space(profile) == "cmyk":
        return -math.inf, math.inf
    grey = np.repeat(np.array([-0.5, 0, 1, 1.5], np.float32)[None, :, None], channels, axis=2)
    below, black, white, above = to_linear(grey, profile)[0]
    low = 0.0 if np.array_equal(below, black) else -math.inf
    return low, 1.0 if np.array_equal(above, white) else math.inf


def to_linear_beyond(samples: FloatArray, profile: bytes) -> FloatArray:
    """`to_linear` of float samples, on straight lines where LittleCMS would clip them.

    A profile's table ends at 1, and an HDR picture has values above. The lines go on with the slope that the
    profile has at its ends, channel by channel. Shapes, range and errors are those of `to_linear`.
    """
    result = to_linear(samples, profile)
    low, high = ends_of(profile, samples.shape[2])
    if math.isinf(low) and math.isinf(high):
        return result  # nothing was clipped
    inside = np.clip(samples, low, high).astype(np.float32, copy=False)
    beyond = (inside != samples).any(axis=2)
    if not beyond.any():
        return result
    ends, excess = inside[beyond][None], (samples - inside)[beyond][None]
    at_ends = to_linear(ends, profile)
    continued = at_ends.astype(np.float64)
    for channel in range(samples.shape[2]):
        step = np.where(ends[..., channel] > 0.5, -_SLOPE_STEP, _SLOPE_STEP).astype(np.float32)
        near = ends.copy()
        near[..., channel] += step
        slope = (to_linear(near, profile) - at_ends) / step[..., None]
        continued += slope * excess[..., channel, None]
    result[beyond] = continued[0]
    return result


@dataclass(frozen=True, eq=False)
class MatrixModel:
    """A profile as three tables and a matrix: several times faster than LittleCMS, pixel by pixel."""

    tables: tuple[FloatArray, FloatArray, FloatArray]
    """Per channel: every coded value to its linear light, 1.0 = full."""
    matrix: Matrix
    """From that light to linear Rec.709."""


@lru_cache(maxsize=4)
def matrix_model(profile: bytes, bits: int) -> MatrixModel | None:
    """Measure an RGB profile as three curves and a matrix, and check the model against other colours.

    bits: 8 or 16, of the samples to convert. None where the profile is something else (it has tables of
    colours), or is not black at 0. Raises what `to_linear` raises.
    """
    dtype = np.uint8 if bits == 8 else np.uint16
    # One ramp of grey instead of three of pure colours: most of the time is LittleCMS's.
    corners = np.diag([2**bits - 1] * 3).astype(dtype)[None]
    columns = to_linear(corners, profile)[0].T.astype(np.float64)
    grey = np.arange(2**bits, dtype=dtype)[None, :, None].repeat(3, axis=2)
    try:
        tables = np.linalg.solve(columns, to_linear(grey, profile)[0].T).astype(np.float32)
    except np.linalg.LinAlgError:
        return None
    model = MatrixModel((tables[0], tables[1], tables[2]), columns)
    sample = _scattered(3 * _MODEL_CHECKS).astype(dtype).reshape(1, _MODEL_CHECKS, 3)
    fits = np.abs(apply_model(sample, model) - to_linear(sample, profile)).max() < _MODEL_TOLERANCE
    return model if fits else None


def _scattered(count: int) -> NDArray[np.uint32]:
    """Numbers without a pattern, by a hash of their index: the first use of numpy.random costs 20 ms."""
    numbers = np.arange(count, dtype=np.uint32)
    for _ in range(2):
        numbers = (numbers ^ numbers >> np.uint32(16)) * np.uint32(0x45D9F3B)
    return numbers ^ numbers >> np.uint32(16)


def apply_model(samples: Samples, model: MatrixModel) -> FloatArray:
    """Convert (height, width, 3) samples of the model's bit depth to linear Rec.709, unclipped."""
    light = np.empty(samples.shape, np.float32)
    for channel, table in enumerate(model.tables):
        light[..., channel] = table.take(samples[..., channel])
    return apply_matrix(light, model.matrix)


@lru_cache(maxsize=16)
def is_srgb(profile: bytes) -> bool:
    """Whether an RGB profile maps a grid of colours as sRGB does, within a third of an 8-bit step."""
    steps = np.linspace(0, 1, 6, dtype=np.float32)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    difference = np.abs(to_linear(grid, profile) - decode_srgb(grid)).max()
    return bool(difference < _SRGB_TOLERANCE)


@lru_cache(maxsize=1)
def linear_profile() -> bytes:
    """The profile of linear Rec.709, which TIFF files carry."""
    corners, white = REC709.chromaticities[:6], REC709.white
    return _dated(bytes(imagecodecs.cms_profile("rgb", whitepoint=white, primaries=corners, gamma=1.0)))


@lru_cache(maxsize=1)
def srgb_grey_profile() -> bytes:
    """The profile of grey with the curve of sRGB, which TIFF files of one channel of 16 bits carry."""
    curve = decode_srgb(np.linspace(0, 1, 4096)).astype(np.float32)
    return _dated(bytes(imagecodecs.cms_profile("gray", whitepoint=REC709.white, transferfunction=curve)))


@lru_cache(maxsize=1)
def linear_grey_profile() -> bytes:
    """The profile of linear grey, D65, which TIFF files of one channel carry."""
    return _dated(bytes(imagecodecs.cms_profile("gray", whitepoint=REC709.white, gamma=1.0)))


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The profile of sRGB (IEC 61966-2-1) as LittleCMS makes it, which WebP and JPEG files carry."""
    return _dated(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def coded_profile(profile: OutputProfile) -> bytes:
    """The profile of the code values that WebP and TIFF of 16 bits hold."""
    return srgb_profile() if profile.name == "srgb" else profile.icc(linear=False)


def _dated(profile: bytes) -> bytes:
    """The profile with a fixed time of creation, six big-endian uint16 at byte 24 (ICC.1:2022, 7.2), so that
    the same picture gives the same bytes.
    """
    return profile[:24] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + profile[36:]


def _description(profile: bytes) -> str:
    try:
        text = ImageCms.ImageCmsProfile(BytesIO(profile)).profile.profile_description or ""
    except (OSError, ImageCms.PyCMSError):
        text = ""
    return " ".join(text.split()) or "without a name"
