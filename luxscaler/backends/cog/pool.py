"""Chooses the container for the next tile among those that are free, busy and lost.

Each has one tile at a time. A lost one is checked again now and then; when all are lost for a while, the work
ends.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from luxscaler.clock import backoff
from luxscaler.cog.client import CogClient, LostError
from luxscaler.cog.status import Health
from luxscaler.errors import BackendError

_FIRST_REST, _LONGEST_REST = 0.05, 2.0
_GLANCE_SECONDS = 0.05
"""How often a waiting thread checks whether the user wants to stop."""
_USABLE = (Health.READY, Health.BUSY)


def _rests() -> Iterator[float]:
    return backoff(_FIRST_REST, _LONGEST_REST)


@dataclass
class PooledContainer:
    """A container and its state in the pool."""

    client: CogClient
    taken: bool = False
    used_at: float = 0.0
    rests_until: float = 0.0
    rests: Iterator[float] = field(default_factory=_rests)
    lost: str = ""
    """Why it is lost; empty if it is not."""
    look_at: float = 0.0
    """When a lost one is to be checked again, by time.monotonic()."""


class Pool:
    """The containers of a backend, shared by its threads."""

    def __init__(
        self, clients: Sequence[CogClient], look_again_seconds: float, patience_seconds: float
    ) -> None:
        """patience_seconds: how long all may be lost before the work ends."""
        self.containers = [PooledContainer(client) for client in clients]
        self._look_again = look_again_seconds
        self._patience = patience_seconds
        self._changed = threading.Condition()
        self._all_lost_since: float | None = None

    @property
    def alive(self) -> int:
        """The number of containers that are not lost."""
        return sum(not pooled.lost for pooled in self.containers)

    def take(self, check: Callable[[], None]) -> PooledContainer:
        """A container for one tile; waits for it. `check` raises when the user wants to stop.

        Raises BackendError when all are lost.
        """
        while True:
            check()
            with self._changed:
                pooled = self._next()
                if pooled is None:
                    self._raise_if_all_lost()
                    self._changed.wait(_GLANCE_SECONDS)
                    continue
                pooled.taken, pooled.used_at = True, time.monotonic()
            if not pooled.lost or self._is_back(pooled):
                return pooled

    def give_back(self, pooled: PooledContainer) -> None:
        """Return a container whose prediction is over."""
        with self._changed:
            pooled.taken, pooled.rests = False, _rests()
            self._changed.notify_all()

    def busy(self, pooled: PooledContainer) -> None:
        """Return a container that is busy with somebody else's prediction; others come first for a moment."""
        with self._changed:
            pooled.taken, pooled.rests_until = False, time.monotonic() + next(pooled.rests)
            self._changed.notify_all()

    def lose(self, pooled: PooledContainer, reason: str) -> None:
        """Return a container that does not answer or is broken."""
        with self._changed:
            pooled.taken, pooled.lost = False, reason or "lost"
            pooled.look_at = time.monotonic() + self._look_again
            self._changed.notify_all()

    def reasons(self) -> str:
        """The lost containers and why, as text."""
        return "; ".join(f"{pooled.client.url}: {pooled.lost}" for pooled in self.containers if pooled.lost)

    def _next(self) -> PooledContainer | None:
        """The container that has been free longest; a lost one only if it is due to be checked."""
        now = time.monotonic()
        free = [pooled for pooled in self.containers if not pooled.taken]
        usable = [pooled for pooled in free if not pooled.lost and pooled.rests_until <= now]
        due = [pooled for pooled in free if pooled.lost and pooled.look_at <= now]
        # Lost ones that are due come first: a check takes milliseconds, and is otherwise never made.
        return min(due or usable, key=lambda pooled: pooled.used_at, default=None)

    def _is_back(self, pooled: PooledContainer) -> bool:
        try:
            status = pooled.client.health()
        except LostError as error:
            self.lose(pooled, str(error))
            return False
        if status not in _USABLE:
            self.lose(pooled, f"its health check says {status}")
            return False
        with self._changed:
            pooled.lost, self._all_lost_since = "", None
        return True

    def _raise_if_all_lost(self) -> None:
        if self.alive:
            self._all_lost_since = None
            return
        if self._all_lost_since is None:
            self._all_lost_since = time.monotonic()
        if time.monotonic() - self._all_lost_since >= self._patience:
            raise BackendError(f"no Cog container is left: {self.reasons()}")
