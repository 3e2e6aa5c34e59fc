"""JPEG through Pillow; its end marker, the number of its scans and its gain map by hand."""

from dataclasses import replace
from functools import partial
from typing import BinaryIO

from PIL import JpegImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.decoder import FileInfo, Samples
from luxscaler.io.gain_map.gain_map import Codes, GainMap, unusable_notice
from luxscaler.io.gain_map.in_jpeg import find
from luxscaler.io.jpeg.markers import from_first_marker, scans_of, whole_without_end
from luxscaler.io.linearize import oriented
from luxscaler.io.pil import eight_bit_samples
from luxscaler.io.pillow_format import PillowFormat


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG file without its search for a resolution, which warns about damaged EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _opened(stream: BinaryIO) -> _Jpeg:
    return _Jpeg(from_first_marker(stream))


_PILLOW = PillowFormat("jpeg", _opened)


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header, and look for the gain map."""
    info = _PILLOW.read_info(stream)
    scans, ends = scans_of(stream)
    notices = info.notices if ends else (*info.notices, "the file ends without its end marker")
    gain_map, reason = _gain_map(stream, info)
    return replace(info, scans=scans, notices=notices + reason, gain_map=gain_map)


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels) uint8; Adobe's inverted CMYK comes out with 255 = full ink."""
    if scans_of(stream)[1]:
        return _PILLOW.read_samples(stream, info)
    return whole_without_end(stream, partial(_PILLOW.read_samples, info=info))


def _gain_map(stream: BinaryIO, info: FileInfo) -> tuple[GainMap | None, tuple[str, ...]]:
    try:
        return find(stream, _opened(stream).info.get("exif"), partial(_map_codes, info.orientation)), ()
    except PictureError as error:
        return None, (unusable_notice(error),)


def _map_codes(orientation: int, stream: BinaryIO) -> tuple[Codes, int]:
    """The gain map in a JPEG, which is turned as its base is."""
    image = _Jpeg(stream)
    if image.mode not in ("L", "RGB"):
        raise PictureError(f"it has the pixel layout {image.mode!r}")
    image.load()
    return oriented(eight_bit_samples(image, image.mode), orientation), 8
