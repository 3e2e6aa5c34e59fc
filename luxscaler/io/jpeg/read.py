"""JPEG through Pillow; its end marker, the number of its scans and its gain map by hand.

Of 12 bits, and lossless of 2 to 16, Pillow reads the header alone, and libjpeg (imagecodecs) the pixels.
"""

from dataclasses import replace
from functools import partial
from io import BytesIO
from typing import BinaryIO

import imagecodecs
from PIL import JpegImagePlugin

from luxscaler.errors import PictureError
from luxscaler.io.decoder import FileInfo, Samples, with_channels
from luxscaler.io.gain_map.gain_map import Codes, GainMap, unusable_notice
from luxscaler.io.gain_map.in_jpeg import find
from luxscaler.io.jpeg.markers import (
    check_last_rows,
    check_whole,
    from_first_marker,
    scans_of,
    whole_without_end,
)
from luxscaler.io.jpeg.segments import (
    APP14,
    LOSSLESS,
    Segment,
    deep_frame,
    frame_of,
    further_views,
    segments,
    unusual_kind,
)
from luxscaler.io.linearize import oriented
from luxscaler.io.pil import eight_bit_samples
from luxscaler.io.pillow_format import PillowFormat

_MOST_MAP_SCANS = 100
"""Of a gain map; encoders make about ten. Each takes as long as the whole of another JPEG."""


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG file without its search for a resolution, which warns about damaged EXIF."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _opened(stream: BinaryIO) -> _Jpeg:
    """The header. Raises PictureError for kinds of JPEG that are not decoded, by name."""
    try:
        return _Jpeg(from_first_marker(stream))
    except SyntaxError as error:  # Pillow's word for a header that it does not take
        parts = list(segments(stream))
        frame = deep_frame(parts)
        if frame is not None:
            return _Jpeg(_as_of_8_bits(stream, frame))
        kind = unusual_kind(parts)
        if kind is None:
            raise
        raise PictureError(f"is {kind}, which is not supported") from error


def _as_of_8_bits(stream: BinaryIO, frame: Segment) -> BinaryIO:
    """The file with another depth in its header, so that Pillow takes that."""
    stream.seek(0)
    data = bytearray(stream.read())
    data[frame.place] = 8
    return BytesIO(data)


_PILLOW = PillowFormat("jpeg", _opened)


def read_info(stream: BinaryIO) -> FileInfo:
    """Read the header, and look for the gain map."""
    info = _PILLOW.read_info(stream)
    scans, ends = scans_of(stream)
    notices = info.notices if ends else (*info.notices, "the file ends without its end marker")
    parts = list(segments(stream))
    frame = deep_frame(parts)
    if frame is not None:
        return replace(info, bits=frame.data[0], scans=scans, notices=notices)
    gain_map, reason = _gain_map(stream, info)
    notices += reason + _not_read(parts, info, is_map_known=gain_map is not None or bool(reason))
    return replace(info, scans=scans, notices=notices, gain_map=gain_map)


def read_samples(stream: BinaryIO, info: FileInfo) -> Samples:
    """(height, width, channels) uint8, uint16 above 8 bits; inverted CMYK comes out with 255 = full ink."""
    if info.bits != 8:
        return check_whole(stream, _deep_samples)
    decode = partial(_PILLOW.read_samples, info=info)
    frame = frame_of(list(segments(stream)))
    if frame is not None and frame.marker == LOSSLESS:  # what is missing of it is not filled with grey
        return check_whole(stream, decode)
    if not scans_of(stream)[1]:
        return whole_without_end(stream, decode)
    samples = decode(stream)
    check_last_rows(stream, samples, decode)
    return samples


def _not_read(parts: list[Segment], info: FileInfo, *, is_map_known: bool) -> tuple[str, ...]:
    """Notices of further pictures, and of inks that no Adobe marker explains."""
    said: tuple[str, ...] = ()
    further = further_views(parts) - is_map_known
    if further > 0:
        said += (f"the first of {further + 1} pictures is read",)
    is_explained = any(part.marker == APP14 and part.data.startswith(b"Adobe") for part in parts)
    if info.channels == 4 and not is_explained:
        said += ("CMYK without Adobe's marker: taken as Adobe stores it, inverted",)
    return said


def _deep_samples(stream: BinaryIO) -> Samples:
    stream.seek(0)
    return with_channels(imagecodecs.jpeg8_decode(stream.read()))


def _gain_map(stream: BinaryIO, info: FileInfo) -> tuple[GainMap | None, tuple[str, ...]]:
    try:
        return find(stream, _opened(stream).info.get("exif"), partial(_map_codes, info.orientation)), ()
    except PictureError as error:
        return None, (unusable_notice(error),)


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
