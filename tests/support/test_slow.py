"""Samples of parameters: so many stay quick, and none is lost."""

import pytest

from tests.support.slow import Samples, spread

pytest_plugins = ["pytester"]
TEST = """
import pytest

@pytest.mark.sample(3)
@pytest.mark.parametrize("few", ["x", "y"])
@pytest.mark.parametrize("many", [*range(5), pytest.param(5, marks=pytest.mark.slow)])
def test_sampled(few, many):
    pass

def test_other():
    pass
"""


@pytest.mark.parametrize(
    ("length", "count", "expected"),
    [(10, 3, {0, 4, 9}), (10, 1, {0}), (5, 2, {0, 4}), (2, 5, {0, 1}), (4, 4, {0, 1, 2, 3})],
)
def test_they_are_spread_evenly(length: int, count: int, expected: set[int]) -> None:
    assert spread(length, count) == expected


@pytest.mark.parametrize(("chosen", "passed"), [("not slow", 4), ("slow", 9), ("", 13)])
def test_what_is_no_sample_is_slow(pytester: pytest.Pytester, chosen: str, passed: int) -> None:
    pytester.makeini("[pytest]\nmarkers =\n    slow: s\n    sample: s\n")
    pytester.makepyfile(TEST)
    done = pytester.inline_run("-m", chosen, "-p", "no:cacheprovider", plugins=[Samples()])
    done.assertoutcome(passed=passed)
