"""How many random examples a test looks at: all in the whole run, a fifth in the inner loop."""

from hypothesis import settings

LEAST = 5


def examples(count: int) -> int:
    """For `settings(max_examples=examples(40))`: 40 in the whole run, 8 in the inner loop.

    The profiles "thorough" and "quick" of conftest.py do the same for tests that do not say how many.
    """
    if settings.get_current_profile_name() == "quick":
        return min(count, max(LEAST, count // 5))
    return count
