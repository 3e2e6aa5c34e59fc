"""The texts of a PNG: read from tEXt, zTXt and iTXt, written again; prompts of image generators among them.

Left out is what our own writer says (Software, Comment). EXIF, XMP and IPTC that ImageMagick packs into texts
("Raw profile type", in hexadecimal) are read as themselves. Source: PNG third edition, 11.3.3; ImageMagick's
coders/png.c.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from luxscaler.io.jpeg.segments import XMP_NAME
from luxscaler.io.unpacking import UnpackError, inflated
from luxscaler.words import printable

_XMP_KEYWORD = "XML:com.adobe.xmp"
_OWN = {"Software", "Comment"}
_PROFILE = "Raw profile type "
_IPTC_RESOURCE = 0x0404
_MAX_KEYWORD = 79
_MOST_SAID = 200
_MAX_TEXT = 1 << 19
"""Bytes of one text, unpacked, and of all together."""
_KINDS = (b"tEXt", b"zTXt", b"iTXt")

Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReadTexts:
    """What the text chunks of a file say."""

    texts: Texts = ()
    """Keywords and texts, in their order."""
    xmp: bytes | None = None
    iptc: bytes | None = None
    exif: bytes | None = None
    """From "Exif" or its TIFF header on."""
    notices: tuple[str, ...] = ()


def read_texts(chunks: Iterable[tuple[bytes, int]], stream: BinaryIO) -> ReadTexts:
    """Read them; never raises.

    chunks: names and sizes; the stream stands at the data of each.
    """
    texts: list[tuple[str, str]] = []
    packed: dict[str, bytes] = {}
    xmp: bytes | None = None
    lost: list[str] = []
    room = _MAX_TEXT
    for kind, size in chunks:
        if kind not in _KINDS:
            continue
        if size > _MAX_TEXT:
            lost.append(stream.read(_MAX_KEYWORD).partition(b"\0")[0].decode("latin-1"))
            continue
        data, checksum = stream.read(size), stream.read(4)
        keyword = data[:_MAX_KEYWORD].partition(b"\0")[0].decode("latin-1")
        found = _text(kind, data) if zlib.crc32(kind + data) == int.from_bytes(checksum, "big") else None
        if found is None:
            lost.append(keyword)
            continue
        keyword, text = found
        if keyword == _XMP_KEYWORD:
            xmp = xmp or text.encode()
        elif keyword.startswith(_PROFILE):
            _unpack_profile(keyword.removeprefix(_PROFILE), text, packed, lost)
        elif keyword in _OWN:
            continue
        elif len(text) > room:
            lost.append(keyword)
        else:
            room -= len(text)
            texts.append((keyword, text))
    notices: tuple[str, ...] = ()
    if lost:
        names = ", ".join(printable(name) or "without a keyword" for name in dict.fromkeys(lost))
        notices = (f"PNG texts that are damaged or too long were not kept: {names}"[:_MOST_SAID],)
    return ReadTexts(tuple(texts), xmp or packed.get("xmp"), packed.get("iptc"), packed.get("exif"), notices)


def _unpack_profile(name: str, text: str, packed: dict[str, bytes], lost: list[str]) -> None:
    """Add what ImageMagick packs into a text: its name, its length, and hexadecimal digits."""
    words = text.split()
    try:
        data = bytes.fromhex("".join(words[2:]))
        is_whole = len(data) == int(words[1])
    except (ValueError, IndexError):
        is_whole = False
    if not is_whole:
        lost.append(_PROFILE + name)
    elif name == "exif" or (name == "APP1" and data.startswith(b"Exif")):
        packed["exif"] = data
    elif name == "xmp" or (name == "APP1" and data.startswith(XMP_NAME)):
        packed["xmp"] = data.removeprefix(XMP_NAME)
    elif name == "iptc":
        packed["iptc"] = _iptc_in(data)
    elif name == "8bim":
        packed.setdefault("iptc", _iptc_in(data))
    else:
        lost.append(_PROFILE + name)


def _iptc_in(data: bytes) -> bytes:
    """IPTC itself, or the first of Photoshop's image resources, if that is it (kind, no name, size)."""
    if not data.startswith(b"8BIM"):
        return data
    kind, name, size = struct.unpack_from(">HHI", data.ljust(12, b"\0"), 4)
    return data[12 : 12 + size] if kind == _IPTC_RESOURCE and name == 0 else b""


def text_chunks(texts: Texts, xmp: bytes | None) -> list[tuple[bytes, bytes]]:
    """Kinds and data of the chunks for these texts and this XMP: tEXt in Latin-1 if possible, else iTXt."""
    chunks = [_chunk(keyword, text) for keyword, text in texts]
    return [*chunks, (b"iTXt", _XMP_KEYWORD.encode() + bytes(5) + xmp)] if xmp else chunks


def _chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    head = keyword.encode("latin-1")
    try:
        return b"tEXt", head + b"\0" + text.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", head + bytes(5) + text.encode()


def _text(kind: bytes, data: bytes) -> tuple[str, str] | None:
    """Keyword and text of a chunk; None where it is damaged."""
    keyword, end, rest = data.partition(b"\0")
    if not end or not 1 <= len(keyword) <= 79:
        return None
    try:
        if kind == b"tEXt":
            text = rest.decode("latin-1")
        elif kind == b"zTXt":
            text = inflated(rest[1:], _MAX_TEXT).decode("latin-1")
        else:
            packed, _ = struct.unpack_from("BB", rest)
            _, _, body = rest[2:].partition(b"\0")
            _, _, body = body.partition(b"\0")
            text = (inflated(body, _MAX_TEXT) if packed else body).decode("utf-8")
    except (UnpackError, struct.error, UnicodeDecodeError):
        return None
    return keyword.decode("latin-1"), text
