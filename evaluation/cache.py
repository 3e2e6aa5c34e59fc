"""Numbers computed in earlier runs, in a JSON file, by a name that says all they depend on."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from luxscaler.errors import InputError


class Cache:
    """Numbers by name. Read from `path` at the start, written at the end of a `with` block that learned any.

    An error that ends the block loses nothing either. path: None keeps them in memory. Raises InputError for
    a file that is no JSON object, OSError.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, float] = {}
        self.fresh: dict[str, float] = {}
        """What was computed since the start, or since `take_fresh`."""
        if path is not None and path.is_file():
            self._known = _read(path)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> float:
        return self._known[name]

    def get(self, name: str, compute: Callable[[], float]) -> float:
        """The number of that name, computed if it is new."""
        if name not in self._known:
            self._known[name] = self.fresh[name] = compute()
        return self._known[name]

    def take_fresh(self) -> dict[str, float]:
        """`fresh`, which is empty afterwards: what another process has not learned yet."""
        taken, self.fresh = self.fresh, {}
        return taken

    def learn(self, others: Mapping[str, float]) -> None:
        """Add what another process computed."""
        self._known.update(others)
        self.fresh.update(others)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._path is not None and self.fresh:
            self._path.write_text(json.dumps(self._known), encoding="utf-8")


def _read(path: Path) -> dict[str, float]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is no JSON file ({error}); delete it to compute its numbers again"
        ) from None
    if not isinstance(known, dict):
        raise InputError(f"{path} holds no JSON object; delete it to compute its numbers again")
    return known
