"""Rarer formats, each through one library that reads it well: what they are called, and who decodes them.

Pillow for those of 8 bits; OpenImageIO for those that may hold more, or float. Colours are those of an
embedded ICC profile, else sRGB for integers and linear Rec.709 for floats. Of files with several pictures
the first is read (of icons the largest).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import numpy as np
from PIL import (
    BmpImagePlugin,
    IcoImagePlugin,
    Image,
    ImageFile,
    PcxImagePlugin,
    QoiImagePlugin,
    SunImagePlugin,
    TgaImagePlugin,
)

from luxscaler.errors import PictureError
from luxscaler.io.color_encoding import LINEAR_ASSUMED, SRGB_ASSUMED, ColorCoding
from luxscaler.io.decoder import Alpha, FileInfo, Samples
from luxscaler.io.exif.read import from_exif, read_marks
from luxscaler.io.icc import profile_coding
from luxscaler.io.oiio import OpenedFile, opened
from luxscaler.io.pil import eight_bit_mode, eight_bit_samples, has_alpha, image_coding, image_resolution
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


class _Sun(SunImagePlugin.SunImageFile):
    """Of 32 bits a pixel the first byte is the one without meaning; Pillow takes the last for it."""

    _PAD_FIRST: ClassVar[dict[str, str]] = {"RGBX": "XRGB", "BGRX": "XBGR"}

    def _open(self) -> None:
        super()._open()
        self.tile = [tile._replace(args=self._pad_first(tile.args)) for tile in self.tile]

    def _pad_first(self, arguments: Any) -> Any:
        if isinstance(arguments, tuple):
            return (self._pad_first(arguments[0]), *arguments[1:])
        return self._PAD_FIRST.get(arguments, arguments)


@dataclass(frozen=True)
class PillowFormat:
    """A decoder of one format by Pillow."""

    name: str
    open: Callable[[BinaryIO], ImageFile.ImageFile]
    """A file class of Pillow: Image.open would guess the format, and has a limit of pixels of its own."""

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
            metadata=from_exif(image.info.get("exif"), image_resolution(image)),
        )

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:  # noqa: ARG002 (Decoder)
        """Decode, palettes expanded."""
        image = self._opened(stream)
        image.load()
        return eight_bit_samples(image, eight_bit_mode(image))

    def _opened(self, stream: BinaryIO) -> ImageFile.ImageFile:
        stream.seek(0)
        try:
            return self.open(stream)
        except (
            SyntaxError
        ) as error:  # Pillow's word for a header that it does not take; its text is for programmers
            raise PictureError(f"is damaged, or a {self.name} that Pillow does not know") from error


@dataclass(frozen=True)
class OiioFormat:
    """A decoder of one format by OpenImageIO."""

    name: str
    reader: str
    """What OpenImageIO calls it."""

    def read_info(self, stream: BinaryIO) -> FileInfo:
        """Read the header."""
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
            coding, notices = _coding(file, color, is_float=is_float)
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
        """Decode."""
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


def _coding(file: OpenedFile, channels: int, *, is_float: bool) -> tuple[ColorCoding, tuple[str, ...]]:
    profile = file.profile()
    notices: tuple[str, ...] = ()
    if profile:
        coding, notices = profile_coding(profile, channels)
        if coding is not None:
            return coding, notices
    return (LINEAR_ASSUMED if is_float else SRGB_ASSUMED), notices


FORMATS: tuple[PillowFormat | OiioFormat, ...] = (
    PillowFormat("dib", BmpImagePlugin.DibImageFile),
    PillowFormat("ico", IcoImagePlugin.IcoImageFile),
    PillowFormat("pcx", PcxImagePlugin.PcxImageFile),
    PillowFormat("qoi", QoiImagePlugin.QoiImageFile),
    PillowFormat("sun", _Sun),
    PillowFormat("tga", TgaImagePlugin.TgaImageFile),
    OiioFormat("dds", "dds"),
    OiioFormat("jpeg2000", "jpeg2000"),
    OiioFormat("sgi", "sgi"),
)
