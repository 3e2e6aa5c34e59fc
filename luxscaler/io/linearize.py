"""Stored samples to the pixel contract: bit depth, alpha, transfer curve, ICC profile, primaries.

The work goes strip by strip, so that beside the samples and the result only a few megabytes are needed,
and each strip stays in the cache while the steps pass over it. Integer samples of up to 16 bits go
through a table made in float64: one look-up each, exact to float32.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from luxscaler.color import REC709, apply_matrix, hlg_scene_to_display, rgb_to_rgb
from luxscaler.io.color_encoding import keep_linear
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.icc import apply_model, ends_of, matrix_model, to_linear, to_linear_beyond
from luxscaler.picture import FloatArray, Picture, PictureSource
from luxscaler.words import counted

_STRIP_PIXELS = 1 << 18
_MAX_TABLE_BITS = 16
_EXIF_TRANSPOSED = (5, 6, 7, 8)
_INVERSE = {6: 8, 8: 6}
"""Orientations that are not their own inverse."""
Sample = TypeVar("Sample", bound=np.generic)
LEAST_LIGHT = 1e-5
"""Premultiplied colour below this, 0.002 cd/m², is rounding and not light."""
MOST_STRAIGHT = 64.0
"""Straight colour of a nearly clear pixel above this, 13,000 cd/m², is light that alpha does not cover."""
NEARLY_CLEAR = 0.5
_FLOAT32_MAX = float(np.finfo(np.float32).max)
BEYOND_PROFILE = (
    "values below 0 or above 1, of which the ICC profile says nothing: "
    "its curves are continued in straight lines"
)
_BEYOND = 1e-3
"""How far outside its range a value may lie by rounding."""
ALPHA_CLIPPED = "alpha above 1 or below 0 is clipped"
REPAIRED = "with NaN or infinite values"
"""Part of the notice about pixels that were repaired."""


def oriented(samples: NDArray[Sample], orientation: int) -> NDArray[Sample]:
    """A view of the samples turned upright (EXIF 2.32, tag 274; 1 to 8)."""
    if orientation in _EXIF_TRANSPOSED:
        samples = samples.swapaxes(0, 1)
    rows, columns = {
        1: (1, 1),
        2: (1, -1),
        3: (-1, -1),
        4: (-1, 1),
        5: (1, 1),
        6: (1, -1),
        7: (-1, -1),
        8: (-1, 1),
    }[orientation]
    return samples[::rows, ::columns]


def as_stored(upright: NDArray[Sample], orientation: int) -> NDArray[Sample]:
    """A view of an upright array whose rows are the rows of the file: undoes `oriented`."""
    return oriented(upright, _INVERSE.get(orientation, orientation))


def upright_size(info: FileInfo) -> tuple[int, int]:
    """Width and height after orientation."""
    size = (info.width, info.height)
    return size[::-1] if info.orientation in _EXIF_TRANSPOSED else size


@np.errstate(over="ignore", invalid="ignore")
def linearize(samples: Samples, info: FileInfo, *, light_apart: bool | None = None) -> Picture:
    """Bring upright samples of (height, width, info.channels) under the pixel contract.

    samples: integers from 0 to 2^bits - 1, or float32. NaN becomes 0 and infinity the largest finite size in
    the picture, with a notice, so that neither spreads. Associated colour is divided by alpha; where alpha is
    0 it is kept as it is. light_apart: what `has_light_apart` returned, if it was called.

    Returns a Picture: (height, width, 3) float32, linear Rec.709, 1.0 = SDR white; alpha straight in [0, 1].
    Raises imagecodecs.CmsError where an ICC profile fails.
    """
    notices = info.notices
    if info.is_float:
        samples, repaired = _finite(samples)
        if repaired:
            notices += (f"repaired: {counted(repaired, 'pixel')} {REPAIRED}",)
        if _has_values_beyond(samples, info):
            notices += (BEYOND_PROFILE,)
        if info.alpha is not Alpha.NONE and _has_alpha_beyond(samples):
            notices += (ALPHA_CLIPPED,)
    if _is_contract(samples, info):
        return Picture(samples, None, _source(info, notices))
    height, width = samples.shape[:2]
    has_alpha = info.alpha is not Alpha.NONE
    if light_apart is None:
        light_apart = info.light_apart or has_light_apart(samples, info)
    rgb = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width), np.float32) if has_alpha else None
    to_strip = _converter(info)
    for rows in strips(height, width):
        strip = samples[rows]
        if alpha is not None:
            alpha[rows] = _unit(strip[..., -1], info).clip(0, 1)
            strip = strip[..., :-1]
        if info.inverted:
            strip = (1 if info.is_float else 2**info.bits - 1) - strip
        if alpha is not None and info.alpha is Alpha.ASSOCIATED:
            strip = _straight(_unit(strip, info), alpha[rows])
        rgb[rows] = to_strip(strip)
        if info.is_float:  # a curve, a division or a matrix can overflow
            np.nan_to_num(rgb[rows], copy=False, posinf=_FLOAT32_MAX, neginf=-_FLOAT32_MAX)
    source = _source(info, notices)
    return Picture(rgb, alpha, replace(source, has_light_apart=light_apart and has_alpha))


@np.errstate(invalid="ignore")
def has_light_apart(samples: Samples, info: FileInfo) -> bool:
    """Whether associated colour holds light that alpha does not cover, such as fire or glow.

    It does where alpha is 0 and colour is not, and where alpha is so low that the straight colour would be
    brighter than any surface.
    """
    if info.alpha is not Alpha.ASSOCIATED:
        return False
    for rows in strips(*samples.shape[:2]):
        strip = _unit(samples[rows], info)
        alpha = strip[..., -1].clip(0, 1)
        light = np.abs(strip[..., :-1]).max(axis=2)
        if bool(((alpha < NEARLY_CLEAR) & (light > np.maximum(MOST_STRAIGHT * alpha, LEAST_LIGHT))).any()):
            return True
    return False


def _has_values_beyond(samples: Samples, info: FileInfo) -> bool:
    """Whether colour lies outside the range of its ICC profile.

    Associated colour is not checked: it is divided by alpha before the profile, and of nearly transparent
    pixels the quotient often lies outside.
    """
    profile, color = info.coding.icc, _color_channels(info)
    if profile is None:
        return False
    low, high = ends_of(profile, color)
    if info.alpha is Alpha.ASSOCIATED or (math.isinf(low) and math.isinf(high)):
        return False
    colors = (samples[rows][..., :color] for rows in strips(*samples.shape[:2]))
    return any(bool(strip.min() < low - _BEYOND or strip.max() > high + _BEYOND) for strip in colors)


def _has_alpha_beyond(samples: Samples) -> bool:
    alphas = (samples[rows][..., -1] for rows in strips(*samples.shape[:2]))
    return any(bool(alpha.min() < -_BEYOND or alpha.max() > 1 + _BEYOND) for alpha in alphas)


def has_equal_channels(rgb: FloatArray) -> bool:
    """Whether (height, width, 3) colour is grey, to the bit."""
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all())


def _source(info: FileInfo, notices: tuple[str, ...]) -> PictureSource:
    metadata = info.metadata
    dpi, inherited = metadata.resolution_dpi, metadata.inherited
    if info.orientation in _EXIF_TRANSPOSED:
        inherited = replace(inherited, pixel_aspect=1.0 / inherited.pixel_aspect)
    return PictureSource(
        format=info.format,
        bits=info.source_bits or info.bits,
        is_float=info.is_float and info.source_bits is None,
        color_space=info.coding.name,
        notices=notices + metadata.notices,
        exif=metadata.exif,
        exr_attributes=metadata.exr_attributes,
        resolution_dpi=dpi[::-1] if dpi is not None and info.orientation in _EXIF_TRANSPOSED else dpi,
        inherited=inherited,
        is_grey=_color_channels(info) == 1,
    )


def _is_contract(samples: Samples, info: FileInfo) -> bool:
    """Whether the samples are under the contract as they are, so that no copy is needed."""
    coding = info.coding
    linear = coding.curve is keep_linear and coding.icc is None and coding.primaries == REC709
    plain = info.channels == 3 and info.alpha is Alpha.NONE and not info.inverted
    return linear and plain and samples.dtype == np.float32 and samples.flags.c_contiguous


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture in strips of about 2^18 pixels, which fit into a processor's cache."""
    step = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _unit(samples: Samples, info: FileInfo) -> FloatArray:
    """Samples as float32 with 1.0 = full."""
    if samples.dtype.kind == "f":
        return np.asarray(samples, np.float32)
    # float32 holds no 32-bit integer exactly, so the division of those is made in float64.
    wide = np.float64 if info.bits > _MAX_TABLE_BITS else np.float32
    return np.asarray(samples / wide(2**info.bits - 1), np.float32)


def _straight(color: FloatArray, alpha: FloatArray) -> FloatArray:
    divisor = np.where(alpha > 0, alpha, np.float32(1))
    return np.asarray(color / divisor[..., None], np.float32)


def _converter(info: FileInfo) -> Callable[[Samples], FloatArray]:
    """The function from a strip of colour samples to linear Rec.709 of three channels, or one for grey."""
    coding = info.coding
    profile = coding.icc
    if profile is not None:
        whole = info.bits in (8, 16) and not info.is_float and info.alpha is not Alpha.ASSOCIATED
        model = matrix_model(profile, info.bits) if whole and _color_channels(info) == 3 else None
        if model is not None:
            return lambda strip: apply_model(strip, model)
        # LittleCMS rounds the channels of grey differently.
        kept = np.s_[..., 1:2] if _color_channels(info) == 1 else np.s_[...]
        if info.is_float:
            return lambda strip: to_linear_beyond(np.ascontiguousarray(_unit(strip, info)), profile)[kept]
        return lambda strip: to_linear(
            np.ascontiguousarray(strip) if whole else np.ascontiguousarray(_unit(strip, info)), profile
        )[kept]
    if _color_channels(info) == 4:
        return lambda strip: np.asarray(coding.curve(_inks_to_rgb(_unit(strip, info))), np.float32)
    curve = _curve(info)
    matrix = None if coding.primaries == REC709 else rgb_to_rgb(coding.primaries)

    def convert(strip: Samples) -> FloatArray:
        linear = curve(strip)
        if coding.hlg:
            linear = hlg_scene_to_display(np.broadcast_to(linear, (*linear.shape[:2], 3)))
        # Grey is grey in any primaries: the matrix keeps white.
        return linear if matrix is None or linear.shape[2] == 1 else apply_matrix(linear, matrix)

    return convert


def _inks_to_rgb(inks: FloatArray) -> FloatArray:
    """CMYK, 1.0 = full ink, to sRGB values: what each ink lets through, times what black does."""
    return (1 - inks[..., :3]) * (1 - inks[..., 3:])


def _color_channels(info: FileInfo) -> int:
    return info.channels - (info.alpha is not Alpha.NONE)


def _curve(info: FileInfo) -> Callable[[Samples], FloatArray]:
    """The transfer curve, from samples to linear float32, by a table where that is possible."""
    if info.is_float or info.alpha is Alpha.ASSOCIATED or info.bits > _MAX_TABLE_BITS:
        return lambda strip: np.asarray(info.coding.curve(_unit(strip, info)), np.float32)
    top = 2**info.bits - 1
    table = info.coding.curve(np.arange(top + 1) / top).astype(np.float32)
    return lambda strip: np.asarray(table.take(strip, mode="clip"))


def _finite(samples: Samples) -> tuple[Samples, int]:
    """Samples without NaN and infinity, and the number of pixels that had some."""
    parts = [samples[rows] for rows in strips(*samples.shape[:2])]
    bad = sum(int((~np.isfinite(strip)).any(axis=2).sum()) for strip in parts)
    if not bad:
        return samples, 0
    limit = max(float(np.abs(strip).max(where=np.isfinite(strip), initial=0)) for strip in parts)
    repaired = np.nan_to_num(samples, nan=0.0, posinf=limit, neginf=-limit)
    return repaired, bad
