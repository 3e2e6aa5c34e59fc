"""Limits the memory of all decodes of a process together: each holds a share, and further ones wait."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from luxscaler.errors import PictureError

_CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_SHARE = 0.75


def default_total() -> int:
    """Three quarters of the memory of this machine, or of the container that this process is in."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in _CGROUP_FILES:
        with suppress(OSError, ValueError):  # "max": no limit
            found.append(int(Path(name).read_text(encoding="ascii")))
    return int(min(found) * _SHARE)


class Share:
    """The bytes that one decode holds of a Budget; none at first."""

    def __init__(self, budget: "Budget") -> None:
        self._budget = budget
        self.held = 0

    def grow(self, wanted: int, total: int, seconds: float, name: str) -> None:
        """Hold `wanted` bytes; waits until all decodes together hold at most `total`.

        Raises PictureError after `seconds`. One decode alone may hold more than `total`.
        """
        deadline = time.monotonic() + seconds
        budget = self._budget
        with budget.freed:
            while budget.held > self.held and budget.held - self.held + wanted > total:
                if not budget.freed.wait(deadline - time.monotonic()):
                    raise PictureError(
                        f"{name} cannot be read: for {seconds:g} s other pictures have held the "
                        f"{total / 1e6:,.0f} MB that all may take together (total_memory_bytes)"
                    )
            budget.held += wanted - self.held
            self.held = wanted


class Budget:
    """The bytes that all decodes hold at the moment."""

    def __init__(self) -> None:
        self.freed = threading.Condition()
        self.held = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """A share that is released when the block ends."""
        share = Share(self)
        try:
            yield share
        finally:
            with self.freed:
                self.held -= share.held
                self.freed.notify_all()
