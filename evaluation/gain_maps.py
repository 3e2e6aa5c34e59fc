"""Both renderings of a file with a gain map, as the package reads them."""

from dataclasses import dataclass
from pathlib import Path

from luxscaler.errors import InputError
from luxscaler.io.read import read_header, read_picture
from luxscaler.picture import FloatArray

JPEG_SUFFIXES = (".jpg", ".jpeg")
OTHER_SUFFIXES = (".avif", ".heic", ".jxl")


@dataclass(frozen=True)
class GainMapPair:
    """Two renderings of one picture: (H, W, 3) float32, linear Rec.709, 1.0 = SDR white, unclipped."""

    sdr: FloatArray
    hdr: FloatArray


def holds_gain_map(path: Path) -> bool:
    """Whether a file is read as two renderings: every JPEG is, for no other JPEG holds HDR.

    Raises PictureError, OSError.
    """
    suffix = path.suffix.lower()
    return suffix in JPEG_SUFFIXES or (suffix in OTHER_SUFFIXES and bool(read_header(path).gain_map))


def read_renderings(path: Path) -> GainMapPair:
    """Read both, upright. Raises InputError for a file without a gain map, PictureError, OSError."""
    if not read_header(path).gain_map:
        raise InputError(f"{path} holds no gain map")
    return GainMapPair(read_picture(path, sdr=True).rgb, read_picture(path).rgb)
