"""Tiles upscaled by a model on Replicate, or on any server that speaks its API.

    Tile → parcels.pack → upload → calls.py (paid once) → polling → download → parcels.unpack

The reference is uploaded once and kept in the ledger. An intent stays open until its result is here and
decoded, so whatever fails after the paid call costs another look, not another call.
"""

import tempfile
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from luxscaler.backends import exr_transport
from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.backends.replicate.budget import Budget
from luxscaler.backends.replicate.calls import Call, CallOptions, Calls
from luxscaler.backends.replicate.results import Results, UnusableError
from luxscaler.errors import BackendError, CostError, InputError, StoppedError, TileError
from luxscaler.replicate.api import DEFAULT_BASE_URL, ApiOptions, ReplicateApi
from luxscaler.replicate.download import GoneError
from luxscaler.replicate.pace import Clock, Pace
from luxscaler.replicate.prediction import Prediction, version_id
from luxscaler.replicate.prices import Estimate, Price, estimate
from luxscaler.replicate.responses import NoAnswerError

_REFERENCE_SECONDS = 20 * 3600.0
"""An upload lives for 24 hours; a tile that is created now may wait some time for its turn."""
_MIN_CANCEL_AFTER = 5


@dataclass(frozen=True)
class ReplicateOptions:
    """What may be spent, and how."""

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
    """As CallOptions.settling."""
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
        """What a master may cost. megapixels: of one tile. seconds: for one tile, if known better."""
        return estimate(tiles, megapixels, self.price, self.cancel_after, seconds)


class ReplicateBackend:
    """The model version `version` of the account that `token` belongs to."""

    name = "replicate"

    def __init__(
        self,
        token: str,
        version: str,
        options: ReplicateOptions = ReplicateOptions(),
        *,
        base_url: str = DEFAULT_BASE_URL,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Raises InputError. transport, clock: for tests. The token is kept by the HTTP client alone."""
        self.workers = options.workers
        self._options = options
        self._version = version_id(version)
        self._pace = Pace(clock=clock or Clock())
        self._api = ReplicateApi(token, base_url, options.api, self._pace, transport)
        self._context: MasterContext | None = None
        self._uploading = threading.Lock()

    def start(self, context: MasterContext) -> None:
        """Upload the reference. Raises CostError if not even one tile may be paid, BackendError."""
        self._pace = self._api.pace = replace(self._pace, stop=context.stop)
        options = self._options
        if options.max_cost is not None and options.bound > options.max_cost:
            raise CostError(
                f"one tile can cost ${options.bound:.4f} ({options.cancel_after} s at "
                f"${options.price.per_second:g}); the limit is ${options.max_cost:.4f}"
            )
        calls = CallOptions(self._version, options.cancel_after, options.pay_again, options.settling)
        self._calls = Calls(self._api, context.ledger, calls, options.bound)
        self._budget = Budget(context.ledger, options.bound, options.max_cost)
        self._folder = tempfile.TemporaryDirectory(prefix="luxscaler-")
        self._results = Results(self._api, Path(self._folder.name), options.cancel_after, options.download)
        self._context = context
        try:
            self._reference()
        except NoAnswerError as error:
            raise BackendError(f"{self._api.base_url} cannot be reached: {error}") from error

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile, or fetch what an earlier run has paid for."""
        assert self._context is not None  # noqa: S101 - start comes first
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

    def close(self) -> None:
        """Close connections; forget downloads."""
        self._api.close()
        if self._context is not None:
            self._folder.cleanup()

    def _create(self, tile: Tile) -> Call:
        assert self._context is not None  # noqa: S101
        context, settings, reference = self._context, self._context.settings, self._reference()
        name = f"tile-{tile.index}{exr_transport.SUFFIX}"
        parcel = exr_transport.pack(tile.picture, is_hdr=context.is_hdr)
        marker = self._api.upload(name, parcel, exr_transport.CONTENT_TYPE)
        inputs: dict[str, object] = {
            "tile_input": marker,
            "output_format": "exr",
            "fractality": settings.fractality,
            "scale": settings.scale,
            "model": settings.model,
        }
        if reference is not None:
            inputs["global_reference"] = reference
        if reference is not None and tile.box is not None:
            inputs["tile_box"] = exr_transport.number_text(tile.box)
        return self._calls.create(tile.index, marker, inputs)

    def _reference(self) -> str | None:
        """The address of the reference, uploaded if the last upload is too old."""
        context = self._context
        if context is None or context.reference is None:
            return None
        key = f"replicate.reference.{self._api.base_url}"
        with self._uploading:
            uploaded_at, _, address = (context.ledger.recall(key) or "0 ").partition(" ")
            if not address or self._pace.now() - float(uploaded_at) > _REFERENCE_SECONDS:
                moment = self._pace.now()
                data = exr_transport.pack(context.reference)
                address = self._api.upload(
                    f"reference{exr_transport.SUFFIX}", data, exr_transport.CONTENT_TYPE
                )
                context.ledger.remember(key, f"{moment:.0f} {address}")
            return address

    def _result(self, tile: Tile, call: Call) -> TileOutput:
        try:
            prediction = self._results.ended(call.prediction)
        except StoppedError:
            self._cancel(call)
            raise
        if prediction is None:
            raise self._lost(call, prediction)
        if prediction.status == "succeeded" and prediction.data_removed:
            raise self._lost(call, prediction)
        if prediction.status != "succeeded" or prediction.output is None:
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

    def _failed(self, call: Call, prediction: Prediction) -> TileError:
        """Settle a prediction that ended without a result."""
        seconds, dollars = self._cost(prediction)
        self._calls.ended(call, prediction.status, seconds, dollars)
        if prediction.status in ("canceled", "aborted"):
            # One of an earlier run was canceled when that was stopped.
            reason = f"was {prediction.status}; it may take {self._options.cancel_after} s"
            return TileError(f"prediction {prediction.id} {reason}", counts=not call.is_old)
        return TileError(f"prediction {prediction.id}: {prediction.error or 'it gave no picture'}")

    def _lost(self, call: Call, prediction: Prediction | None) -> BackendError | TileError:
        """What was paid for is not there any more: settle it only if the user agreed to pay again."""
        if not self._options.pay_again:
            return BackendError(
                f"the result of tile {call.tile} (prediction {call.prediction}) was paid for, and Replicate "
                "has removed it, as it does after an hour: allow paying again (--pay-again) to have it anew"
            )
        seconds, dollars = (0.0, self._options.bound) if prediction is None else self._cost(prediction)
        self._calls.ended(call, "lost", seconds, dollars)
        return TileError(f"the result of prediction {call.prediction} is lost", counts=False)

    def _cancel(self, call: Call) -> None:
        """The user stopped: what is under way is canceled. One that ended well is kept for the next run."""
        prediction = self._results.canceled(call.prediction)
        if prediction is not None and prediction.is_over and prediction.status != "succeeded":
            self._calls.ended(call, prediction.status, *self._cost(prediction))

    def _cost(self, prediction: Prediction) -> tuple[float, float]:
        """(seconds, dollars); what is not known is taken for the most."""
        seconds = prediction.predict_time
        if seconds is None and prediction.status == "succeeded":
            return 0.0, self._options.bound
        # A failed prediction of a public model is free; of a private one it is not: this errs upwards.
        return seconds or 0.0, (seconds or 0.0) * self._options.price.per_second
