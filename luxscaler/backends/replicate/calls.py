"""Paid calls, each made at most once: the intent is on disk before the call, its outcome after it.

    announce ─→ POST ─→ created ─→ (polling, download) ─→ settle

A crash or a lost answer leaves an intent without an id, and it is unknown whether the call was made. So the
account's predictions are searched for the one whose input is this intent's marker, the address of its upload.
Another call is made only if it is certainly not there.
"""

import threading
from dataclasses import dataclass
from typing import Any

from luxscaler.backends.base import Intent, Ledger
from luxscaler.clock import backoff
from luxscaler.errors import BackendError, TileError
from luxscaler.replicate.api import ReplicateApi
from luxscaler.replicate.responses import BusyError, NoAnswerError

_MOST_CREATES = 30
"""Creates in a row that are refused with "too many"; then the tile goes back into the queue."""
_FIRST_LOOK, _LONGEST_LOOK = 1.0, 10.0
_DELAY = 5.0
"""Seconds before a tile is tried again."""
NOT_CREATED = "not created"


@dataclass(frozen=True)
class CallOptions:
    """How calls are looked for after a lost answer; times in seconds."""

    version: str
    cancel_after: float
    pay_again: bool
    settling: float = 20.0
    """A prediction that is not listed so long after the request to create it does not exist."""
    slack: float = 300.0
    """How far this machine's clock and Replicate's may differ."""


@dataclass(frozen=True)
class Call:
    """A prediction of a tile."""

    tile: int
    prediction: str
    number: int | None
    """Number of its intent; None if an earlier run settled it, and ended before it could store the result."""
    is_old: bool
    """Whether an earlier run or attempt made it."""


class Calls:
    """The paid calls of one master. Its methods may be called from several threads, one a tile."""

    def __init__(self, api: ReplicateApi, ledger: Ledger, options: CallOptions, bound: float) -> None:
        """bound: dollars that are entered for a call whose end is unknown."""
        self._api = api
        self._ledger = ledger
        self._options = options
        self._bound = bound
        self._lock = threading.Lock()
        self._used: set[str] = set()

    def unfinished(self, tile: int) -> Call | None:
        """A prediction that was made for the tile and whose result was not stored; None if there is none."""
        for intent in self._ledger.open_intents(tile):
            prediction = intent.prediction
            if prediction is None:
                settled_at = intent.announced_at + self._api.options.answer + self._options.settling
                prediction = self._found(intent, settled_at)
            if prediction is not None:
                return Call(tile, prediction, intent.number, is_old=True)
        prediction = self._ledger.recall(_tile_key(tile))
        with self._lock:
            if not prediction or prediction in self._used:
                return None
        return Call(tile, prediction, None, is_old=True)

    def create(self, tile: int, marker: str, inputs: dict[str, Any]) -> Call:
        """Create the prediction of a tile, which costs money.

        marker: the address of the uploaded tile. inputs: of the prediction. Raises TileError when nothing was
        paid and another attempt may succeed, BackendError when none can.
        """
        for _ in range(_MOST_CREATES):
            self._api.wait_for_turn()
            announced_at = self._api.pace.now()
            number = self._ledger.announce(tile, marker)
            intent = Intent(number, tile, marker, None, announced_at)
            try:
                made = self._api.create(self._options.version, inputs, self._options.cancel_after)
                prediction: str | None = made.id
            except BusyError as error:
                self._ledger.settle(number, NOT_CREATED)
                self._api.pace.pause(error.delay)
                continue
            except BackendError:
                self._ledger.settle(number, NOT_CREATED)
                raise
            except NoAnswerError as error:
                prediction = self._found(intent, self._api.pace.now() + self._options.settling)
                if prediction is None:
                    raise TileError(f"Replicate did not take the tile: {error}", delay=_DELAY) from error
            else:
                self._enter(intent, made.id)
            return Call(tile, str(prediction), number, is_old=False)
        raise TileError("Replicate has taken no more calls for a while", delay=_DELAY, counts=False)

    def succeeded(self, call: Call, seconds: float, dollars: float) -> None:
        """Settle a call whose result is here."""
        with self._lock:
            self._used.add(call.prediction)
        if call.number is not None:
            # Before it is settled: a run that ends now must find the result again, not pay for it again.
            self._ledger.remember(_tile_key(call.tile), call.prediction)
            self._ledger.settle(call.number, "succeeded", seconds, dollars)

    def ended(self, call: Call, outcome: str, seconds: float = 0.0, dollars: float = 0.0) -> None:
        """Settle a call without a usable result; the tile needs another call."""
        with self._lock:
            self._used.add(call.prediction)
        if call.number is not None:
            self._ledger.settle(call.number, outcome, seconds, dollars)
        else:
            self._ledger.remember(_tile_key(call.tile), "")

    def _enter(self, intent: Intent, prediction: str) -> None:
        self._ledger.created(intent.number, prediction)
        self._ledger.remember(_prediction_key(prediction), str(intent.tile))

    def _found(self, intent: Intent, settled_at: float) -> str | None:
        """Find the prediction of an intent and note it; None, with the intent settled, if there is none."""
        pauses = backoff(_FIRST_LOOK, _LONGEST_LOOK)
        while True:
            looked_at = self._api.pace.now()
            prediction, doubtful = self._look(intent)
            if prediction is not None:
                self._enter(intent, prediction)
                return prediction
            if doubtful:
                self._consent(intent, doubtful)
                return None
            if looked_at >= settled_at:
                self._ledger.settle(intent.number, NOT_CREATED)
                return None
            self._api.pace.pause(min(next(pauses), settled_at - looked_at))

    def _look(self, intent: Intent) -> tuple[str | None, list[str]]:
        """(the prediction of the intent, those that may be it but whose input was removed)."""
        earliest = intent.announced_at - self._options.slack
        latest = intent.announced_at + self._api.options.answer + self._options.slack
        doubtful = []
        for prediction in self._api.predictions():
            created_at = prediction.created_at
            if created_at is not None and created_at < earliest:
                break
            if prediction.version != self._options.version:
                continue
            if prediction.tile_input == intent.marker:
                return prediction.id, []
            if not prediction.data_removed or (created_at is not None and created_at > latest):
                continue
            if not self._is_known(prediction.id):
                doubtful.append(prediction.id)
        return None, doubtful

    def _is_known(self, prediction: str) -> bool:
        """Whether the prediction belongs to another intent."""
        if self._ledger.recall(_prediction_key(prediction)) is not None:
            return True
        return any(intent.prediction == prediction for intent in self._ledger.open_intents())

    def _consent(self, intent: Intent, doubtful: list[str]) -> None:
        """Raise BackendError unless the user allowed to pay again: whether the call was made is unknown."""
        if not self._options.pay_again:
            raise BackendError(
                f"tile {intent.tile} was perhaps paid for already, as prediction {' or '.join(doubtful)}, "
                "whose data Replicate has removed: --pay-again allows to pay for it again"
            )
        self._ledger.settle(intent.number, "unknown", 0.0, self._bound)


def _tile_key(tile: int) -> str:
    """The ledger's key for the prediction that succeeded for a tile."""
    return f"replicate.tile.{tile}"


def _prediction_key(prediction: str) -> str:
    """The ledger's key for the tile of a prediction."""
    return f"replicate.prediction.{prediction}"
