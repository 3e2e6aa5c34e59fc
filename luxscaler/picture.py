"""The value that travels between the stages: a picture under the pixel contract.

The contract, at every boundary: float32, height × width × 3, RGB, linear light, Rec.709 primaries, D65,
1.0 = SDR reference white = 203 cd/m² (ITU-R BT.2408). Values above 1 (highlights) and below 0 (colours
outside Rec.709) are legal; NaN and infinity are not. Alpha travels beside the colour, in [0, 1], and the
colour is un-associated (straight).
"""

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from luxscaler.checks import check_type, kind_of
from luxscaler.errors import PictureError

if TYPE_CHECKING:
    from PIL import Image

FloatArray = NDArray[np.float32]
ExrAttribute = tuple[str, str, bytes]
"""Name, type and value of an attribute, as OpenEXR stores them."""

HALF_MAX = 65504.0
"""Largest finite half float; larger values would become infinity."""
REFERENCE_WHITE_CD_M2 = 203.0
"""Luminance of the linear value 1.0, in cd/m² (ITU-R BT.2408-7, HDR reference white)."""


@dataclass(frozen=True)
class Inherited:
    """What a result takes over from its file beside EXIF and resolution, as far as its format can hold it."""

    xmp: bytes | None = None
    """An XMP packet, without the properties that are false of an edited picture (io/xmp.py)."""
    iptc: bytes | None = None
    """IPTC-IIM records."""
    texts: tuple[tuple[str, str], ...] = ()
    """Keywords and texts of PNG, such as prompts."""
    pixel_aspect: float = 1.0
    """Width of a pixel / its height, where there is no resolution that says it."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON types."""
        return {
            "xmp": None if self.xmp is None else base64.b64encode(self.xmp).decode("ascii"),
            "iptc": None if self.iptc is None else base64.b64encode(self.iptc).decode("ascii"),
            "texts": [list(pair) for pair in self.texts],
            "pixel_aspect": self.pixel_aspect,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Inherited":
        """The value that `to_json` described. Raises KeyError, TypeError or ValueError for anything else."""
        blocks = (values["xmp"], values["iptc"])
        xmp, iptc = (None if block is None else base64.b64decode(block) for block in blocks)
        texts = tuple((str(key), str(text)) for key, text in values["texts"])
        return cls(xmp, iptc, texts, float(values["pixel_aspect"]))


NOTHING_INHERITED = Inherited()


@dataclass(frozen=True)
class PictureSource:
    """What the file said about itself.

    Most of it is for reports and for the metadata of results. Pixels depend on `is_float` and `bits`,
    `is_grey`, `has_light_apart` and `is_associated`.
    """

    format: str = "array"
    """Name of the file format: "jpeg", "png", "webp", "tiff", "exr", "hdr", "avif", "heic", "jxl", "raw",
    "bmp", "gif"."""
    bits: int = 32
    """Bits per channel as stored, from 1 (bilevel TIFF) to 32; PNG with fewer than 8 counts as 8."""
    is_float: bool = True
    """Whether the samples were stored as floating point, and not as integers before that (a tile that travels
    to a container is an EXR whatever it was cut from)."""
    color_space: str = "linear Rec.709"
    """The coding that was converted from, e.g. "sRGB (assumed)", "ICC: Display P3", "cICP 9/16"."""
    notices: tuple[str, ...] = ()
    """What the reader decided on the user's behalf, one line each (e.g. "first of 3 pages")."""
    exif: bytes | None = None
    """What a result may inherit: camera, place, dates, author and copyright; nothing about size, colour or
    orientation. A TIFF structure ("II*\\0" or "MM\\0*"; JPEG puts "Exif\\0\\0" before it), at most 64 KiB."""
    estimated_range: bool = False
    """Whether light above SDR white was estimated by hdr_boost, rather than stored in the file."""
    resolution_dpi: tuple[float, float] | None = None
    """Horizontal and vertical pixels per inch of the upright picture."""
    inherited: Inherited = NOTHING_INHERITED
    is_grey: bool = False
    """Whether the picture has one colour channel; R, G and B are equal then, and results have one too."""
    has_light_apart: bool = False
    """Whether there is light that alpha does not cover, as in an EXR of fire or glow. Where alpha is 0, `rgb`
    is that light. Straight colour cannot be averaged then, so the stages work on `Picture.as_light`."""
    is_associated: bool = False
    """Whether `rgb` is what `Picture.as_light` gives."""
    exr_attributes: tuple[ExrAttribute, ...] = ()
    """Of an EXR, what a result may inherit: time code, frames per second, camera, lens and their like."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON types: tuples become lists, EXIF becomes base64 text."""
        values = asdict(self)
        values["notices"] = list(self.notices)
        values["inherited"] = self.inherited.to_json()
        values["exr_attributes"] = [
            [name, kind, base64.b64encode(value).decode("ascii")] for name, kind, value in self.exr_attributes
        ]
        if self.exif is not None:
            values["exif"] = base64.b64encode(self.exif).decode("ascii")
        if self.resolution_dpi is not None:
            values["resolution_dpi"] = list(self.resolution_dpi)
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PictureSource":
        """The value that `to_json` described. Raises KeyError, TypeError or ValueError for anything else."""
        exif, dpi = values["exif"], values["resolution_dpi"]
        restored = {
            "notices": tuple(values["notices"]),
            "inherited": Inherited.from_json(values["inherited"]) if "inherited" in values else Inherited(),
            "exr_attributes": tuple(
                (str(name), str(kind), base64.b64decode(value))
                for name, kind, value in values["exr_attributes"]
            ),
            "exif": None if exif is None else base64.b64decode(exif),
            "resolution_dpi": None if dpi is None else (float(dpi[0]), float(dpi[1])),
        }
        return cls(**{**values, **restored})


@dataclass(frozen=True)
class Picture:
    """A picture under the pixel contract.

    rgb: (height, width, 3) float32, linear Rec.709, 1.0 = 203 cd/m², unbounded, finite.
    alpha: (height, width) float32 in [0, 1], or None for an opaque picture.
    """

    rgb: FloatArray
    alpha: FloatArray | None = None
    source: PictureSource = PictureSource()

    def __repr__(self) -> str:
        """What it is, and not its samples: a notebook would show pages of numbers."""
        alpha = ", alpha" if self.has_alpha else ""
        return (
            f"Picture({self.width} × {self.height}{alpha}, {self.source.format}, {self.source.color_space})"
        )

    def __post_init__(self) -> None:
        for name, samples in (("rgb", self.rgb), ("alpha", self.alpha)):
            if not isinstance(samples, np.ndarray) and not (name == "alpha" and samples is None):
                raise PictureError(
                    f"{name} must be a NumPy array, got {kind_of(samples)}: Picture.from_array makes one"
                )
        if not isinstance(self.source, PictureSource):
            raise PictureError(f"source must be a PictureSource, got {kind_of(self.source)}")
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.float32:
            raise PictureError(
                f"rgb must be height × width × 3 float32, got {self.rgb.shape} {self.rgb.dtype}"
            )
        if 0 in self.rgb.shape:
            raise PictureError(f"a picture needs at least one pixel, got {self.width} × {self.height}")
        if self.alpha is not None and (
            self.alpha.shape != self.rgb.shape[:2] or self.alpha.dtype != np.float32
        ):
            raise PictureError(
                f"alpha must be {self.rgb.shape[:2]} float32, got {self.alpha.shape} {self.alpha.dtype}"
            )
        object.__setattr__(self, "rgb", _shareable(self.rgb))
        if self.alpha is not None:
            object.__setattr__(self, "alpha", _shareable(self.alpha))

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.rgb.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def has_alpha(self) -> bool:
        """Whether there is an alpha channel, opaque or not."""
        return self.alpha is not None

    def region(self, top: int, bottom: int, left: int, right: int) -> "Picture":
        """Rows [top, bottom) and columns [left, right) as a view, with the source of the whole.

        0 ≤ top < bottom ≤ height and 0 ≤ left < right ≤ width, or PictureError.
        """
        for name, value in (("top", top), ("bottom", bottom), ("left", left), ("right", right)):
            check_type(name, value, int, error=PictureError)
        if not (0 <= top < bottom <= self.height and 0 <= left < right <= self.width):
            raise PictureError(
                f"rows {top} to {bottom} and columns {left} to {right} are no part of a picture of "
                f"{self.width} × {self.height}"
            )
        part = (slice(top, bottom), slice(left, right))
        return Picture(self.rgb[part], None if self.alpha is None else self.alpha[part], self.source)

    def as_light(self) -> "Picture":
        """The picture premultiplied, if it has light that alpha does not cover: rgb is then all of the light.

        The stages compute with this form. Any other picture is returned as it is.
        """
        if self.alpha is None or self.source.is_associated or not self.source.has_light_apart:
            return self
        rgb = np.multiply(
            self.rgb, self.alpha[..., None], out=self.rgb.copy(), where=self.alpha[..., None] > 0
        )
        return Picture(rgb, self.alpha, replace(self.source, is_associated=True))

    def as_read(self) -> "Picture":
        """The inverse of `as_light`, to within rounding: straight colour again."""
        if self.alpha is None or not self.source.is_associated:
            return self
        alpha = self.alpha[..., None]
        limit = np.finfo(np.float32).max
        with np.errstate(over="ignore"):
            rgb = np.divide(self.rgb, alpha, out=self.rgb.copy(), where=alpha > 0).clip(-limit, limit)
        return Picture(rgb, self.alpha, replace(self.source, is_associated=False))

    def over_black(self) -> "Picture":
        """The picture over black, opaque, if it has light that alpha does not cover; else as it is."""
        if self.alpha is None or not self.source.has_light_apart:
            return self
        source = replace(self.source, has_light_apart=False, is_associated=False)
        return Picture(self.as_light().rgb, None, source)

    def whole(self) -> "Picture":
        """This picture; LinearFile has the same method, which reads the picture from disk."""
        return self

    # Conversions. Their code is in io/, which imports this module; it is imported when one is called.

    @classmethod
    def from_array(
        cls,
        array: NDArray[Any],
        *,
        alpha: NDArray[Any] | None = None,
        coding: Literal["auto", "srgb", "linear"] = "auto",
    ) -> "Picture":
        """A new picture from an array of samples, which is copied.

        array: (height, width), or with 1, 3 or 4 channels (grey, RGB, RGB and straight alpha); uint8, uint16,
        float16, float32 or float64. Integers are sRGB code values, floats linear light with 1.0 at SDR white,
        unless `coding` says otherwise. alpha: (height, width), straight. Raises PictureError for other shapes
        and types, and for values that are not finite.
        """
        made: Picture = import_module("luxscaler.io.arrays").from_array(array, alpha=alpha, coding=coding)
        return made

    @classmethod
    def from_pil(cls, image: "Image.Image") -> "Picture":
        """A picture from a Pillow image of any usual mode; an ICC profile is applied, EXIF handed on.

        It is not turned by its EXIF orientation, as `image.size` is not. Raises PictureError for a mode that
        is not supported and for an image that Pillow cannot load.
        """
        made: Picture = import_module("luxscaler.io.pil").from_pil(image)
        return made

    def to_pil(self) -> "Image.Image":
        """The SDR rendering as 8-bit sRGB, mode RGB or RGBA, as PNG files show it; highlights roll off."""
        image: Image.Image = import_module("luxscaler.io.pil").to_pil(self)
        return image


def _shareable(samples: FloatArray) -> FloatArray:
    """The array, copied if PyTorch could not share it: flipped views and read-only memory."""
    return samples if samples.flags.writeable and min(samples.strides) >= 0 else samples.copy()
