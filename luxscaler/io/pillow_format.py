"""Decoders by Pillow, for formats of 8 bits, where Pillow loses nothing.

Pillow's file classes are called directly, not through Image.open: that looks the format up by guessing,
and refuses pictures over the process-wide Image.MAX_IMAGE_PIXELS, where LuxScaler has its own limit for
each call. Pillow decodes lazily, so that opening a file reads its header only, and it raises for
truncated data as long as ImageFile.LOAD_TRUNCATED_IMAGES keeps its default.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from PIL import Image, ImageFile

from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import read_marks
from luxscaler.io.pil import eight_bit_mode, eight_bit_samples, has_alpha, image_coding, image_metadata


@dataclass(frozen=True)
class PillowFormat:
    """A decoder of one format by Pillow; of an animation the first picture."""

    name: str
    open: Callable[[BinaryIO], ImageFile.ImageFile]
    """A file class of Pillow, given the stream at its beginning."""

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header."""
        image = self._opened(stream)
        mode = eight_bit_mode(image)
        marks = read_marks(image.info.get("exif"))
        coding, notices = image_coding(image, marks, mode)
        if getattr(image, "is_animated", False):
            notices += ("an animation: the first picture is read",)
        return FileInfo(
            format=self.name,
            width=image.width,
            height=image.height,
            bits=8,
            channels=len(Image.new(mode, (1, 1)).getbands()),
            coding=coding,
            alpha=Alpha.STRAIGHT if has_alpha(mode) else Alpha.NONE,
            orientation=marks.orientation,
            notices=notices,
            metadata=image_metadata(image),
        )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG002 (Decoder)
        """(height, width, channels) uint8, palettes expanded; Adobe's inverted CMYK with 255 = full ink."""
        image = self._opened(stream)
        image.load()
        return eight_bit_samples(image, eight_bit_mode(image))

    def _opened(self, stream: BinaryIO) -> ImageFile.ImageFile:
        stream.seek(0)
        return self.open(stream)
