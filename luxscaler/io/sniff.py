"""Tells the format of a picture from its first bytes; of other bytes, what they look like.

Suffixes and content types are not looked at: servers send HTML as image/png.
"""

from luxscaler.errors import PictureError

SNIFF_BYTES = 512
"""How many leading bytes are looked at."""

_SUPPORTED = (
    (b"\xff\xd8\xff", "jpeg"),
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
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_UNSUPPORTED = (
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "a Photoshop document"),
    (b"SDPX", "DPX"),
    (b"XPDS", "DPX"),
    (b"%PDF", "PDF"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x7fELF", "a program"),
)


def picture_format(head: bytes) -> str:
    """Name the format by the first bytes, as in PictureSource.format.

    head: the first SNIFF_BYTES bytes (fewer for a smaller file). Raises PictureError, the rest of a
    sentence that begins with the name of the file, for anything else.
    """
    if not head:
        raise PictureError("is empty")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if (head[:2] == b"II" and head[8:10] == b"CR") or head[4:12] == b"ftypcrx ":
        return "raw"  # CR2, CR3
    if head[4:8] == b"ftyp":
        return _iso_brand(head)
    for magic, name in _SUPPORTED:
        if head.startswith(magic):
            return name
    for magic, name in _UNSUPPORTED:
        if head.startswith(magic):
            raise PictureError(f"is {name}, which is not supported")
    raise PictureError(f"is not a picture: {_likeness(head)}")


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
