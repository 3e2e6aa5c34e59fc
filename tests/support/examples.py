"""How many random examples a test looks at: all in the whole run, a tenth in the inner loop."""

from hypothesis import settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

LEAST = 4


def examples(count: int) -> int:
    """For `settings(max_examples=examples(60))`: 60 in the whole run, 6 in the inner loop.

    The profiles "thorough" and "quick" of conftest.py do the same for tests that do not say how many.
    """
    if settings.get_current_profile_name() == "quick":
        return min(count, max(LEAST, count // 10))
    return count


def leave_out_constants_of_the_code() -> None:
    """Make random examples without looking through all loaded modules for constants to put into them.

    To read them takes each worker 0.3 s, and which are loaded depends on the tests before. The whole run
    keeps them.
    """
    nothing = Constants()
    providers._get_local_constants = lambda: nothing
