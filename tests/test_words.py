"""Numbers with their nouns."""

import pytest

from luxscaler.words import MOST_SAID, counted, shortened


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "tile", "0 tiles"),
        (1, "tile", "1 tile"),
        (2, "tile", "2 tiles"),
        (1, "retry", "1 retry"),
        (3, "retry", "3 retries"),
        (2, "day", "2 days"),
        (2, "box", "2 boxes"),
        (2, "extra channel", "2 extra channels"),
    ],
)
def test_one_is_singular(count: int, noun: str, text: str) -> None:
    assert counted(count, noun) == text


def test_thousands_are_apart_where_that_is_wanted() -> None:
    assert counted(12345, "pixel", ",") == "12,345 pixels"
    assert counted(12345, "pixel") == "12345 pixels"


def test_long_lists_of_names_are_cut() -> None:
    names = "diffuse, " * 100
    assert shortened(names[:MOST_SAID]) == names[:MOST_SAID]
    assert shortened(names) == names[: MOST_SAID - 1] + "…"
