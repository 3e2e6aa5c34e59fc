"""Unpacks the compressed metadata of files up to a limit, since a few bytes can unpack to gigabytes.

Sources: RFC 1950 (zlib), 1951 (deflate), 1952 (gzip), 7932 (Brotli); RFC 9110, 8.4.1, for the names of
content codings; libheif for "compress_zlib", and for "deflate" without zlib's frame.
"""

import zlib
from collections.abc import Callable

import imagecodecs

_ZLIB, _DEFLATE, _GZIP = zlib.MAX_WBITS, -zlib.MAX_WBITS, 16 + zlib.MAX_WBITS
_MAX_SHOWN = 20
"""Characters of a name in an error."""


class UnpackError(Exception):
    """The bytes are damaged or cut off, or are more than the limit."""


def inflated(data: bytes, most: int, frame: int = _ZLIB) -> bytes:
    """What zlib's stream `data` holds. Raises UnpackError where that is over `most` bytes."""
    inflate = zlib.decompressobj(frame)
    try:
        content = inflate.decompress(data, most + 1)
    except zlib.error as error:
        raise UnpackError(f"damaged ({error})") from error
    if len(content) > most:
        raise UnpackError(f"over {most} bytes")
    if not inflate.eof:
        raise UnpackError("cut off")
    return content


def from_brotli(data: bytes, most: int) -> bytes:
    """What the Brotli stream `data` holds. Raises UnpackError where it is damaged or over `most` bytes, which
    the decoder does not tell apart."""
    try:
        return bytes(imagecodecs.brotli_decode(data, out=most))
    except imagecodecs.BrotliError as error:
        raise UnpackError(f"damaged, or over {most} bytes") from error


def _deflated(data: bytes, most: int) -> bytes:
    """HTTP's "deflate" is zlib's stream; libheif, and some servers, leave out the frame."""
    is_framed = len(data) >= 2 and data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    return inflated(data, most, _ZLIB if is_framed else _DEFLATE)


def _gunzipped(data: bytes, most: int) -> bytes:
    return inflated(data, most, _GZIP)


_CODINGS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"deflate": _deflated,
    b"compress_zlib": inflated,
    b"gzip": _gunzipped,
    b"x-gzip": _gunzipped,
    b"br": from_brotli,
}


def decoded(data: bytes, coding: bytes, most: int) -> bytes:
    """What `data` holds in a content coding; empty or "identity": itself, however long.

    Raises UnpackError where that is over `most` bytes, damaged, or of an unknown coding.
    """
    name = coding.lower()
    if name in (b"", b"identity"):
        return data
    unpack = _CODINGS.get(name)
    said = f"compressed ({coding[:_MAX_SHOWN].decode('ascii', 'replace')!r})"
    if unpack is None:
        raise UnpackError(said)
    try:
        return unpack(data, most)
    except UnpackError as error:
        raise UnpackError(f"{said}, {error}") from error
