"""The header of an OpenEXR file, byte by byte: channels, windows, and what else the reader asks for.

OpenEXR's own Python calls are not fit for untrusted files: one of them ends the process at a `preview`
attribute, the other does not tell the types of channels before it has decoded them. A header is a list of
attributes, each a name, a type (both ended by a 0 byte), a size and a value; an empty name ends it.
Source: "OpenEXR File Layout" (openexr.com/en/latest/OpenEXRFileLayout.html).
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from luxscaler.errors import PictureError
from luxscaler.words import counted

MAGIC = b"\x76\x2f\x31\x01"
OWN_PREFIX = "luxscaler:"
"""Begins the names of the attributes that LuxScaler adds."""
SOURCE_BITS = f"{OWN_PREFIX}source_bits"
"""Depth of the integer picture that a tile's floats were made of (backends/exr_transport.py)."""
LIGHT_APART = f"{OWN_PREFIX}light_apart"
"""1 where colour holds light that alpha does not cover, if only in other tiles of the picture."""
_VERSION = 2
_SINGLE_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_MAX_NAME = 255
_MAX_ATTRIBUTES = 4096
_MAX_PARTS = 1024
_KEPT_BYTES = 1 << 16
"""Longer values, such as previews, are passed over."""
_MAX_SIDE = 2**24
_SAMPLE_TYPES: tuple[DTypeLike, ...] = (np.uint32, np.float16, np.float32)

Window = tuple[int, int, int, int]
"""left, top, right, bottom; the last two inclusive, as in the file."""


@dataclass(frozen=True)
class Channel:
    """One channel of a part."""

    dtype: np.dtype[np.uint32 | np.float16 | np.float32]
    step: tuple[int, int]
    """Pixels from one sample to the next, across and down."""


@dataclass(frozen=True)
class Part:
    """One part's header."""

    attributes: dict[str, tuple[str, bytes]]
    """Name to type and value."""
    flags: int
    """Of the whole file."""

    @property
    def name(self) -> str:
        """The part's name; empty in most files of one part."""
        return self.text("name")

    @property
    def is_deep(self) -> bool:
        """Whether it is deep: each pixel holds a number of samples of its own."""
        return bool(self.flags & _DEEP and not self.flags & _MULTIPART) or self.text("type").startswith(
            "deep"
        )

    def channels(self) -> dict[str, Channel]:
        """The channels by name, in the order of the file. Raises PictureError."""
        value = self._value("channels", "chlist")
        found: dict[str, Channel] = {}
        at = 0
        while at < len(value) and value[at]:
            end = value.find(b"\0", at)
            if end < 0 or end + 17 > len(value):
                raise PictureError("has a damaged EXR header: its list of channels is cut off")
            kind, _, across, down = struct.unpack_from("<iiii", value, end + 1)
            if not 0 <= kind < len(_SAMPLE_TYPES):
                raise PictureError(f"has an EXR channel of type {kind}, which is not known")
            name = value[at:end].decode("utf-8", "replace")
            found[name] = Channel(np.dtype(_SAMPLE_TYPES[kind]), (across, down))
            at = end + 17
        return found

    def window(self, name: str) -> Window:
        """The display or data window. Raises PictureError."""
        left, top, right, bottom = struct.unpack("<4i", self._value(name, "box2i", 16))
        if not (0 <= right - left < _MAX_SIDE and 0 <= bottom - top < _MAX_SIDE):
            raise PictureError(f"has a damaged EXR {name}: {(left, top, right, bottom)}")
        return left, top, right, bottom

    def tile_pixels(self) -> int:
        """Pixels of a tile, which may be larger than the picture; 0 for scan lines."""
        if not (self.flags & _SINGLE_TILED or "tile" in self.text("type")) or "tiles" not in self.attributes:
            return 0
        width, height = struct.unpack_from("<II", self._value("tiles", "tiledesc", 9))
        return int(width) * int(height)

    def chromaticities(self) -> tuple[float, ...] | None:
        """x and y of red, green, blue and white."""
        kind, value = self.attributes.get("chromaticities", ("", b""))
        if kind != "chromaticities" or len(value) != 32:
            return None
        return tuple(float(number) for number in struct.unpack("<8f", value))

    def number(self, name: str) -> float | int | None:
        """An attribute of type float or int."""
        kind, value = self.attributes.get(name, ("", b""))
        layout = {"float": "<f", "int": "<i"}.get(kind)
        if layout is None or len(value) != 4:
            return None
        (number,) = struct.unpack(layout, value)
        assert isinstance(number, (int, float))  # noqa: S101
        return number

    def text(self, name: str) -> str:
        """An attribute of type string, or nothing."""
        kind, value = self.attributes.get(name, ("", b""))
        return value.decode("utf-8", "replace").rstrip("\0") if kind == "string" else ""

    def _value(self, name: str, kind: str, size: int | None = None) -> bytes:
        if name not in self.attributes:
            raise PictureError(f"has a damaged EXR header: it has no {name}")
        found, value = self.attributes[name]
        if found != kind or (size is not None and len(value) != size):
            raise PictureError(
                f"has a damaged EXR header: its {name} is {counted(len(value), 'byte')} of {found[:31]!a}"
            )
        return value


def read_parts(stream: BinaryIO) -> list[Part]:
    """The headers of all parts, at least one. Raises PictureError where they are damaged or cut off."""
    stream.seek(0)
    head = stream.read(8)
    if len(head) < 8:
        raise PictureError("is truncated: there is no whole EXR header")
    version, flags = head[4], int.from_bytes(head[4:8], "little") & ~0xFF
    if version != _VERSION:
        raise PictureError(f"is EXR of version {version}, only {_VERSION} is supported")
    reader = _Reader(stream)
    parts: list[Part] = []
    while len(parts) < _MAX_PARTS:
        attributes = reader.attributes()
        if not attributes:
            break
        parts.append(Part(attributes, flags))
        if not flags & _MULTIPART:
            break
    if not parts:
        raise PictureError("has a damaged EXR header: it is empty")
    return parts


class _Reader:
    """Reads attributes from where the stream stands."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def attributes(self) -> dict[str, tuple[str, bytes]]:
        """One header, up to its end; the first of two attributes of one name counts."""
        found: dict[str, tuple[str, bytes]] = {}
        for _ in range(_MAX_ATTRIBUTES):
            name = self._text()
            if not name:
                return found
            kind = self._text()
            (size,) = struct.unpack("<i", self._bytes(4))
            if size < 0:
                raise PictureError(f"has a damaged EXR header: {name[:31]!a} has {size} bytes")
            found.setdefault(name, (kind, self._bytes(size) if size <= _KEPT_BYTES else self._skip(size)))
        raise PictureError(f"has a damaged EXR header: it has over {_MAX_ATTRIBUTES} attributes")

    def _text(self) -> str:
        start = self._stream.tell()
        text, end, _ = self._stream.read(_MAX_NAME + 1).partition(b"\0")
        if not end:
            raise PictureError("has a damaged EXR header, or is truncated within it")
        self._stream.seek(start + len(text) + 1)
        return text.decode("utf-8", "replace")

    def _bytes(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise PictureError("is truncated: the EXR ends within its header")
        return data

    def _skip(self, size: int) -> bytes:
        self._stream.seek(size, 1)
        return b""
