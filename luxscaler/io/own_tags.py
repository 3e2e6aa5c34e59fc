"""What a result of ours says about its making: model, scale, hdr_boost and the rest.

EXR has an attribute `luxscaler:NAME` for each. The other formats hold one JSON text (io/frame.py, notes), in
a PNG text, a TIFF description or EXIF; it is found by its beginning, wherever the format puts it. A file that
was made from another result may hold the text of both; its own is the last.
"""

import json
import mmap
import os
from contextlib import suppress
from typing import Any

from luxscaler.io.exr.header import MAGIC, OWN_PREFIX, read_parts
from luxscaler.io.read import Source, one_line_errors, opened

_MARK = b'"luxscaler": {'
_REACH = 1 << 12
"""Bytes that the text may begin before the mark, and go on behind it."""
_SHOWN = 200
"""Characters of a value that are returned; LuxScaler writes no longer ones."""


def own_tags(file: Source) -> dict[str, str]:
    """Name and value of each tag, none in a file that is not ours. Raises PictureError."""
    with opened(file) as (name, stream), one_line_errors(name):
        if stream.read(len(MAGIC)) == MAGIC:
            return _of_exr(stream)
        if isinstance(file, bytes):
            return _of_text(file)
        if os.fstat(stream.fileno()).st_size == 0:
            return {}
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _of_text(data)


def _of_exr(stream: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    part = read_parts(stream)[0]
    for name, (kind, _) in part.attributes.items():
        if name.startswith(OWN_PREFIX):
            value = part.text(name) if kind == "string" else part.number(name)
            found[name.removeprefix(OWN_PREFIX)] = _shown(value)
    if software := part.text("software"):
        found = {"software": _shown(software), **found} if found else found
    return found


def _of_text(data: mmap.mmap | bytes) -> dict[str, str]:
    at = data.rfind(_MARK)
    while at >= 0:
        text = data[at + len(_MARK) - 1 : at + _REACH].decode("ascii", "replace")
        with suppress(ValueError, RecursionError):
            tags, _ = json.JSONDecoder().raw_decode(text)
            return {_shown(name): _shown(value) for name, value in tags.items()}
        at = data.rfind(_MARK, 0, at)
    return {}


def _shown(value: object) -> str:
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return "".join(char if char.isprintable() else "?" for char in text)[:_SHOWN]
