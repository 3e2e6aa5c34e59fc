"""What the inner loop leaves out of a test with many parameters: each claim keeps some quick ones.

@pytest.mark.sample(3)                     three of the test's parameters stay quick
@pytest.mark.parametrize("size", (1, 2, *slow(3, 4)))          these two do not
"""

from typing import Any

import pytest


def slow(*values: Any) -> list[Any]:
    """These values as parameters that `-m "not slow"` leaves out; a tuple is one value."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


class Samples:
    """A pytest plugin: of a test with the mark `sample(count)`, all but so many parameters become slow."""

    @pytest.hookimpl(tryfirst=True)  # before pytest chooses by marks
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark what is left out; parameters that are slow anyway do not count."""
        found: dict[tuple[pytest.Item | pytest.Collector | None, str], list[pytest.Item]] = {}
        for item in items:
            if item.get_closest_marker("sample") and not item.get_closest_marker("slow"):
                name = getattr(item, "originalname", None) or item.name
                found.setdefault((item.parent, name), []).append(item)
        for several in found.values():
            mark = several[0].get_closest_marker("sample")
            assert mark is not None
            kept = spread(len(several), mark.args[0])
            for index, item in enumerate(several):
                if index not in kept:
                    item.add_marker(pytest.mark.slow)


def spread(length: int, count: int) -> set[int]:
    """So many of `range(length)`, the first and the last among them if there are two or more, evenly."""
    if count >= length:
        return set(range(length))
    return {round(step * (length - 1) / max(1, count - 1)) for step in range(count)}
