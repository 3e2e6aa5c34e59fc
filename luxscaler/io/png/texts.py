"""The texts of a PNG: read from tEXt, zTXt and iTXt, written again; prompts of image generators among them.

Left out are what our own writer says (Software, Comment), and profiles that ImageMagick packs into texts.
Source: PNG third edition, 11.3.3.
"""

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

from luxscaler.io.unpacking import UnpackError, inflated

_XMP_KEYWORD = "XML:com.adobe.xmp"
_OWN = {"Software", "Comment"}
_MAX_TEXT = 1 << 19
"""Bytes of one text, unpacked, and of all together."""
_KINDS = (b"tEXt", b"zTXt", b"iTXt")

Texts = tuple[tuple[str, str], ...]


def read_texts(chunks: Iterable[tuple[bytes, int]], stream: BinaryIO) -> tuple[Texts, bytes | None]:
    """Keywords and texts, and the XMP packet.

    chunks: names and sizes; the stream stands at the data of each.
    """
    texts: list[tuple[str, str]] = []
    xmp: bytes | None = None
    room = _MAX_TEXT
    for kind, size in chunks:
        if kind not in _KINDS or size > _MAX_TEXT:
            continue
        data, checksum = stream.read(size), stream.read(4)
        if zlib.crc32(kind + data) != int.from_bytes(checksum, "big"):
            continue
        found = _text(kind, data)
        if found is None:
            continue
        keyword, text = found
        if keyword == _XMP_KEYWORD:
            xmp = xmp or text.encode()
        elif keyword not in _OWN and not keyword.startswith("Raw profile type") and len(text) <= room:
            room -= len(text)
            texts.append((keyword, text))
    return tuple(texts), xmp


def text_chunks(texts: Texts, xmp: bytes | None) -> list[tuple[bytes, bytes]]:
    """Kinds and data of the chunks that say this: Latin-1 where that can hold it, else UTF-8."""
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
