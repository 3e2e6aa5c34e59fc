"""The header of a JPEG XL codestream, bit by bit: size, depth, channels, colour.

imagecodecs returns none of these before it has decoded the picture, and nothing about colour at all.
Source: ISO/IEC 18181-1:2024, annexes A to E, with its names of fields where they are short.
"""

from dataclasses import dataclass

from luxscaler.color import DISPLAY_P3, REC709, REC2020
from luxscaler.errors import PictureError
from luxscaler.io.jxl.bits import BitReader, Choices

_SIGNATURE_BITS = 16
_SIZE: Choices = ((9, 1), (13, 1), (18, 1), (30, 1))
ENUM: Choices = ((0, 0), (0, 1), (4, 2), (6, 18))
COORDINATE: Choices = ((19, 0), (19, 524288), (20, 1048576), (21, 2097152))
"""Of a chromaticity in millionths: twice it, or less 1 where it is negative."""
MILLIONTHS = 1e6
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
CUSTOM = 2
PRIMARIES = {1: REC709, 9: REC2020, 11: DISPLAY_P3}
"""By the numbers of Color.primaries; of white there are 1 (D65) and others."""
_RGB, _GREY = 0, 1
_ALPHA, _SPOT, _BLACK, _CFA = 0, 2, 4, 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Color:
    """A colour encoding of enumerated or custom parts; the defaults are sRGB."""

    has_icc: bool = False
    """The colours are in an ICC profile instead, which is compressed and not read."""
    white: int = 1
    """1 D65, 2 custom, 10 E, 11 DCI: with primaries and transfer the numbers of H.273, where it has them."""
    primaries: int = 1
    """1 sRGB, 2 custom, 9 Rec.2100, 11 P3."""
    transfer: int = 13
    """1 709, 2 unknown, 8 linear, 13 sRGB, 16 PQ, 17 DCI, 18 HLG; 0 if there is a gamma."""
    gamma: float = 0.0
    """Exponent of the encoding, e.g. 1 / 2.2."""
    white_point: Point | None = None
    corners: tuple[Point, Point, Point] | None = None
    """Custom red, green, blue."""


@dataclass(frozen=True)
class Places:
    """Where a field could be put in (luminance.py), in bits from the signature on."""

    extra_fields: int
    """The flag of the extra fields: orientation, animation, and whether there is a ToneMapping."""
    has_extra_fields: bool
    color: int
    """The colour encoding."""
    color_end: int
    """Behind the colour encoding: ToneMapping, if there is one, then extensions."""


@dataclass(frozen=True)
class JxlHeader:
    """What is needed of SizeHeader and ImageMetadata."""

    width: int
    height: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    is_grey: bool = False
    is_animated: bool = False
    has_alpha: bool = False
    alpha_associated: bool = False
    ignored_channels: int = 0
    color: Color = Color()
    places: Places | None = None
    """None if the header says that all of it is as usual."""


def read_jxl_header(data: bytes) -> JxlHeader:
    """Read the head of a codestream, from its signature ff 0a on. Raises PictureError where it is cut off."""
    try:
        return _Header(data, _SIGNATURE_BITS).header()
    except ValueError as error:
        raise PictureError("is truncated: there is no whole JPEG XL header") from error


class _Header(BitReader):
    """Reads the fields in their order."""

    def header(self) -> JxlHeader:
        width, height = self.size()
        if self.flag():
            return JxlHeader(width, height)
        orientation, animated = 1, False
        extra_fields, has_extra_fields = self.at, self.flag()
        if has_extra_fields:
            orientation = self.u(3) + 1
            if self.flag():
                self.size()
            if self.flag():
                self.preview()
            animated = self.flag()
            if animated:
                self.animation()
        bits, is_float = self.depth()
        self.u(1)  # whether 16-bit buffers are enough
        count = self.u32(((0, 0), (0, 1), (4, 2), (12, 1)))
        extras = [self.extra_channel() for _ in range(count)]
        if any(kind == _BLACK for kind, _ in extras):
            raise PictureError("is a JPEG XL in CMYK, which is not supported")
        self.u(1)  # whether the pixels are XYB, which libjxl converts to the encoding that follows
        color_at = self.at
        is_grey, color = self.color()
        alphas = [associated for kind, associated in extras if kind == _ALPHA]
        return JxlHeader(
            width=width,
            height=height,
            orientation=orientation,
            bits=bits,
            is_float=is_float,
            is_grey=is_grey,
            is_animated=animated,
            has_alpha=bool(alphas),
            alpha_associated=bool(alphas and alphas[0]),
            ignored_channels=len(extras) - bool(alphas),
            color=color,
            places=Places(extra_fields, has_extra_fields, color_at, self.at),
        )

    def size(self) -> tuple[int, int]:
        small = self.flag()
        height = 8 * (self.u(5) + 1) if small else self.u32(_SIZE)
        ratio = self.u(3)
        if ratio:
            over, under = _RATIOS[ratio - 1]
            return height * over // under, height
        return (8 * (self.u(5) + 1) if small else self.u32(_SIZE)), height

    def preview(self) -> None:
        choices: Choices = ((0, 16), (0, 32), (5, 1), (9, 33))
        if not self.flag():
            choices = ((6, 1), (8, 65), (10, 321), (12, 1345))
        self.u32(choices)
        if not self.u(3):
            self.u32(choices)

    def animation(self) -> None:
        self.u32(((0, 100), (0, 1000), (10, 1), (30, 1)))
        self.u32(((0, 1), (0, 1001), (8, 1), (10, 1)))
        self.u32(((0, 0), (3, 0), (16, 0), (32, 0)))
        self.u(1)

    def depth(self) -> tuple[int, bool]:
        if not self.flag():
            return self.u32(((0, 8), (0, 10), (0, 12), (6, 1))), False
        bits = self.u32(((0, 32), (0, 16), (0, 24), (6, 1)))
        self.u(4)
        return bits, True

    def extra_channel(self) -> tuple[int, bool]:
        """Its type, and whether it is associated alpha."""
        if self.flag():
            return _ALPHA, False
        kind = self.u32(ENUM)
        self.depth()
        self.u32(((0, 0), (0, 3), (0, 4), (3, 1)))
        self.u(8 * self.u32(((0, 0), (4, 0), (5, 16), (10, 48))))
        if kind == _SPOT:
            self.u(4 * 16)
        if kind == _CFA:
            self.u32(((0, 1), (2, 0), (4, 3), (8, 19)))
        return kind, kind == _ALPHA and self.flag()

    def color(self) -> tuple[bool, Color]:
        """Whether it is grey, and the encoding."""
        if self.flag():
            return False, Color()
        has_icc, space = self.flag(), self.u32(ENUM)
        if has_icc:
            return space == _GREY, Color(has_icc=True)
        if space not in (_RGB, _GREY):
            raise PictureError(f"has the JPEG XL colour space {space}, which is not supported")
        white, primaries = self.u32(ENUM), 1
        white_point = self.point() if white == CUSTOM else None
        corners = None
        if space == _RGB:
            primaries = self.u32(ENUM)
            if primaries == CUSTOM:
                corners = (self.point(), self.point(), self.point())
        gamma = self.u(24) / 1e7 if self.flag() else 0.0
        transfer = 0 if gamma else self.u32(ENUM)
        self.u32(ENUM)  # rendering intent
        return space == _GREY, Color(False, white, primaries, transfer, gamma, white_point, corners)

    def point(self) -> Point:
        x, y = (self.u32(COORDINATE) for _ in range(2))
        return _signed(x) / MILLIONTHS, _signed(y) / MILLIONTHS


def _signed(value: int) -> int:
    """Even numbers are positive, odd ones negative."""
    return value >> 1 if value % 2 == 0 else -((value + 1) >> 1)
