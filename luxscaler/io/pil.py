"""Pillow images: what their modes mean, to a Picture, and back as the SDR picture that PNG files show.

The decoders of files that Pillow reads (pillow_format.py) use the same functions.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from luxscaler.checks import kind_of
from luxscaler.errors import ExportError, PictureError
from luxscaler.io.color_encoding import (
    ADOBE_RGB_EXIF,
    CMYK_ASSUMED,
    CMYK_NOTICE,
    LINEAR_ASSUMED,
    SRGB_ASSUMED,
    ColorCoding,
)
from luxscaler.io.decoder import Alpha, FileInfo, Samples, with_channels
from luxscaler.io.exif.read import Marks, Metadata, Resolution, from_exif, read_marks, resolution, with_more
from luxscaler.io.frame import Frame
from luxscaler.io.icc import profile_coding
from luxscaler.io.linearize import linearize
from luxscaler.io.options import ExportOptions
from luxscaler.io.sdr import encode_sdr
from luxscaler.picture import Picture

_EXTENDED_XMP = b"HasExtendedXMP"
_IPTC_BLOCK = 0x0404
"""Of Photoshop's image resources."""
_EIGHT_BITS = ("L", "LA", "RGB", "RGBA", "CMYK")
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA"}
_WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def from_pil(image: Image.Image) -> Picture:
    """A Picture from an image of mode 1, L, LA, P, PA, RGB, RGBA, CMYK, I;16 (grey) or F (linear grey).

    An ICC profile (`image.info["icc_profile"]`) is applied; else integers are sRGB, or Adobe RGB where EXIF
    says so. EXIF and resolution are handed on. The picture is not turned by its EXIF orientation, as
    `image.size` is not: PIL.ImageOps.exif_transpose does that. Alpha is straight.

    Raises PictureError for other modes, an image without pixels, one that Pillow cannot load, and for F with
    values that are not finite.
    """
    if not isinstance(image, Image.Image):
        raise PictureError(f"the image is of the type {kind_of(image)}; it must be a Pillow image")
    if 0 in image.size:
        raise PictureError(f"a picture needs at least one pixel, got {image.width} × {image.height}")
    try:
        image.load()
    except Exception as error:  # Pillow raises nearly anything for a damaged file
        raise PictureError(f"the image cannot be read, it may be damaged: {error}") from error
    marks = read_marks(image.info.get("exif"))
    if image.mode == "F":
        samples: Samples = np.asarray(image, np.float32)
        if not np.isfinite(samples).all():
            raise PictureError("the image has values that are not finite")
        info = _info(image, marks, "F", bits=32, is_float=True)
    elif image.mode in _SIXTEEN_BITS:
        samples = np.asarray(image).astype(np.uint16)
        info = _info(image, marks, "L", bits=16)
    else:
        try:
            mode = eight_bit_mode(image)
        except PictureError as error:
            raise PictureError(f"the image {error}") from None
        samples = eight_bit_samples(image, mode)
        info = _info(image, marks, mode, bits=8)
    return linearize(with_channels(samples), info)


def to_pil(picture: Picture, *, sdr_peak: float | None = None) -> Image.Image:
    """The SDR rendering of a picture as 8-bit sRGB, mode RGB, or RGBA where there is alpha.

    What PNG and WebP files show: values above SDR white are rolled off, up to `sdr_peak` (None: the picture's
    own maximum). Raises ExportError for a peak that is not above 0 and finite, and for values that are not.
    """
    if not np.isfinite(picture.rgb).all():
        raise ExportError("the picture has NaN or infinite values; they have no colour")
    options = ExportOptions(sdr_peak=sdr_peak)
    peak = float(picture.rgb.max()) if sdr_peak is None else sdr_peak
    picture = picture.as_light()
    frame = Frame(
        picture.rgb, picture.alpha, peak, options, {}, is_associated=picture.source.is_associated
    ).straight()
    return Image.fromarray(encode_sdr(frame, np.dtype(np.uint8)))


def eight_bit_mode(image: Image.Image) -> str:
    """The mode with one uint8 per channel that holds what the image holds. Raises PictureError for others."""
    mode = _CONVERTED.get(image.mode, image.mode)
    if mode not in _EIGHT_BITS:
        raise PictureError(f"has the pixel layout {image.mode!r}, which is not supported")
    # A palette, or a single colour, may be transparent.
    return _WITH_ALPHA.get(mode, mode) if "transparency" in image.info else mode


def eight_bit_samples(image: Image.Image, mode: str) -> Samples:
    """(height, width, channels) uint8 of `eight_bit_mode`; CMYK with 255 = full ink."""
    return with_channels(np.asarray(image if image.mode == mode else image.convert(mode)))


def image_coding(image: Image.Image, marks: Marks, mode: str) -> tuple[ColorCoding, tuple[str, ...]]:
    """How samples of `mode` stand for light, by the image's ICC profile or EXIF; and notices."""
    channels = len(Image.new(mode, (1, 1)).getbands()) - has_alpha(mode)
    profile = image.info.get("icc_profile")
    notices: tuple[str, ...] = ()
    if profile is None and "icc_profile" in image.info:  # what Pillow says of a JPEG that lacks some segments
        notices = ("parts of the ICC profile are missing; it is ignored",)
    if profile:
        coding, notices = profile_coding(profile, channels)
        if coding is not None:
            return coding, notices
    if mode == "CMYK":
        return CMYK_ASSUMED, (*notices, CMYK_NOTICE)
    if mode == "F":
        return LINEAR_ASSUMED, notices
    return (ADOBE_RGB_EXIF if marks.adobe_rgb else SRGB_ASSUMED), notices


def has_alpha(mode: str) -> bool:
    """Whether the last channel is alpha."""
    return mode in ("LA", "RGBA")


def image_resolution(image: Image.Image) -> Resolution | None:
    """Pixels per inch, where the file had them with a unit."""
    x, y = image.info.get("dpi", (0, 0))
    return resolution(float(x), float(y))


def image_metadata(image: Image.Image) -> Metadata:
    """EXIF, resolution, XMP, IPTC, and the shape of pixels where JFIF says nothing else of them."""
    blocks = image.info.get("photoshop")
    iptc = blocks.get(_IPTC_BLOCK) if isinstance(blocks, dict) else None
    aspect = 1.0
    x, y = image.info.get("jfif_density", (1, 1))
    if image.info.get("jfif_unit") == 0 and x > 0 and y > 0:
        aspect = y / x
    known = from_exif(image.info.get("exif"), image_resolution(image))
    xmp = image.info.get("xmp")
    if isinstance(xmp, bytes) and _EXTENDED_XMP in xmp:
        known = replace(
            known, notices=(*known.notices, "the XMP data goes on in further segments, which were not kept")
        )
    return with_more(
        known,
        xmp=xmp if isinstance(xmp, bytes) else None,
        iptc=iptc if isinstance(iptc, bytes) else None,
        pixel_aspect=aspect,
    )


def _info(image: Image.Image, marks: Marks, mode: str, **depth: Any) -> FileInfo:
    coding, notices = image_coding(image, marks, mode)
    return FileInfo(
        format="array",
        width=image.width,
        height=image.height,
        channels=len(Image.new(mode, (1, 1)).getbands()),
        coding=coding,
        alpha=Alpha.STRAIGHT if has_alpha(mode) else Alpha.NONE,
        notices=notices,
        metadata=image_metadata(image),
        **depth,
    )
