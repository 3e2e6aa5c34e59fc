"""Tiles upscaled by a model on Replicate, or on any server that speaks its API.

    Tile → EXR → upload → calls.py (paid once) → polling → download → EXR in a file → rgb, alpha

session.py takes a tile along this way; this module checks what was asked for and opens the connections.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from luxscaler.backends.base import CPU, MasterContext
from luxscaler.backends.replicate.session import ReplicateOptions, ReplicateSession
from luxscaler.clock import Clock
from luxscaler.errors import BackendError, CostError
from luxscaler.replicate.api import DEFAULT_BASE_URL, ReplicateApi, Token, checked_base_url
from luxscaler.replicate.pace import Pace
from luxscaler.replicate.responses import NoAnswerError, model_or_version


class ReplicateBackend:
    """A model of the account that `token` belongs to.

    version: a version, or owner/model for the newest one when the master begins; a run that resumes a master
    keeps the version that it began with.
    """

    name = "replicate"
    device = CPU

    def __init__(
        self,
        token: str,
        version: str,
        options: ReplicateOptions | None = None,
        *,
        base_url: str = DEFAULT_BASE_URL,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        """transport, clock: for tests. Raises InputError for a token or version that cannot be one."""
        self.version = model_or_version(version)
        self.base_url = checked_base_url(base_url)
        self._token = Token(token)
        self._options = options or ReplicateOptions()
        self._transport = transport
        self._clock = clock or Clock()

    @contextmanager
    def open(self, context: MasterContext) -> Iterator[ReplicateSession]:
        """Upload the reference. Raises CostError if not even one tile may be paid for, and BackendError."""
        options = self._options
        if options.max_cost is not None and options.bound > options.max_cost:
            raise CostError(
                f"one tile can cost ${options.bound:.4f} ({options.cancel_after} s at "
                f"${options.price.per_second:g}); the limit is ${options.max_cost:.4f}"
            )
        pace = Pace(context.stop, self._clock)
        api = ReplicateApi(self._token, self.base_url, options.api, pace, self._transport)
        with closing(api), tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
            try:
                version = self._pinned(api, context)
                session = ReplicateSession(api, context, version, options, Path(folder))
                session.reference()
            except NoAnswerError as error:
                raise BackendError(f"{self.base_url} cannot be reached: {error}") from error
            yield session

    def _pinned(self, api: ReplicateApi, context: MasterContext) -> str:
        """The version of all tiles of this master. Raises BackendError, NoAnswerError."""
        if isinstance(self.version, str):
            return self.version
        key = f"replicate.version.{self.base_url}.{self.version}"
        found = context.ledger.recall(key)
        if not found:
            found = api.newest_version(self.version)
            context.ledger.remember(key, found)
        return found
