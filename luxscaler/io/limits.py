"""Limits that a header is held against before anything that grows with the picture is allocated."""

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io.decoder import FileInfo
from luxscaler.options import DecodeLimits
from luxscaler.words import counted

FREE_PIXELS = 2**25
"""Pixels that any file may claim, however small it is: a flat picture packs into nothing."""


def check_limits(info: FileInfo, file_bytes: int, max_pixels: int, limits: DecodeLimits) -> None:
    """Raise PictureTooLargeError or PictureError for a header that goes beyond a limit, which is named."""
    pixels = pixels_of(info)
    size = f"{counted(pixels, 'pixel', ',')} ({info.width} × {info.height})"
    if pixels > max_pixels:
        raise PictureTooLargeError(f"has {size}, the limit is {max_pixels:,}")
    most = _most_in(file_bytes, limits)
    if pixels > most:
        raise PictureTooLargeError(
            f"has {size} in {counted(file_bytes, 'byte', ',')}, the limit is {most:,}: {FREE_PIXELS:,} and "
            f"{limits.pixels_per_byte:g} a byte (pixels_per_byte)"
        )
    if info.scans > limits.scans:
        raise PictureError(f"is a JPEG of {info.scans:,} scans, the limit is {limits.scans:,} (scans)")


def most_map_pixels(file_bytes: int, max_pixels: int, limits: DecodeLimits) -> int:
    """What the gain map of a file may have, which is held against the same limits as its base."""
    return min(max_pixels, _most_in(file_bytes, limits))


def _most_in(file_bytes: int, limits: DecodeLimits) -> int:
    """Pixels that a file of that size may claim."""
    return FREE_PIXELS + int(limits.pixels_per_byte * file_bytes)


def pixels_of(info: FileInfo) -> int:
    """Pixels that are decoded."""
    return max(info.width * info.height, info.decoded_pixels)
