"""The tiles of one master on Replicate: each is created, waited for, downloaded, and its cost settled.

The reference is uploaded once and kept in the ledger. An intent stays open until its result is here and
decoded, so a failure after the paid call costs another download, not another call.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.backends import exr_transport
from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.backends.replicate.budget import Budget
from luxscaler.backends.replicate.calls import Call, CallOptions, Calls
from luxscaler.backends.replicate.results import Results, UnusableError
from luxscaler.cog.status import Status
from luxscaler.errors import BackendError, InputError, StoppedError, TileError
from luxscaler.replicate.api import ApiOptions, ReplicateApi
from luxscaler.replicate.download import GoneError
from luxscaler.replicate.prices import Estimate, Price, estimate
from luxscaler.replicate.responses import NoAnswerError, RemotePrediction

_REFERENCE_SECONDS = 20 * 3600.0
"""An upload lives for 24 hours; a tile that is created now may wait some time for its turn."""
_MIN_CANCEL_AFTER = 5


@dataclass(frozen=True)
class ReplicateOptions:
    """How much may be spent, and how long things may take."""

    price: Price = field(default_factory=Price)
    max_cost: float | None = None
    """Dollars for the whole master, all runs together."""
    cancel_after: int = 300
    """Seconds after which Replicate ends a prediction, and with it the most that it can cost."""
    pay_again: bool = False
    """Whether a result that was paid for, and which Replicate has removed, may be paid for again."""
    workers: int = 8
    """Tiles under way at once."""
    download: float = 600.0
    """Seconds for one download."""
    settling: float = 20.0
    """Seconds until a prediction that was created is surely listed (CallOptions)."""
    api: ApiOptions = field(default_factory=ApiOptions)

    def __post_init__(self) -> None:
        if self.max_cost is not None and not 0 <= self.max_cost < float("inf"):
            raise InputError(f"max_cost is {self.max_cost}; it must be a number of dollars from 0")
        if self.cancel_after < _MIN_CANCEL_AFTER:
            raise InputError(f"cancel_after is {self.cancel_after} s; it must be {_MIN_CANCEL_AFTER} or more")
        if self.workers < 1:
            raise InputError(f"workers is {self.workers}; it must be at least 1")

    @property
    def bound(self) -> float:
        """Dollars that one tile can cost at most."""
        return self.cancel_after * self.price.per_second

    def estimate(self, tiles: int, megapixels: float, seconds: float | None = None) -> Estimate:
        """What a master may cost. megapixels: of one tile. seconds: for one tile; None: by its megapixels."""
        return estimate(tiles, megapixels, self.price, self.cancel_after, seconds)


class ReplicateSession:
    """The predictions of one master."""

    def __init__(
        self, api: ReplicateApi, context: MasterContext, version: str, options: ReplicateOptions, folder: Path
    ) -> None:
        """folder: for downloads, empty."""
        self.workers = options.workers
        self._api = api
        self._context = context
        self._options = options
        calls = CallOptions(version, options.cancel_after, options.pay_again, options.settling)
        self._calls = Calls(api, context.ledger, calls, options.bound)
        self._budget = Budget(context.ledger, options.bound, options.max_cost)
        self._results = Results(api, folder, options.cancel_after, options.download)
        self._uploading = threading.Lock()

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile, or download the result that an earlier run has paid for."""
        self._context.raise_if_stopped()
        try:
            call = self._calls.unfinished(tile.index)
            if call is None:
                self._budget.hold(tile.index, self._context.raise_if_stopped)
                call = self._create(tile)
            else:
                self._budget.adopt(tile.index)
            return self._result(tile, call)
        except NoAnswerError as error:
            raise TileError(f"Replicate does not answer: {error}") from error
        finally:
            self._budget.release(tile.index)

    def reference(self) -> str | None:
        """The address of the reference, uploaded if the last upload is too old; None if there is none.

        Raises NoAnswerError, BackendError.
        """
        context, pace = self._context, self._api.pace
        if context.reference is None:
            return None
        key = f"replicate.reference.{self._api.base_url}"
        with self._uploading:
            uploaded_at, _, address = (context.ledger.recall(key) or "0 ").partition(" ")
            if not address or pace.now() - float(uploaded_at) > _REFERENCE_SECONDS:
                moment = pace.now()
                data = exr_transport.encode(context.reference)
                address = self._api.upload(
                    f"reference{exr_transport.SUFFIX}", data, exr_transport.CONTENT_TYPE
                )
                context.ledger.remember(key, f"{moment:.0f} {address}")
            return address

    def _create(self, tile: Tile) -> Call:
        context, reference = self._context, self.reference()
        name = f"tile-{tile.index}{exr_transport.SUFFIX}"
        data = exr_transport.encode(tile.picture, is_hdr=context.is_hdr)
        marker = self._api.upload(name, data, exr_transport.CONTENT_TYPE)
        inputs = exr_transport.tile_inputs(context.settings, marker, reference, tile.box)
        return self._calls.create(tile.index, marker, inputs)

    def _result(self, tile: Tile, call: Call) -> TileOutput:
        try:
            prediction = self._results.ended(call.prediction)
        except StoppedError:
            self._cancel(call)
            raise
        if prediction is None:
            raise self._lost(call, prediction)
        if prediction.status is Status.SUCCEEDED and prediction.data_removed:
            raise self._lost(call, prediction)
        if prediction.status is not Status.SUCCEEDED or prediction.output is None:
            raise self._failed(call, prediction)
        seconds, dollars = self._cost(prediction)
        try:
            rgb, alpha = self._results.pixels(prediction, tile)
        except GoneError as error:
            raise self._lost(call, prediction) from error
        except UnusableError as error:
            self._calls.ended(call, "unusable", seconds, dollars)
            raise TileError(f"prediction {prediction.id}: {error}") from error
        self._calls.succeeded(call, seconds, dollars)
        return TileOutput(rgb, alpha, seconds, dollars if call.number is not None else 0.0)

    def _failed(self, call: Call, prediction: RemotePrediction) -> TileError:
        """Settle a prediction that ended without a result."""
        seconds, dollars = self._cost(prediction)
        self._calls.ended(call, prediction.status, seconds, dollars)
        if prediction.status in (Status.CANCELED, Status.ABORTED):
            # One of an earlier run was canceled when that was stopped.
            reason = f"was {prediction.status}; it may take {self._options.cancel_after} s"
            return TileError(f"prediction {prediction.id} {reason}", counts=not call.is_old)
        return TileError(f"prediction {prediction.id}: {prediction.error or 'it gave no picture'}")

    def _lost(self, call: Call, prediction: RemotePrediction | None) -> BackendError | TileError:
        """The error for a result that was paid for and is gone.

        The call is settled only if the user agreed to pay again.
        """
        if not self._options.pay_again:
            return BackendError(
                f"the result of tile {call.tile} (prediction {call.prediction}) was paid for, and Replicate "
                "has removed it, as it does after an hour: --pay-again allows to pay for it again"
            )
        seconds, dollars = (0.0, self._options.bound) if prediction is None else self._cost(prediction)
        self._calls.ended(call, "lost", seconds, dollars)
        return TileError(f"the result of prediction {call.prediction} is lost", counts=False)

    def _cancel(self, call: Call) -> None:
        """Cancel a call because the user stopped; one that has succeeded is left for the next run."""
        prediction = self._results.canceled(call.prediction)
        if prediction is not None and prediction.is_over and prediction.status is not Status.SUCCEEDED:
            self._calls.ended(call, prediction.status, *self._cost(prediction))

    def _cost(self, prediction: RemotePrediction) -> tuple[float, float]:
        """(seconds, dollars) of a prediction; the most that they can be where Replicate does not say."""
        seconds = prediction.predict_time
        if seconds is None and prediction.status is Status.SUCCEEDED:
            return 0.0, self._options.bound
        # A failed prediction of a public model is free; of a private one it is not: this errs upwards.
        return seconds or 0.0, (seconds or 0.0) * self._options.price.per_second
