"""JPEG, BMP and GIF through Pillow: formats of 8 bits, where Pillow loses nothing.

Pillow's file classes are called directly, not through Image.open: that looks the format up by guessing,
and refuses pictures over the process-wide Image.MAX_IMAGE_PIXELS, where LuxScaler has its own limit for
each call. Pillow decodes lazily, so that opening a file reads its header only, and it raises for
truncated data as long as ImageFile.LOAD_TRUNCATED_IMAGES keeps its default.
"""

from functools import partial
from typing import BinaryIO

from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import read_marks
from luxscaler.io.gain_map.gain_map import Codes, GainMap, unusable_notice
from luxscaler.io.gain_map.in_jpeg import find
from luxscaler.io.jpeg.markers import from_first_marker, scans_of, whole_without_end
from luxscaler.io.linearize import oriented
from luxscaler.io.pil import eight_bit_mode, eight_bit_samples, has_alpha, image_coding, image_metadata


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG file without its search for a resolution, which warns about damaged EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


_CLASSES: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": _Jpeg,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
}


class PillowDecoder:
    """One of the formats "jpeg", "bmp" and "gif"."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header."""
        image = self._open(stream)
        mode = eight_bit_mode(image)
        scans, ends = scans_of(stream) if self._name == "jpeg" else (1, True)
        marks = read_marks(image.info.get("exif"))
        coding, notices = image_coding(image, marks, mode)
        if getattr(image, "is_animated", False):
            notices += ("an animation: the first picture is read",)
        gain_map, reason = self._gain_map(stream, image.info.get("exif"), marks.orientation)
        if not ends:
            notices += ("the file ends without its end marker",)
        return FileInfo(
            format=self._name,
            width=image.width,
            height=image.height,
            bits=8,
            channels=len(Image.new(mode, (1, 1)).getbands()),
            coding=coding,
            alpha=Alpha.STRAIGHT if has_alpha(mode) else Alpha.NONE,
            orientation=marks.orientation,
            scans=scans,
            notices=notices + reason,
            metadata=image_metadata(image),
            gain_map=gain_map,
        )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG002 (Decoder)
        """Decode with Pillow, palettes expanded. Adobe's inverted CMYK comes out with 255 = full ink."""
        if self._name == "jpeg" and not scans_of(stream)[1]:
            return whole_without_end(stream, self._samples)
        return self._samples(stream)

    def _samples(self, stream: BinaryIO) -> Samples:
        image = self._open(stream)
        image.load()
        return eight_bit_samples(image, eight_bit_mode(image))

    def _gain_map(
        self, stream: BinaryIO, exif: bytes | None, orientation: int
    ) -> tuple[GainMap | None, tuple[str, ...]]:
        if self._name != "jpeg":
            return None, ()
        try:
            return find(stream, exif, partial(_map_codes, orientation)), ()
        except PictureError as error:
            return None, (unusable_notice(error),)

    def _open(self, stream: BinaryIO) -> ImageFile.ImageFile:
        stream.seek(0)
        return _CLASSES[self._name](from_first_marker(stream) if self._name == "jpeg" else stream)


def _map_codes(orientation: int, stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map in a JPEG, which is turned as its base is."""
    image = _Jpeg(stream)
    if image.mode not in ("L", "RGB"):
        raise PictureError(f"it has the pixel layout {image.mode!r}")
    image.load()
    return oriented(eight_bit_samples(image, image.mode), orientation), 8
