"""Which container gets the next tile: the free, the busy and the lost.

Each has one tile at a time. A lost one is looked at again now and then; when all are lost for a while, the
work ends. How a container is talked to is cog/client.py's business.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from luxscaler.cog.client import CogContainer, LostError
from luxscaler.errors import BackendError

_FIRST_REST, _LONGEST_REST = 0.05, 2.0
_GLANCE_SECONDS = 0.1
"""How often those who wait look whether the user wants to stop."""
_USABLE = ("READY", "BUSY")


@dataclass
class Place:
    """A container and what is known of it."""

    container: CogContainer
    taken: bool = False
    used_at: float = 0.0
    rests_until: float = 0.0
    rest: float = _FIRST_REST
    lost: str = ""
    """Why, if it is."""
    look_at: float = 0.0
    """When a lost one is to be looked at again."""


class Pool:
    """The containers of a backend, shared by its threads."""

    def __init__(
        self,
        containers: Sequence[CogContainer],
        look_again_seconds: float,
        patience_seconds: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """patience_seconds: how long all may be lost before the work ends."""
        self.places = [Place(container) for container in containers]
        self._look_again = look_again_seconds
        self._patience = patience_seconds
        self._now = now
        self._changed = threading.Condition()
        self._all_lost_since: float | None = None

    @property
    def alive(self) -> int:
        """How many are not lost."""
        return sum(not place.lost for place in self.places)

    def take(self, check: Callable[[], None]) -> Place:
        """A container for one tile; waits for it. `check` raises when nobody wants it any more.

        Raises BackendError when all are lost.
        """
        while True:
            check()
            with self._changed:
                place = self._next()
                if place is None:
                    self._raise_if_all_lost()
                    self._changed.wait(_GLANCE_SECONDS)
                    continue
                place.taken, place.used_at = True, self._now()
            if not place.lost or self._is_back(place):
                return place

    def give_back(self, place: Place) -> None:
        """It did its work."""
        with self._changed:
            place.taken, place.rest = False, _FIRST_REST
            self._changed.notify_all()

    def busy(self, place: Place) -> None:
        """It has a prediction of somebody else: others come first for a moment."""
        with self._changed:
            place.taken, place.rests_until = False, self._now() + place.rest
            place.rest = min(_LONGEST_REST, 2 * place.rest)
            self._changed.notify_all()

    def lose(self, place: Place, reason: str) -> None:
        """It is not there, or broken."""
        with self._changed:
            place.taken, place.lost = False, reason or "lost"
            place.look_at = self._now() + self._look_again
            self._changed.notify_all()

    def reasons(self) -> str:
        """Which are lost, and why."""
        return "; ".join(f"{place.container.url}: {place.lost}" for place in self.places if place.lost)

    def _next(self) -> Place | None:
        """The one that has rested longest; a lost one only if its time to be looked at has come."""
        now = self._now()
        free = [place for place in self.places if not place.taken]
        usable = [place for place in free if not place.lost and place.rests_until <= now]
        due = [place for place in free if place.lost and place.look_at <= now]
        # One that may be back costs a look of some milliseconds: first, or nobody would ever look.
        return min(due or usable, key=lambda place: place.used_at, default=None)

    def _is_back(self, place: Place) -> bool:
        try:
            status = place.container.health()
        except LostError as error:
            self.lose(place, str(error))
            return False
        if status not in _USABLE:
            self.lose(place, f"its health check says {status}")
            return False
        with self._changed:
            place.lost, self._all_lost_since = "", None
        return True

    def _raise_if_all_lost(self) -> None:
        if self.alive:
            self._all_lost_since = None
            return
        if self._all_lost_since is None:
            self._all_lost_since = self._now()
        if self._now() - self._all_lost_since >= self._patience:
            raise BackendError(f"no Cog container is left: {self.reasons()}")
