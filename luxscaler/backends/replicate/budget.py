"""A limit of cost that tiles under way cannot overrun.

Before a call is made, the most that it can cost is reserved: the seconds after which it is canceled, times
the price. Spent, reserved and the next call's bound together never exceed the limit.
"""

import threading
from collections.abc import Callable

from luxscaler.backends.base import Ledger
from luxscaler.errors import CostError

_GLANCE_SECONDS = 0.1


class Budget:
    """What may still be spent, of one master. Shared by all threads."""

    def __init__(self, ledger: Ledger, bound: float, limit: float | None) -> None:
        """bound: dollars that one call can cost at most. limit: dollars in all; None: no limit."""
        self._ledger = ledger
        self._bound = bound
        self._limit = limit
        self._changed = threading.Condition()
        self._held: set[int] = set()

    def hold(self, tile: int, check: Callable[[], None]) -> None:
        """Reserve the most that a call for a tile can cost; waits while other calls may free enough.

        check: raises when the user wants to stop. Raises CostError when the limit leaves no room.
        """
        with self._changed:
            while not self._fits(tile):
                check()
                if not self._held:
                    raise CostError(self._refusal(tile))
                self._changed.wait(_GLANCE_SECONDS)  # those under way mostly cost less than they might
            self._held.add(tile)

    def adopt(self, tile: int) -> None:
        """Reserve for a call that was made already, whatever the limit."""
        with self._changed:
            self._held.add(tile)

    def release(self, tile: int) -> None:
        """End the reservation of a tile: its call is settled, or left open in the ledger for a later run."""
        with self._changed:
            self._held.discard(tile)
            self._changed.notify_all()

    def _reserved(self, tile: int) -> float:
        """Dollars that all other tiles may still cost: under way here, or left open by an earlier run."""
        tiles = self._held | {intent.tile for intent in self._ledger.open_intents()}
        return self._bound * len(tiles - {tile})

    def _fits(self, tile: int) -> bool:
        if self._limit is None:
            return True
        return self._ledger.spent() + self._reserved(tile) + self._bound <= self._limit

    def _refusal(self, tile: int) -> str:
        return (
            f"tile {tile} was not sent: ${self._ledger.spent():.4f} are spent, ${self._reserved(tile):.4f} "
            f"reserved, and one tile can cost ${self._bound:.4f}; the limit is ${self._limit:.4f}"
        )
