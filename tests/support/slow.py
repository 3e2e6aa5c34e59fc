"""Parameters for the slow run only: each claim keeps some quick ones, the rest are marked slow."""

from typing import Any

import pytest


def slow(*values: Any) -> list[Any]:
    """These values as parameters that `-m "not slow"` leaves out; a tuple is one value."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
