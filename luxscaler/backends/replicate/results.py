"""From a prediction that was created to its pixels: polling, cancel, download, decoding.

Nothing here pays, and nothing is written into the ledger: each of these steps may be repeated.
"""

from contextlib import suppress
from pathlib import Path

from luxscaler.backends import exr_transport
from luxscaler.backends.base import Tile
from luxscaler.clock import backoff
from luxscaler.errors import BackendError, TileError
from luxscaler.picture import FloatArray
from luxscaler.replicate.api import ReplicateApi
from luxscaler.replicate.download import FetchLimits, GoneError, fetch
from luxscaler.replicate.responses import BusyError, NoAnswerError, RemotePrediction

_FIRST_POLL, _LONGEST_POLL = 0.5, 5.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0
_DOWNLOADS = 5
_SAME = 3
_CANCEL_LOOKS = 20
_OVERDUE_SECONDS = 60.0
"""A prediction is canceled so long after its deadline, and then waited for as long again."""


class UnusableError(Exception):
    """Each download gives the same result, and it is not what was asked for."""


class Results:
    """Results of one account's predictions."""

    def __init__(self, api: ReplicateApi, folder: Path, cancel_after: float, download_seconds: float) -> None:
        self._api = api
        self._folder = folder
        self._cancel_after = cancel_after
        self._download_seconds = download_seconds

    def ended(self, prediction: str) -> RemotePrediction | None:
        """Wait for the end of a prediction; None if Replicate no longer knows it.

        Raises StoppedError, NoAnswerError, and TileError when it does not end.
        """
        pace, pauses = self._api.pace, backoff(_FIRST_POLL, _LONGEST_POLL, 1.5)
        overdue_at = pace.now() + self._cancel_after + _OVERDUE_SECONDS
        canceled = False
        while True:
            found = self._api.get(prediction)
            if found is None or found.is_over:
                return found
            if pace.now() > overdue_at and canceled:
                raise TileError(f"prediction {prediction} does not end, nor can it be canceled")
            if pace.now() > overdue_at:
                self._try_cancel(prediction)
                canceled, overdue_at = True, pace.now() + _OVERDUE_SECONDS
            pace.pause(next(pauses))

    def canceled(self, prediction: str) -> RemotePrediction | None:
        """Cancel a prediction after the work has stopped; how it ended, or None if that is unknown."""
        self._try_cancel(prediction)
        for _ in range(_CANCEL_LOOKS):
            try:
                found = self._api.get_once(prediction)
            except (NoAnswerError, BusyError, BackendError):
                return None
            if found is None or found.is_over:
                return found
            self._api.pace.clock.sleep(_FIRST_POLL)
        return None

    def pixels(self, prediction: RemotePrediction, tile: Tile) -> tuple[FloatArray, FloatArray | None]:
        """Download and decode a result: (rgb, alpha) as in TileOutput.

        A download may be repeated for free, a prediction may not: so a result counts as bad only when several
        downloads of it are equal. Raises GoneError, UnusableError, TileError when no download works, and
        StoppedError.
        """
        path = self._folder / f"{prediction.id}{exr_transport.SUFFIX}"
        pauses, digests = backoff(_FIRST_WAIT, _LONGEST_WAIT), list[str]()
        while True:
            digests.append("")
            try:
                digests[-1] = self._fetched(prediction, path, tile.output_size)
                return exr_transport.decode(
                    path, tile.output_size, tile.box, is_associated=tile.picture.source.is_associated
                )
            except TileError as error:
                if len(digests) == _DOWNLOADS:
                    if digests[-1] and len(set(digests[-_SAME:])) == 1:
                        raise UnusableError(str(error)) from error
                    raise
            finally:
                path.unlink(missing_ok=True)
            self._api.pace.pause(next(pauses))

    def _fetched(self, prediction: RemotePrediction, path: Path, size: tuple[int, int]) -> str:
        output, now = prediction.output or "", self._api.pace.now
        limits = FetchLimits(exr_transport.most_bytes(size), self._download_seconds)
        try:
            return fetch(self._api.plain, output, path, limits, now)
        except GoneError:
            # The signature in an address may have run out before the file did.
            fresh = self._api.get(prediction.id)
            if fresh is None or fresh.output is None or fresh.output == output:
                raise
            return fetch(self._api.plain, fresh.output, path, limits, now)

    def _try_cancel(self, prediction: str) -> None:
        with suppress(NoAnswerError, BusyError, BackendError):
            self._api.cancel(prediction)
