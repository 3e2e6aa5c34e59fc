"""Options of a run that do not change its pixels; those that do are in pipeline/request.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.checks import check_fields
from luxscaler.errors import InputError

MAX_ATTEMPTS = 20
_PAGES = frozenset((".html", ".htm"))


@dataclass(frozen=True)
class RunOptions:
    """How the tiles of a picture are run. Raises InputError for a value out of its range."""

    jobs: int | None = None
    """Most tiles at once; None: as many as the backend can."""
    attempts: int = 3
    """How often a tile is tried, 1 to MAX_ATTEMPTS."""
    report: Path | None = None
    """Where to write the compare page: .html or .htm."""
    title: str = ""
    """Of that page; empty: the names of picture and result."""
    restart: bool = False
    """Whether an unfinished job of the same target is thrown away."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else the tiles depend on, e.g. the precision: a job is only continued with the same."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.jobs is not None and self.jobs < 1:
            raise InputError(f"jobs is {self.jobs}; it must be 1 or more")
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise InputError(f"attempts is {self.attempts}; it must be from 1 to {MAX_ATTEMPTS}")


def check_report(path: Path | None) -> None:
    """Raise InputError for a compare page whose name does not end in .html or .htm."""
    if path is not None and path.suffix.lower() not in _PAGES:
        raise InputError(f"report is {str(path)!r}; it must end in .html or .htm")
