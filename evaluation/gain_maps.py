"""Both renderings of a JPEG with a gain map (Ultra HDR, ISO 21496-1)."""

import io
import math
import re
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from luxscaler.color import apply_matrix
from luxscaler.errors import InputError
from luxscaler.io.icc import matrix_model
from luxscaler.picture import FloatArray, Picture

SUFFIXES = (".jpg", ".jpeg")
_CAPACITY = re.compile(rb"hdrgm:HDRCapacityMax[^0-9.+-]{1,8}([0-9.]+)")


@dataclass(frozen=True)
class GainMapPair:
    """Two renderings of one picture: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white, unclipped."""

    sdr: FloatArray
    hdr: FloatArray
    headroom: float | None
    """How far the HDR rendering is meant to rise above SDR white, as the file says; None: it does not say."""


def holds_gain_map(path: Path) -> bool:
    """Whether a file is read as two renderings: every JPEG is, for no other JPEG holds HDR."""
    return path.suffix.lower() in SUFFIXES


def read_renderings(path: Path) -> GainMapPair:
    """Read both, as stored (not turned). Raises InputError for a file without a gain map, OSError."""
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            profile = image.info.get("icc_profile")
            sdr = Picture.from_pil(image).rgb
        hdr = imagecodecs.ultrahdr_decode(data)[..., :3].astype(np.float32)
    except (imagecodecs.UltrahdrError, UnidentifiedImageError) as error:
        raise InputError(f"{path} is no JPEG with a gain map: {' '.join(str(error).split())}") from None
    model = None if profile is None else matrix_model(profile, 8)
    if model is not None:
        hdr = apply_matrix(hdr, model.matrix)
    return GainMapPair(sdr, hdr, _headroom(data))


def _headroom(data: bytes) -> float | None:
    found = _CAPACITY.search(data)
    return None if found is None else float(math.exp2(float(found[1])))
