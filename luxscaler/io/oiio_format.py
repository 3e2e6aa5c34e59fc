"""Decoders by OpenImageIO, for formats that may hold more than 8 bits, or float.

Colours are those of an embedded ICC profile, else sRGB for integers and linear Rec.709 for floats.
"""

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.icc import profile_or_assumed
from luxscaler.io.oiio import opened

_LAYOUTS = {
    ("R", "G", "B"): Alpha.NONE,
    ("R", "G", "B", "A"): Alpha.STRAIGHT,
    ("Y",): Alpha.NONE,
    ("Y", "A"): Alpha.STRAIGHT,
    ("I",): Alpha.NONE,
    ("I", "A"): Alpha.STRAIGHT,
}
_KINDS = {"uint8": (8, False), "uint16": (16, False), "half": (16, True), "float": (32, True)}


@dataclass(frozen=True)
class OiioFormat:
    """A decoder of one format by OpenImageIO."""

    name: str
    reader: str
    """What OpenImageIO calls it."""

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header. Raises PictureError for channels or a type that are not supported."""
        with opened(stream, self.reader) as file:
            spec = file.spec
            kind, names = str(spec.format), tuple(spec.channelnames)
            if names not in _LAYOUTS or kind not in _KINDS or spec.depth != 1:
                layout = f"{', '.join(names)} of {kind}"
                raise PictureError(f"is {self.name} with the channels {layout}, which is not supported")
            (bits, is_float), alpha = _KINDS[kind], _LAYOUTS[names]
            color = len(names) - (alpha is not Alpha.NONE)
            coding, notices = profile_or_assumed(file.profile() or None, color, is_float=is_float)
            orientation = spec.getattribute("Orientation")
            return FileInfo(
                format=self.name,
                width=spec.width,
                height=spec.height,
                bits=bits,
                channels=len(names),
                coding=coding,
                is_float=is_float,
                alpha=alpha,
                orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
                notices=notices,
            )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:
        """(height, width, channels): uint8, uint16, or float32 where the file holds floats."""
        kind = "float" if info.is_float else f"uint{info.bits}"
        with opened(stream, self.reader) as file:
            return np.asarray(file.samples(kind))
