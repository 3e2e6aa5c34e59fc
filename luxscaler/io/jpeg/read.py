"""JPEG, BMP and GIF through Pillow: formats of 8 bits, where Pillow loses nothing.

Pillow's file classes are called directly, not through Image.open: that looks the format up by guessing,
and refuses pictures over the process-wide Image.MAX_IMAGE_PIXELS, where LuxScaler has its own limit for
each call. Pillow decodes lazily, so that opening a file reads its header only, and it raises for
truncated data as long as ImageFile.LOAD_TRUNCATED_IMAGES keeps its default.
"""

from functools import partial
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, GifImagePlugin, Image, ImageFile, JpegImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import read_marks
from luxscaler.io.gain_map.gain_map import Codes, GainMap, unusable_notice
from luxscaler.io.gain_map.in_jpeg import find
from luxscaler.io.jpeg.markers import check_last_rows, from_first_marker, scans_of, whole_without_end
from luxscaler.io.jpeg.segments import segments, unusual_kind
from luxscaler.io.linearize import oriented
from luxscaler.io.pil import eight_bit_mode, eight_bit_samples, has_alpha, image_coding, image_metadata


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG file without its search for a resolution, which warns about damaged EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


_MOST_MAP_SCANS = 100
"""Of a gain map; encoders make about ten. Each takes as long as the whole of another JPEG."""
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
        """Read the header. Raises PictureError for kinds of JPEG that Pillow does not decode, by name."""
        image = self._open(stream)
        mode, covered = _mode_of(image), _covered(image)
        scans, ends = scans_of(stream) if self._name == "jpeg" else (1, True)
        marks = read_marks(image.info.get("exif"))
        coding, notices = image_coding(image, marks, mode)
        if getattr(image, "is_animated", False):
            notices += ("an animation: the first picture is read",)
        gain_map, reason = self._gain_map(stream, image.info.get("exif"), marks.orientation)
        if covered is not None:
            left, top, right, bottom = covered
            notices += (
                f"the first picture has {right - left} × {bottom - top} of the "
                f"{image.width} × {image.height} pixels; around it all is clear",
            )
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
        if self._name != "jpeg":
            return self._samples(stream)
        if not scans_of(stream)[1]:
            return whole_without_end(stream, self._samples)
        samples = self._samples(stream)
        check_last_rows(stream, samples, self._samples)
        return samples

    def _samples(self, stream: BinaryIO) -> Samples:
        image = self._open(stream)
        mode, covered = _mode_of(image), _covered(image)
        image.load()
        samples = eight_bit_samples(image, mode)
        if covered is not None:
            left, top, right, bottom = covered
            picture = samples[top:bottom, left:right].copy()
            samples = np.zeros_like(samples)
            samples[top:bottom, left:right] = picture
        return samples

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
        if self._name != "jpeg":
            return _CLASSES[self._name](stream)
        try:
            return _Jpeg(from_first_marker(stream))
        except SyntaxError as error:  # Pillow's word for a header that it does not take
            kind = unusual_kind(list(segments(stream)))
            if kind is None:
                raise
            raise PictureError(f"is {kind}, which is not supported") from error


def _covered(image: ImageFile.ImageFile) -> tuple[int, int, int, int] | None:
    """Where a GIF's first picture lies on the canvas, before it is loaded; None where it covers all.

    Browsers show what is bare as clear; Pillow fills it with a colour of the palette, unless one is
    transparent.
    """
    if not isinstance(image, GifImagePlugin.GifImageFile) or "transparency" in image.info or not image.tile:
        return None
    box = image.tile[0][1]
    return None if box is None or box == (0, 0, *image.size) else box


def _mode_of(image: ImageFile.ImageFile) -> str:
    """The mode of the samples, before the image is loaded."""
    mode = eight_bit_mode(image)
    return mode if _covered(image) is None else f"{mode}A"


def _map_codes(orientation: int, stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map in a JPEG, which is turned as its base is. Raises PictureError."""
    scans, _ = scans_of(stream)
    if scans > _MOST_MAP_SCANS:
        raise PictureError(f"its JPEG has {scans:,} scans, the limit is {_MOST_MAP_SCANS}")
    samples = _map_samples(stream)
    check_last_rows(stream, samples, _map_samples)
    return oriented(samples, orientation), 8


def _map_samples(stream: BinaryIO) -> Codes:
    stream.seek(0)
    image = _Jpeg(stream)
    if image.mode not in ("L", "RGB"):
        raise PictureError(f"it has the pixel layout {image.mode!r}")
    image.load()
    return eight_bit_samples(image, image.mode)
