"""Data URLs: made from bytes and files, and decoded, whole or piece by piece."""

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SUFFIXES = {
    "image/png": ".png",
    "image/webp": ".webp",
    "image/tiff": ".tiff",
    "image/avif": ".avif",
    "image/jxl": ".jxl",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/x-exr": ".exr",
    "application/json": ".json",
    "text/plain": ".txt",
    "video/mp4": ".mp4",
    "application/x-tar": ".tar",
    "application/zip": ".zip",
}
"""Not mimetypes: it differs between machines."""
_EXR_MAGIC = b"v/1\x01"
"""Cog sends an EXR as application/octet-stream."""
CONTENT_TYPES = {suffix: content_type for content_type, suffix in _SUFFIXES.items()}


def data_url(content_type: str, data: bytes) -> str:
    """The bytes as a data URL."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def file_as_data_url(content_type: str, path: Path) -> str:
    """The whole file as a data URL."""
    return data_url(content_type, path.read_bytes())


def decode_data_url(url: str) -> bytes:
    """The bytes of a data URL. Raises ValueError where it is not base64, or damaged."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise ValueError("a data URL without base64")
    decoder = Base64Decoder()
    return decoder.feed(data.encode("ascii", "replace")) + decoder.end()


def suffix_for(content_type: str, head: bytes) -> str:
    """The suffix of a file's name, by the data URL's type and the file's first four bytes."""
    if head.startswith(_EXR_MAGIC):
        return ".exr"
    return _SUFFIXES.get(content_type.lower() or "text/plain", ".bin")


class Base64Decoder:
    """Decodes base64 that arrives piece by piece. Raises ValueError when it is damaged."""

    def __init__(self) -> None:
        self._pending = b""
        self._padded = False

    def feed(self, text: bytes) -> bytes:
        """Take the next characters, and return the bytes that are complete."""
        text = self._pending + text
        whole = len(text) // 4 * 4
        self._pending = text[whole:]
        return self._decoded(text[:whole])

    def end(self) -> bytes:
        """Check that the text is complete."""
        return self._decoded(self._pending)

    def _decoded(self, text: bytes) -> bytes:
        if not text:
            return b""
        if self._padded:
            raise ValueError("damaged base64: characters after its end")
        self._padded = text.endswith(b"=")
        try:
            return binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error as error:
            raise ValueError(f"damaged base64: {error}") from error


def map_strings(value: Any, change: Callable[[str], Any]) -> Any:
    """A copy of JSON in which `change` replaces every string that is not a key."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_strings(item, change) for key, item in value.items()}
    return value
