"""What every decoder says about a file before it decodes it, and the interface they share.

A decoder is a module with two functions, both given a seekable binary stream: `read_info` looks at the
header only, allocates nothing that grows with the picture and returns a FileInfo; `read_samples` returns
the stored samples as (height, width, channels), colour channels first, alpha last, before orientation.
What they raise as PictureError is the rest of a sentence ("is truncated: ..."), which io/read.py completes
with the name of the file; it also translates what their libraries raise.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from luxscaler.io.color_encoding import ColorCoding
from luxscaler.io.exif.read import Metadata

if TYPE_CHECKING:
    from luxscaler.io.gain_map.gain_map import GainMap

Samples = NDArray[Any]
"""(height, width, channels): unsigned integers from 0 to 2^bits - 1, or float32."""


class Alpha(Enum):
    """How the last channel relates to the colour."""

    NONE = "none"
    STRAIGHT = "straight"
    ASSOCIATED = "associated"


@dataclass(frozen=True)
class FileInfo:
    """The header of a picture file, sizes as stored (before orientation)."""

    format: str
    width: int
    height: int
    bits: int
    """Bits per sample; integers reach from 0 to 2^bits - 1."""
    channels: int
    """Channels that read_samples returns: 1 grey, 3 RGB or 4 CMYK, and one more for alpha."""
    coding: ColorCoding
    profile_in_pixels: bool = False
    """Whether the coding is known only once the pixels are decoded (JPEG XL with an ICC profile)."""
    is_float: bool = False
    source_bits: int | None = None
    """Depth of the integer picture whose floats these are, where a file of ours says so."""
    alpha: Alpha = Alpha.NONE
    light_apart: bool = False
    """Whether the file says that its associated colour holds light that alpha does not cover."""
    orientation: int = 1
    """EXIF orientation, 1 to 8, still to be applied (for AVIF: what irot and imir amount to)."""
    inverted: bool = False
    """Grey where 0 is white (TIFF WhiteIsZero)."""
    scans: int = 1
    """How often the decoder passes over the pixels (JPEG)."""
    decoded_pixels: int = 0
    """Pixels that the decoder allocates where that is more than width × height."""
    subimage: int = 0
    """Number of the picture in the file, as OpenImageIO counts: TIFF's directories, OpenEXR's parts."""
    is_plain: bool = True
    """Whether channel order and alpha are the format's usual ones, so that OpenImageIO may read bands."""
    notices: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=Metadata)
    gain_map: "GainMap | None" = None
    """What makes an HDR picture of the samples; still to be applied."""


class Decoder(Protocol):
    """The two functions of a decoder module."""

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header, whatever the size of the picture. Raises PictureError, or what a library
        raises."""

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:
        """Decode: (height, width, channels), colour channels first, alpha last, before orientation.

        info: what `read_info` returned of the same stream. Raises PictureError, or what a library raises.
        """


def with_channels(array: NDArray[Any]) -> Samples:
    """Give a (height, width) array its channel axis."""
    return array[..., np.newaxis] if array.ndim == 2 else array


def colors_and_alpha(samples: Samples, info: FileInfo, alpha_at: int) -> Samples:
    """(height, width, info.channels): the colours, and the channel alpha_at behind them where there is alpha.

    samples: (height, width, all channels of the file), colours first.
    """
    color = info.channels - (info.alpha is not Alpha.NONE)
    if info.alpha is Alpha.NONE or alpha_at == color:
        return samples[..., : info.channels]
    return samples[..., [*range(color), alpha_at]]
