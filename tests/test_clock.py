"""Pauses and times of day."""

from itertools import islice

import pytest

from luxscaler.clock import backoff, from_iso, iso


def test_pauses_grow_up_to_the_longest() -> None:
    assert list(islice(backoff(1.0), 4)) == [1.0, 2.0, 4.0, 8.0]
    assert list(islice(backoff(1.0, 2.0, 1.5), 4)) == [1.0, 1.5, 2.0, 2.0]


def test_times_are_written_as_the_api_writes_them() -> None:
    assert iso(1_800_000_000.25) == "2027-01-15T08:00:00.250000Z"
    assert iso(None) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2027-01-15T08:00:00.250000Z", 1_800_000_000.25),
        ("2027-01-15T08:00:00", 1_800_000_000.0),
        ("2027-01-15T10:00:00+02:00", 1_800_000_000.0),
        ("yesterday", None),
        (7, None),
        (None, None),
    ],
)
def test_times_are_read(text: object, seconds: float | None) -> None:
    assert from_iso(text) == seconds
