"""Any picture file, or bytes, to a Picture under the pixel contract: the front door for pictures.

    source ─ sniff ─→ format ─ FORMAT/read ─→ header, samples ─ linearize ─→ Picture

Formats are recognised by content. The number of pixels is checked against the limit before anything that
grows with it is allocated. Everything that goes wrong is a PictureError of one line that names the file; the
many exceptions of the libraries are translated here.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io import bmp, gif, heic, jpeg2000, netpbm, other, psd, radiance, raw, tga, webp
from luxscaler.io.avif import read as avif
from luxscaler.io.decoder import Alpha, Decoder, FileInfo
from luxscaler.io.exr.read import ExrDecoder
from luxscaler.io.gain_map.gain_map import DecodedGainMap, applied_notice, decode, unusable_notice
from luxscaler.io.jpeg import read as jpeg
from luxscaler.io.jxl import read as jxl
from luxscaler.io.limits import check_limits, most_map_pixels, pixels_of
from luxscaler.io.linearize import as_stored, has_equal_channels, linearize, oriented, upright_size
from luxscaler.io.png import read as png
from luxscaler.io.read_rows import whole_samples
from luxscaler.io.sniff import SNIFF_BYTES, picture_format
from luxscaler.io.tiff import read as tiff
from luxscaler.options import DEFAULT_MAX_PIXELS, MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import Picture
from luxscaler.words import printable

Source = str | os.PathLike[str] | bytes

_DECODERS: MappingProxyType[str, Decoder] = MappingProxyType(
    {
        "jpeg": jpeg,
        "png": png,
        "webp": webp,
        "tiff": tiff,
        "exr": ExrDecoder(),
        "hdr": radiance,
        "avif": avif,
        "heic": heic,
        "jxl": jxl,
        "jpeg2000": jpeg2000,
        "raw": raw,
        "bmp": bmp,
        "gif": gif,
        "pnm": netpbm,
        "psd": psd,
        "tga": tga,
        **{each.name: each for each in other.FORMATS},
    }
)
_MAX_MESSAGE = 200
_SHORTEST_MESSAGE = 12


@dataclass(frozen=True)
class PictureHeader:
    """What the header of a file says, with the size after orientation."""

    format: str
    """A name of _DECODERS."""
    width: int
    height: int
    bits: int
    """Bits per channel as stored, at least 8 where the format is expanded from less."""
    is_float: bool
    channels: int
    """Colour channels (1 grey, 3 RGB, 4 CMYK; palettes count as RGB), and one more for alpha."""
    has_alpha: bool
    color_space: str
    """The coding that reading converts from, e.g. "sRGB (assumed)", "ICC: Display P3"."""
    orientation: int
    """EXIF orientation that reading applies, 1 to 8."""
    notices: tuple[str, ...] = ()
    """What reading decides on the user's behalf, one line each."""
    gain_map: str = ""
    """Form and headroom of the gain map that makes an HDR picture of the file; empty where there is none."""


def read_picture(
    source: Source,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: DecodeLimits | None = None,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> Picture:
    """Read a picture: upright, linear Rec.709 float32, 1.0 = SDR white, alpha straight in [0, 1].

    source: a path, or the bytes of a file. Integer samples without a colour space are taken for sRGB,
    float samples for linear Rec.709; every other coding is converted, unclipped, and `Picture.source`
    says from what. In float files NaN becomes 0 and infinity the largest finite size in the picture.
    sdr: read the SDR picture of a file with a gain map, not the HDR one. choice: which layer of an EXR.

    Raises PictureTooLargeError for more than `max_pixels` pixels, or more than `limits` have for each byte,
    before they are decoded, and PictureError for what is not a whole picture of a supported format. Time
    and memory are not limited here: see isolation/pool.py.
    """
    with opened(source) as (name, stream):
        limits = limits or DecodeLimits()
        return read_stream(stream, name, max_pixels=max_pixels, limits=limits, sdr=sdr, choice=choice)


def read_stream(
    stream: BinaryIO,
    name: str,
    *,
    max_pixels: int,
    limits: DecodeLimits,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
    on_header: Callable[[int], None] = lambda _: None,
) -> Picture:
    """read_picture from a seekable stream; errors begin with `name`.

    on_header: called with the number of pixels to be decoded, before they are.
    """
    with one_line_errors(name):
        stream.seek(0)
        decoder, info = header_of(stream, choice)
        file_bytes = stream.seek(0, 2)
        check_limits(info, file_bytes, max_pixels, limits)
        most = most_map_pixels(file_bytes, max_pixels, limits)
        on_header(pixels_of(info) + gain_map_pixels(info, most, sdr=sdr))
        info = with_late_profile(stream, info)
        samples = whole_samples(stream, decoder, info)
        picture = linearize(oriented(samples, info.orientation), info)
        gain_map, notices = read_gain_map(stream, info, most, sdr=sdr)
        if gain_map is not None:
            gain_map.apply(as_stored(picture.rgb, info.orientation), 0)
        source = replace(picture.source, notices=picture.source.notices + notices)
        if gain_map is not None:
            source = replace(source, is_grey=source.is_grey and has_equal_channels(picture.rgb))
        return replace(picture, source=source)


def gain_map_pixels(info: FileInfo, max_pixels: int, *, sdr: bool) -> int:
    """Pixels that `read_gain_map` will allocate; 0 where no map is applied."""
    found = info.gain_map
    return min(found.pixels, max_pixels) if found is not None and found.applies(sdr=sdr) else 0


def read_gain_map(
    stream: BinaryIO, info: FileInfo, max_pixels: int, *, sdr: bool
) -> tuple[DecodedGainMap | None, tuple[str, ...]]:
    """The decoded gain map to apply to the rows of the file, None if there is none to apply; and notices.

    A damaged map, or one of more than `max_pixels` pixels, is no error: the base is a whole picture.
    """
    found = info.gain_map
    if found is None or not found.applies(sdr=sdr):
        return None, ()
    try:
        return decode(found, stream, info, max_pixels), (applied_notice(found),)
    except PictureError as error:
        return None, (unusable_notice(error),)


def read_header(source: Source, choice: LayerChoice = MAIN_LAYER) -> PictureHeader:
    """Read the header of a picture, whatever its size; no pixel is decoded. choice: which layer of an EXR.

    Raises PictureError where there is no usable header. Damage behind it is found by read_picture only.
    """
    with opened(source) as (name, stream):
        return header_of_stream(stream, name, choice)


def header_of_stream(stream: BinaryIO, name: str, choice: LayerChoice = MAIN_LAYER) -> PictureHeader:
    """read_header from a seekable stream; errors begin with `name`."""
    with one_line_errors(name):
        stream.seek(0)
        _, info = header_of(stream, choice)
    width, height = upright_size(info)
    return PictureHeader(
        format=info.format,
        width=width,
        height=height,
        bits=info.source_bits or info.bits,
        is_float=info.is_float and info.source_bits is None,
        channels=info.channels,
        has_alpha=info.alpha is not Alpha.NONE,
        color_space=info.coding.name,
        orientation=info.orientation,
        notices=info.notices,
        gain_map="" if info.gain_map is None else info.gain_map.description,
    )


def header_of(stream: BinaryIO, choice: LayerChoice = MAIN_LAYER) -> tuple[Decoder, FileInfo]:
    """The decoder of the format that the stream holds, and what the header says.

    To be called inside `one_line_errors`: raises whatever a decoder's library raises.
    """
    name = picture_format(stream.read(SNIFF_BYTES))
    if choice:
        if name != "exr":
            raise PictureError(f"is {name}; only EXR has layers and parts to choose from (layer, part)")
        decoder: Decoder = ExrDecoder(choice)
        return decoder, decoder.read_info(stream)
    decoder = _DECODERS["raw" if name == "tiff" and raw.is_raw_tiff(stream) else name]
    return decoder, decoder.read_info(stream)


def with_late_profile(stream: BinaryIO, info: FileInfo) -> FileInfo:
    """The info with its colour coding, where that is known only once the pixels are decoded."""
    return jxl.with_profile(stream, info) if info.profile_in_pixels else info


@contextmanager
def opened(source: Source) -> Iterator[tuple[str, BinaryIO]]:
    """Yield what to call the source in messages, and a seekable stream at its beginning.

    Raises PictureError for a path that is not a regular file or cannot be opened.
    """
    if isinstance(source, bytes):
        yield "the data", BytesIO(source)
        return
    path = Path(source)
    try:
        # A named pipe would block forever, so only regular files are opened.
        if not path.is_file():
            what = (
                "is a directory" if path.is_dir() else "is not a file" if path.exists() else "does not exist"
            )
            raise PictureError(f"{printable(str(path))} {what}")
        stream = path.open("rb")
    except (OSError, ValueError) as error:
        raise PictureError(f"{str(path)!r} cannot be opened: {_why_closed(error)}") from error
    with stream:
        yield printable(path.name), stream


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Put the name before our own messages, and turn whatever a library raises into a PictureError."""
    try:
        yield
    except PictureError as error:
        raise type(error)(f"{name} {error}") from error.__cause__
    # Pillow alone raises eight kinds; a damaged file must never end the program, so all are caught.
    except Exception as error:
        raise PictureError(f"{name} cannot be read, it may be damaged: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """A library's message; a generic sentence instead of those that help only its authors, such as "list
    index out of range"."""
    if isinstance(error, SyntaxError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # Pillow raises its plugins' IndexError and the like again as this
    speaks = isinstance(error, (OSError, SyntaxError, EOFError)) or type(error) is RuntimeError
    speaks = speaks or type(error).__module__.partition(".")[0] in ("imagecodecs", "tifffile", "rawpy")
    text = _one_line(error)
    if not speaks or len(str(error)) < _SHORTEST_MESSAGE:
        return "its parts do not fit each other"
    return text


def _why_closed(error: OSError | ValueError) -> str:
    """Why a file cannot be opened, without its name, which stands before."""
    return (error.strerror if isinstance(error, OSError) else None) or _one_line(error)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if len(text) < _SHORTEST_MESSAGE:  # KeyError and its like say no more than a key
        text = f"{type(error).__name__} {text}".rstrip()
    return text if len(text) <= _MAX_MESSAGE else text[: _MAX_MESSAGE - 1] + "…"
