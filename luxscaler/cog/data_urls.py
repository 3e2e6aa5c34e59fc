"""Takes the data URLs out of a reply of Cog's that may be larger than memory should be.

An EXR of 150 MB arrives as 200 MB of base64 inside JSON. The reply lies in a file; the file is mapped, every
data URL in it is decoded piece by piece into a file of its own, and only what is left is parsed as JSON. What
the files are for is not known here.
"""

import base64
import binascii
import json
import mmap
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

Json = dict[str, Any]
FILE_KEY = "luxscaler_gateway_file"
"""An output's file is kept as {FILE_KEY: its name}, an address only when it is shown: addresses expire."""
# In JSON, an unescaped quote before `data:` can only open a string, and base64 needs no escapes.
_DATA_URL = re.compile(rb'(?<!\\)"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,([A-Za-z0-9+/]*={0,2})"')
_PIECE = 4 * 1024 * 1024  # base64 characters: a multiple of 4
_SNIFFED = {b"v/1\x01": ".exr"}
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
}
"""Not mimetypes: it differs between machines."""
CONTENT_TYPES = {suffix: kind for kind, suffix in _SUFFIXES.items()}


def lift_data_urls(reply: Path, folder: Path) -> Any:
    """The reply's JSON, each data URL replaced by {FILE_KEY: name} and written to folder/name.

    Raises ValueError: no JSON, or a data URL whose base64 is damaged.
    """
    if reply.stat().st_size == 0:
        raise ValueError("the reply is empty")
    rest: list[bytes] = []
    with reply.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        place = 0
        for number, found in enumerate(_DATA_URL.finditer(data)):
            kind = (found[1] or b"text/plain").decode().lower()
            name = _write(data, found.start(2), found.end(2), kind, number, folder)
            rest += [data[place : found.start()], json.dumps({FILE_KEY: name}).encode()]
            place = found.end()
            del found  # a match keeps the map from being closed
        rest.append(data[place:])
    return json.loads(b"".join(rest))


def as_data_url(path: Path, kind: str) -> str:
    """The whole file as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def map_strings(value: Any, change: Callable[[str], Any]) -> Any:
    """A copy of JSON in which every string that is no key is changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_strings(item, change) for key, item in value.items()}
    return value


def _write(data: mmap.mmap, start: int, end: int, kind: str, number: int, folder: Path) -> str:
    """Decode one data URL's base64 into a new file; its name."""
    folder.mkdir(parents=True, exist_ok=True)
    head = _decoded(data[start : min(end, start + 8)])
    suffix = next((name for magic, name in _SNIFFED.items() if head.startswith(magic)), None)
    name = f"output{f'-{number}' if number else ''}{suffix or _SUFFIXES.get(kind, '.bin')}"
    with (folder / name).open("wb") as file:
        for place in range(start, end, _PIECE):
            file.write(_decoded(data[place : min(end, place + _PIECE)]))
    return name


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"damaged base64 in a data URL: {error}") from error
