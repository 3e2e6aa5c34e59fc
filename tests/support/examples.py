"""How many random examples a test looks at: all in the whole run, a tenth in the inner loop."""

from hypothesis import settings

LEAST = 4


def examples(count: int) -> int:
    """For `settings(max_examples=examples(60))`: 60 in the whole run, 6 in the inner loop.

    The profiles "thorough" and "quick" of conftest.py do the same for tests that do not say how many.
    """
    if settings.get_current_profile_name() == "quick":
        return min(count, max(LEAST, count // 10))
    return count
