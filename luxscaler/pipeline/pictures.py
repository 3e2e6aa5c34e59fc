"""The pictures that a request names, decoded under its limits: the source, its reference, the boost mask."""

import numpy as np
import torch
from torch import Tensor

from luxscaler.color import encode_srgb
from luxscaler.errors import InputError
from luxscaler.io.read import read_picture
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.options import MAIN_LAYER, LayerChoice
from luxscaler.picture import Picture
from luxscaler.pipeline.arguments import check_given
from luxscaler.pipeline.request import PictureFile, UpscaleRequest

_GREY = 4 / 255
"""Largest difference of the channels of a mask: what JPEG and colour profiles make of grey."""
_CODES = 65535
"""Values of an integer mask are multiples of 1 / 65535, so that white is exactly 1."""


def read_named(
    file: PictureFile | Picture,
    request: UpscaleRequest,
    name: str,
    *,
    sdr: bool | None = None,
    choice: LayerChoice = MAIN_LAYER,
) -> Picture:
    """Decode a picture under the request's limits. Raises PictureError, `name` before its text if not empty.

    sdr: whether a gain map is ignored; None: as the request says. choice: which layer of an EXR.
    """
    if isinstance(file, Picture):
        return file
    sdr = request.sdr if sdr is None else sdr
    try:
        if request.decode_limits is None:
            return read_picture(file, max_pixels=request.max_pixels, sdr=sdr, choice=choice)
        return read_picture_isolated(
            file, max_pixels=request.max_pixels, limits=request.decode_limits, sdr=sdr, choice=choice
        )
    except InputError as error:
        raise type(error)(f"{name}: {error}" if name else str(error)) from error


def read_mask(request: UpscaleRequest) -> Tensor | None:
    """The boost mask as (h, w) float32 in [0, 1]; None where there is none.

    Integer pictures give their code values, so that middle grey is half; float pictures their values. Raises
    InputError for a picture that is no mask: coloured, transparent, or outside 0 to 1.
    """
    if request.boost_mask is None:
        return None
    return mask_of(read_named(request.boost_mask, request, "boost_mask", sdr=True))


def mask_of(picture: Picture) -> Tensor:
    """The mask of a picture, as in `read_mask`; the same errors."""
    check_given("boost_mask", picture, or_file=False)
    if picture.alpha is not None and bool((picture.alpha < 1.0).any()):
        raise InputError("boost_mask has transparent pixels; it must be an opaque grey picture")
    values = picture.rgb if picture.source.is_float else encode_srgb(picture.rgb)
    low, high = float(values.min()), float(values.max())
    apart = float(np.ptp(values, axis=2).max())
    if apart > _GREY:
        raise InputError(f"boost_mask is coloured, by {apart * 255:.0f} of 255 code values; it must be grey")
    if low < -_GREY or high > 1.0 + _GREY:
        raise InputError(f"boost_mask has values from {low:.3g} to {high:.3g}; it must have 0 to 1")
    grey = np.clip(values[..., 1], 0.0, 1.0)
    if not picture.source.is_float:
        grey = np.rint(grey * np.float32(_CODES)) / np.float32(_CODES)
    return torch.from_numpy(np.ascontiguousarray(grey, np.float32))
