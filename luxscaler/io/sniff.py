"""Tells the format of a picture from its first bytes; of other bytes, what they look like.

Suffixes and content types are not looked at: servers send HTML as image/png.
"""

import re
from collections.abc import Callable
from types import MappingProxyType

from luxscaler.errors import PictureError

SNIFF_BYTES = 512
"""How many leading bytes are looked at."""

_SUPPORTED = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0\x08\0\0\0", "tiff"),
    (b"MM\0+\0\x08\0\0", "tiff"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"#?RGBE", "hdr"),
    (b"FUJIFILMCCD-RAW", "raw"),
    (b"IIRO", "raw"),
    (b"IIRS", "raw"),
    (b"MMOR", "raw"),
    (b"IIU\0", "raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "raw"),
    (b"\0MRM", "raw"),
    (b"FOVb", "raw"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\x28\0\0\0", "dib"),
    (b"\x6c\0\0\0", "dib"),
    (b"\x7c\0\0\0", "dib"),
    (b"\0\0\1\0", "ico"),
    (b"qoif", "qoi"),
    (b"\x01\xda", "sgi"),
    (b"\x59\xa6\x6a\x95", "sun"),
    (b"DDS ", "dds"),
    (b"8BPS", "psd"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xfe]")
_NETPBM = re.compile(rb"P[1-6Ff][\s#]|P7\n")
_CURSOR = re.compile(rb"\x00\x00\x02\x00[^\x00]\x00")
_XBM = re.compile(rb"#define \w+_width ")
_RAW_TIFF = re.compile(rb"(?:II\*\x00|MM\x00\*).{4}(?:CR\x02|IIII.waR|MMMMRaw)", re.DOTALL)
"""CR2 and IIQ: marks behind the header of a TIFF. Fewer bytes of them begin the pixels of some pictures."""
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_DICOM_PREAMBLE = 128
"""Bytes that may be anything (DICOM PS3.10, section 7.1)."""
_UNSUPPORTED = (
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"\x80\x2a\x5f\xd7", "Cineon"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"SIMPLE  =", "FITS"),
    (b"AT&TFORM", "DjVu"),
    (b"FORM", "IFF"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (b"\1\0\0\0\x58\0\0\0", "an enhanced metafile"),
    (b"icns", "an Apple icon"),
    (b"\xabKTX ", "KTX"),
    (b"farbfeld", "farbfeld"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"gimp xcf", "a GIMP document"),
    (b"Paint Shop Pro", "a Paint Shop Pro document"),
    (b"CSFCHUNK", "a Clip Studio document"),
    (b"BLP1", "BLP"),
    (b"BLP2", "BLP"),
    (b"/* XPM */", "XPM"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
)


def picture_format(head: bytes) -> str:
    """Name the format by the first bytes, as in PictureSource.format.

    head: the first SNIFF_BYTES bytes (fewer for a smaller file). Raises PictureError, the rest of a
    sentence that begins with the name of the file, for anything else.
    """
    if not head:
        raise PictureError("is empty")
    if head[4:8] == b"ftyp" and head[4:12] != b"ftypcrx ":  # crx: CR3
        return _iso_brand(head)
    for name, matches in _BY_STRUCTURE.items():
        if matches(head):
            return name
    for magic, name in _SUPPORTED:
        if head.startswith(magic):
            return name
    if (unsupported := _unsupported(head)) is not None:
        raise PictureError(f"is {unsupported}, which is not supported")
    # Last, since these begin with no mark of their own.
    if _is_pcx(head):
        return "pcx"
    if _is_tga(head):
        return "tga"
    raise PictureError(f"is not a picture: {_likeness(head)}")


def _unsupported(head: bytes) -> str | None:
    """The name of a known format that is not read."""
    for magic, name in _UNSUPPORTED:
        if head.startswith(magic):
            return name
    if head[_DICOM_PREAMBLE:].startswith(b"DICM"):
        return "DICOM"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "an AVI video"
    if _CURSOR.match(head):
        return "a Windows cursor"
    return "XBM" if _XBM.match(head) else None


def _is_raw(head: bytes) -> bool:
    """CR2 and IIQ, which begin as TIFF does, and CR3, which begins as HEIC does."""
    return _RAW_TIFF.match(head) is not None or head[4:12] == b"ftypcrx "


def _is_jpeg(head: bytes) -> bool:
    """Other bytes may stand before the second marker."""
    return head.startswith(b"\xff\xd8") and _JPEG_MARKER.search(head, 2) is not None


_BY_STRUCTURE: MappingProxyType[str, Callable[[bytes], object]] = MappingProxyType(
    {
        "webp": lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
        "raw": _is_raw,
        "jpeg": _is_jpeg,
        "pnm": _NETPBM.match,
    }
)


def _is_pcx(head: bytes) -> bool:
    return len(head) >= 128 and head[0] == 10 and head[1] in (0, 2, 3, 4, 5) and head[2] in (0, 1)


def _is_tga(head: bytes) -> bool:
    """By its fields: the format begins with no mark (Truevision TGA 2.0, table 1)."""
    if len(head) < 18 or head[1] not in (0, 1) or head[2] not in (1, 2, 3, 9, 10, 11):
        return False
    has_size = any(head[12:14]) and any(head[14:16])
    return has_size and head[16] in (8, 15, 16, 24, 32) and head[17] & 0xC0 == 0


def _iso_brand(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    listed = head[8 : min(size, SNIFF_BYTES)]
    brands = {listed[i : i + 4] for i in range(0, len(listed), 4) if i != 4}  # 4: the minor version
    if brands & _AVIF_BRANDS:
        return "avif"
    if brands & _HEIF_BRANDS:
        return "heic"
    brand = listed[:4].decode("latin-1").strip()
    raise PictureError(f"is an ISO media file of brand {brand!r} (a video?), which is not supported")


def _likeness(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in text:
        return "it looks like HTML"
    if b"<svg" in text:
        return "it looks like SVG, which has no pixels"
    if text.startswith(b"<"):
        return "it looks like XML"
    if text.startswith((b"{", b"[")):
        return "it looks like JSON"
    if _is_text(head):
        return "it looks like text"
    return f"no known format begins with the bytes {head[:8].hex(' ')}"


def _is_text(head: bytes) -> bool:
    """Whether the bytes are UTF-8 without control characters; the last character may be cut off."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n" for char in text)
