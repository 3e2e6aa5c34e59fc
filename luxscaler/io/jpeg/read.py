"""JPEG, BMP and GIF through Pillow: formats of 8 bits, where Pillow loses nothing.

Pillow's file classes are called directly, not through Image.open: that looks the format up by guessing,
and refuses pictures over the process-wide Image.MAX_IMAGE_PIXELS, where LuxScaler has its own limit for
each call. Pillow decodes lazily, so that opening a file reads its header only, and it raises for
truncated data as long as ImageFile.LOAD_TRUNCATED_IMAGES keeps its default.
"""

from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import ADOBE_RGB_EXIF, CMYK_ASSUMED, CMYK_NOTICE, SRGB_ASSUMED, ColorCoding
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.exif.read import Marks, Resolution, from_exif, read_marks, resolution
from luxscaler.io.icc import profile_coding


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG file without its search for a resolution, which warns about damaged EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


_CLASSES: dict[str, type[ImageFile.ImageFile]] = {
    "jpeg": _Jpeg,
    "bmp": BmpImagePlugin.BmpImageFile,
    "gif": GifImagePlugin.GifImageFile,
}
_GAIN_MAP_MARKS = (b"urn:iso:std:iso:ts:21496", b"http://ns.adobe.com/hdr-gain-map")
_GAIN_MAP_SEARCH = 1 << 17


class PillowDecoder:
    """One of the formats "jpeg", "bmp" and "gif"."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header."""
        image = self._open(stream)
        target = _target_mode(image)
        marks = read_marks(image.info.get("exif"))
        alpha = target in ("RGBA", "LA")
        channels = len(Image.new(target, (1, 1)).getbands())
        coding, notices = _coding(image, marks, channels - alpha)
        if target == "CMYK" and coding.icc is None:
            coding, notices = CMYK_ASSUMED, (*notices, CMYK_NOTICE)
        if getattr(image, "is_animated", False):
            notices += ("an animation: the first picture is read",)
        if self._name == "jpeg" and _has_gain_map(stream):
            notices += ("the HDR gain map is ignored: the SDR picture is read",)
        return FileInfo(
            format=self._name,
            width=image.width,
            height=image.height,
            bits=8,
            channels=channels,
            coding=coding,
            alpha=Alpha.STRAIGHT if alpha else Alpha.NONE,
            orientation=marks.orientation,
            notices=notices,
            metadata=from_exif(image.info.get("exif"), _resolution(image)),
        )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG002 (Decoder)
        """Decode with Pillow, palettes expanded. Adobe's inverted CMYK comes out with 255 = full ink."""
        image = self._open(stream)
        image.load()
        target = _target_mode(image)
        return with_channels(np.asarray(image if image.mode == target else image.convert(target)))

    def _open(self, stream: BinaryIO) -> ImageFile.ImageFile:
        stream.seek(0)
        return _CLASSES[self._name](stream)


def _target_mode(image: Image.Image) -> str:
    """The mode with one uint8 per channel that holds what the file holds."""
    if image.mode == "L" and "transparency" in image.info:
        return "LA"  # a GIF whose palette is a grey ramp
    if image.mode in ("L", "RGB", "RGBA", "LA", "CMYK"):
        return image.mode
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    raise PictureError(f"has the pixel layout {image.mode!r}, which is not supported")


def _coding(image: Image.Image, marks: Marks, channels: int) -> tuple[ColorCoding, tuple[str, ...]]:
    profile = image.info.get("icc_profile")
    notices: tuple[str, ...] = ()
    if profile:
        coding, notices = profile_coding(profile, channels)
        if coding is not None:
            return coding, notices
    return (ADOBE_RGB_EXIF if marks.adobe_rgb else SRGB_ASSUMED), notices


def _resolution(image: Image.Image) -> Resolution | None:
    """Of JFIF, where it has a unit, and of BMP."""
    x, y = image.info.get("dpi", (0, 0))
    return resolution(float(x), float(y))


def _has_gain_map(stream: BinaryIO) -> bool:
    stream.seek(0)
    head = stream.read(_GAIN_MAP_SEARCH)
    return any(mark in head for mark in _GAIN_MAP_MARKS)
