"""Arrays of other programs, integer or float, to a Picture.

Through the same arithmetic as pictures from files: an array of code values gives the same pixels as a PNG
that holds it.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from luxscaler.checks import kind_of
from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import LINEAR_ASSUMED, SRGB_ASSUMED, ColorCoding, keep_linear
from luxscaler.io.decoder import FileInfo
from luxscaler.io.linearize import linearize
from luxscaler.picture import FloatArray, Picture
from luxscaler.words import counted

ArrayCoding = Literal["auto", "srgb", "linear"]

_TYPES = ("uint8", "uint16", "float16", "float32", "float64")
_CODINGS = {
    "auto": {False: SRGB_ASSUMED, True: LINEAR_ASSUMED},
    "srgb": dict.fromkeys((False, True), ColorCoding("sRGB")),
    "linear": dict.fromkeys((False, True), ColorCoding("linear Rec.709", keep_linear)),
}
"""Name to the coding of integers and of floats."""


def from_array(
    array: NDArray[Any], *, alpha: NDArray[Any] | None = None, coding: ArrayCoding = "auto"
) -> Picture:
    """A Picture of its own memory from an array.

    array: (height, width) or (height, width, 1) grey, (height, width, 3) RGB, (height, width, 4) RGB and
        straight alpha; uint8, uint16, float16, float32 or float64; Rec.709 primaries. Integers are code
        values, full range. Floats are 1.0 at SDR white, unbounded and finite.
    alpha: (height, width), straight, of one of these types; integers full range, floats in [0, 1]. Not for an
        array of four channels.
    coding: "srgb" or "linear"; "auto" takes integers for sRGB-coded values and floats for linear light.

    Raises PictureError for another shape or type, and for values that are not finite or no alpha.
    """
    samples = _checked("the array", array)
    if not isinstance(coding, str) or coding not in _CODINGS:
        raise PictureError(f"coding must be one of {', '.join(_CODINGS)}, got {coding!r}")
    if samples.ndim == 2:
        samples = samples[..., None]
    if samples.ndim != 3 or samples.shape[2] not in (1, 3, 4) or 0 in samples.shape:
        raise PictureError(f"the array must be height × width with 1, 3 or 4 channels, got {array.shape}")
    if samples.shape[2] == 4:
        if alpha is not None:
            raise PictureError("alpha is given twice: by itself, and as the array's fourth channel")
        samples, alpha = samples[..., :3], samples[..., 3]
    height, width, channels = samples.shape
    is_float = samples.dtype.kind == "f"
    info = FileInfo(
        format="array",
        width=width,
        height=height,
        bits=min(8 * np.asarray(array).dtype.itemsize, 32),
        channels=channels,
        coding=_CODINGS[coding][is_float],
        is_float=is_float,
    )
    picture = linearize(samples, info)
    if alpha is None:
        return picture
    return Picture(picture.rgb, _alpha(alpha, (height, width)), picture.source)


def _alpha(alpha: NDArray[Any], size: tuple[int, int]) -> FloatArray:
    values = _checked("alpha", alpha)
    if values.shape != size:
        raise PictureError(f"alpha must be {size[0]} × {size[1]}, got {values.shape}")
    if values.dtype.kind == "u":
        return np.asarray(values / np.float32(np.iinfo(values.dtype).max), np.float32)
    if values.min() < 0 or values.max() > 1:
        raise PictureError(f"alpha must be 0 to 1, got {values.min():g} to {values.max():g}")
    return np.ascontiguousarray(values)


def _checked(what: str, array: NDArray[Any]) -> NDArray[Any]:
    """A copy in the machine's byte order, floats as finite float32."""
    given = array
    try:
        array = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor elsewhere, rows of unequal length
        reason = str(error).splitlines()[0]
        raise PictureError(
            f"{what} is of the type {kind_of(given)}, which NumPy cannot read: {reason}"
        ) from error
    if array.dtype.name not in _TYPES:
        found = array.dtype if array.dtype.kind in "biufc" else kind_of(given)
        raise PictureError(f"{what} must be of {', '.join(_TYPES)}, got {found}")
    if array.dtype.kind == "u":
        return np.array(array, array.dtype.newbyteorder("="))
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite
        values = np.array(array, np.float32)
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise PictureError(
            f"{what} must be finite, got {bad} NaN or infinite of {counted(values.size, 'value')}"
        )
    return values
