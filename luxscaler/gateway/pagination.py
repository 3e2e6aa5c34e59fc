"""Lists in pages with cursors: newest first, `next` older, `previous` newer, both whole addresses.

A cursor names a place in the order of creation, not a number of rows: what is created or removed meanwhile
neither repeats nor hides anything.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from luxscaler.cog.messages import Json
from luxscaler.gateway.problems import Problem

_NEWEST = 2**62


class Sequenced(Protocol):
    """Something with a place in the order of creation."""

    @property
    def sequence(self) -> int:
        """From 1 on."""
        ...


Item = TypeVar("Item", bound=Sequenced)
Fetch = Callable[[int, int], Sequence[Item]]
"""(sequence, count) → those before it, or after it, newest first."""


def page(
    before: Fetch[Item],
    after: Fetch[Item],
    show: Callable[[Item], Json],
    address: Callable[[str], str],
    cursor: str,
    size: int,
) -> Json:
    """The page at a cursor; an empty cursor is the first page. address: cursor → whole address."""
    direction, sequence = _parsed(cursor) if cursor else ("b", _NEWEST)
    items = (before if direction == "b" else after)(sequence, size)
    older = items and before(items[-1].sequence, 1)
    newer = items and after(items[0].sequence, 1)
    return {
        "next": address(_cursor("b", items[-1].sequence)) if older else None,
        "previous": address(_cursor("a", items[0].sequence)) if newer else None,
        "results": [show(item) for item in items],
    }


def _cursor(direction: str, sequence: int) -> str:
    return base64.urlsafe_b64encode(f"{direction}{sequence}".encode()).decode().rstrip("=")


def _parsed(cursor: str) -> tuple[str, int]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    found = re.fullmatch(r"([ab])(\d{1,18})", text)
    if not found:
        raise Problem(400, f"Not a cursor: {cursor[:100]!r}")
    return found[1], int(found[2])
