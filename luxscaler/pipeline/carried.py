"""Which metadata of the source a result's format can hold, and notices of what is lost."""

from dataclasses import replace

from luxscaler.errors import ExportError
from luxscaler.io.exif.describe import check_exif
from luxscaler.io.exr.from_exif import has_more
from luxscaler.io.formats import ASSOCIATED_FORMATS
from luxscaler.picture import Inherited, PictureSource
from luxscaler.words import shortened

_WITH_XMP = ("png", "png-pq", "webp", "tiff", "tiff16", "avif", "jxl", "jpg")
_WITH_IPTC = ("tiff", "tiff16", "jpg")
_WITH_TEXTS = ("png", "png-pq")
_WITH_ASPECT = ("exr", "tiff", "tiff16", "png", "png-pq")
"""Formats that our writers put these into."""


def carried(source: PictureSource, file_format: str) -> tuple[PictureSource, tuple[str, ...]]:
    """The source without the metadata that a file of that format cannot hold, and notices of what is lost."""
    lost: tuple[str, ...] = ()
    if source.has_light_apart and file_format not in ASSOCIATED_FORMATS:
        choose = " or ".join(ASSOCIATED_FORMATS)
        lost += (f"{file_format} holds no light where alpha is 0: it is left out; choose {choose}",)
    inherited, more = _carried(source.inherited, file_format)
    source, lost = replace(source, inherited=inherited), lost + more
    if source.exif is not None:
        try:
            check_exif(source.exif)
        except ExportError as error:
            source, lost = replace(source, exif=None), (*lost, f"EXIF is left out: {error}")
    if file_format == "exr" and has_more(source.exif):
        lost += ("EXIF is left out but for camera, lens, exposure, place, date and owner: exr has no more",)
    if file_format != "exr" and source.exr_attributes:
        names = ", ".join(name for name, _, _ in source.exr_attributes)
        lost += (shortened(f"EXR attributes are left out: not written into {file_format}: {names}"),)
    return source, lost


def _carried(inherited: Inherited, file_format: str) -> tuple[Inherited, tuple[str, ...]]:
    """The part of `inherited` that a file of that format can hold, and notices of the rest."""
    lost: tuple[str, ...] = ()
    if inherited.xmp is not None and file_format not in _WITH_XMP:
        inherited, lost = replace(inherited, xmp=None), (f"XMP is left out: not written into {file_format}",)
    if inherited.iptc is not None and file_format not in _WITH_IPTC:
        inherited = replace(inherited, iptc=None)
        lost += (f"IPTC is left out: not written into {file_format}",)
    if inherited.texts and file_format not in _WITH_TEXTS:
        names = ", ".join(dict.fromkeys(keyword for keyword, _ in inherited.texts))
        lost += (shortened(f"PNG texts are left out: not written into {file_format}: {names}"),)
        inherited = replace(inherited, texts=())
    if inherited.pixel_aspect != 1 and file_format not in _WITH_ASPECT:
        aspect = f"{inherited.pixel_aspect:.4g}"
        lost += (f"pixels are {aspect} times as wide as high, and {file_format} does not say so",)
        inherited = replace(inherited, pixel_aspect=1.0)
    return inherited, lost
