"""What libavif, as imagecodecs calls it, leaves to its caller: cropping, and files laid out in unusual ways.

- The clean aperture (clap) is reported and not applied (ISO/IEC 14496-12, 12.1.4).
- A sequence is read for its still picture: with its index given, imagecodecs' decoder writes past its memory.
- EXIF or XMP that lies outside the file makes it refuse the file; pixels are decoded without either.
- Several ipma boxes of one version and flags, or for one item, are refused, although other readers take them.
"""

import struct
from fractions import Fraction
from typing import BinaryIO

from luxscaler.io.isobmff import associations, box, boxes, top_boxes

Rectangle = tuple[int, int, int, int]
"""left, top, right, bottom; the last two exclusive."""

_SEQUENCE_BRAND, _STILL_BRAND = b"avis", b"avif"
_ENTRY_LIMITS = (0x7F, 0x7FFF)


def clean_aperture(body: bytes | None, width: int, height: int) -> tuple[Rectangle, tuple[str, ...]]:
    """The part of a picture that a clap box keeps, and notices.

    It is the whole picture, with a notice, where the box is damaged or its edges are not whole pixels inside.
    """
    whole = (0, 0, width, height)
    if body is None:
        return whole, ()
    try:
        numbers = struct.unpack_from(">IIIIiIiI", body)
        across, down, right, below = (
            Fraction(numbers[index], numbers[index + 1]) for index in range(0, 8, 2)
        )
    except (struct.error, ZeroDivisionError):
        return whole, ("the clean aperture is damaged; it is ignored",)
    left = right + Fraction(width - 1, 2) - (across - 1) / 2
    top = below + Fraction(height - 1, 2) - (down - 1) / 2
    edges = (left, top, left + across, top + down)
    x0, y0, x1, y1 = (int(edge) for edge in edges)
    if any(edge.denominator != 1 for edge in edges) or not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
        return whole, ("the clean aperture is not of whole pixels within the picture; it is ignored",)
    return (x0, y0, x1, y1), ()


def is_sequence(stream: BinaryIO) -> bool:
    """Whether the file holds a track beside its still picture."""
    return any(name == b"moov" for name, _, _ in top_boxes(stream))


def for_libavif(data: bytes) -> bytes:
    """The file with only its still picture named, and one ipma box of each kind.

    Its size stays, and the coded data stay where they are, so that the offsets in it remain right.
    """
    new = bytearray(data)
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1 and position + 16 <= len(data):
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        size = size or len(data) - position
        start, end = position + header, position + size
        if size < header or end > len(data):
            break
        if name == b"ftyp":
            new[start:end] = data[start:end].replace(_SEQUENCE_BRAND, _STILL_BRAND)
        elif name == b"moov":
            new[position + 4 : position + 8] = b"free"
        elif name == b"meta":
            new[start:end] = _meta(data[start:end])
        position = end
    return bytes(new)


def _meta(body: bytes) -> bytes:
    """A meta box's body, as long as before: what merging ipma boxes saves becomes a free box."""
    changed = {b"iprp": _merged, b"iref": _undescribed}
    content = b"".join(box(name, changed.get(name, bytes)(part)) for name, part in boxes(body[4:]))
    room = len(body) - 4 - len(content)
    if room == 0:
        return body[:4] + content
    return body[:4] + content + box(b"free", bytes(room - 8)) if room >= 8 else body


def _undescribed(body: bytes) -> bytes:
    """The body of an iref box without descriptions: its references "cdsc" get a kind that nobody knows."""
    kinds = {b"cdsc": b"none"}
    return body[:4] + b"".join(box(kinds.get(kind, kind), part) for kind, part in boxes(body[4:]))


def _merged(body: bytes) -> bytes:
    """The body of an iprp box with its ipma boxes merged, those of one version and flags into the first."""
    parts = list(boxes(body))
    if sum(name == b"ipma" for name, _ in parts) < 2:
        return body
    merged: dict[bytes, dict[int, list[int]]] = {}
    seen: dict[int, set[int]] = {}
    for name, part in parts:
        if name != b"ipma":
            continue
        try:
            items = _entries(part)
        except (struct.error, IndexError):
            return body
        for item, entries in items.items():
            known = seen.setdefault(item, set())
            fresh = [entry for entry, number in entries if number not in known]
            known.update(number for _, number in entries)
            # An item in two boxes of different kinds stays in both: libavif is right to refuse that.
            merged.setdefault(part[:4], {}).setdefault(item, []).extend(fresh)
        merged.setdefault(part[:4], {})
    out = [box(name, part) for name, part in parts if name != b"ipma"]
    return b"".join(out) + b"".join(box(b"ipma", _ipma(kind, items)) for kind, items in merged.items())


def _entries(body: bytes) -> dict[int, list[tuple[int, int]]]:
    """Of an ipma box, item number to entries, each as stored and as the number of its property."""
    mask = _ENTRY_LIMITS[body[3] & 1]
    return {
        item: [(entry, entry & mask) for entry in entries]
        for item, entries in associations(body, with_flag=True).items()
    }


def _ipma(kind: bytes, items: dict[int, list[int]]) -> bytes:
    code = "H" if kind[3] & 1 else "B"
    number = ">HB" if kind[0] == 0 else ">IB"
    body = kind + struct.pack(">I", len(items))
    for item in sorted(items):
        entries = items[item][:255]
        body += struct.pack(number, item, len(entries)) + struct.pack(f">{len(entries)}{code}", *entries)
    return body
