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
from luxscaler.words import counted

_LAYOUTS = {
    ("R", "G", "B"): Alpha.NONE,
    ("R", "G", "B", "A"): Alpha.STRAIGHT,
    ("Y",): Alpha.NONE,
    ("Y", "A"): Alpha.STRAIGHT,
    ("I",): Alpha.NONE,
    ("I", "A"): Alpha.STRAIGHT,
}
_JPEG_2000_SIZE = b"\xff\x4f\xff\x51"
"""Its start of codestream, and the marker that follows it."""
_COMPONENTS_AT = 40
_JPEG_2000_HEAD = 1 << 20
"""Bytes in which the codestream begins; boxes before it hold profiles and XMP."""
_JPEG_2000_CHANNELS = (1, 3, 4)
_KINDS = {"uint8": (8, False), "uint16": (16, False), "half": (16, True), "float": (32, True)}


@dataclass(frozen=True)
class OiioFormat:
    """A decoder of one format by OpenImageIO."""

    name: str
    reader: str
    """What OpenImageIO calls it."""

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header. Raises PictureError for channels or a type that are not supported."""
        if self.name == "jpeg2000":
            _check_components(stream)
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


def _check_components(stream: BinaryIO) -> None:
    """Raise PictureError for a JPEG 2000 of a number of channels that OpenImageIO does not open.

    The SIZ segment, which begins every codestream, says it (ITU-T T.800, A.5.1).
    """
    stream.seek(0)
    head = stream.read(_JPEG_2000_HEAD)
    at = head.find(_JPEG_2000_SIZE)
    count = head[at + _COMPONENTS_AT : at + _COMPONENTS_AT + 2]
    if at < 0 or len(count) < 2 or int.from_bytes(count, "big") in _JPEG_2000_CHANNELS:
        return
    channels = counted(int.from_bytes(count, "big"), "channel")
    what = f"{channels} (grey with alpha)" if channels.startswith("2 ") else channels
    raise PictureError(f"is a JPEG 2000 of {what}, which is not supported; grey, RGB and RGB with alpha are")
