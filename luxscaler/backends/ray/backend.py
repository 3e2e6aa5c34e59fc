"""Tiles upscaled on a Ray cluster: a worker on each GPU, or on some cores each where there are none.

A worker that is lost gives its tile back, and another replaces it; if no node has room for that, the others
go on without it. worker.py runs on the nodes; cluster.py makes every call of Ray.
"""

import queue
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from luxscaler.backends.base import CPU, MasterContext, Tile, TileOutput
from luxscaler.backends.ray.cluster import Cluster, LostError, Share
from luxscaler.errors import BackendError, InputError, StoppedError, TileError, UpscaleError
from luxscaler.options import UpscalerOptions

_GLANCE_SECONDS = 0.2
_INNOCENT_LOSSES = 2
"""Workers that a tile may lose without using up an attempt. Ray does not say whether a node went away or a
process crashed, and a tile that crashes every worker must not be tried for ever."""


@dataclass(frozen=True)
class RayOptions:
    """How the cluster is used; times in seconds."""

    cpus: int = 4
    """Cores for a worker where there are no GPUs; fewer if the smallest node has fewer."""
    load: float = 300.0
    """For a worker to begin and load the network."""
    again: float = 60.0
    """For a worker that replaces a lost one."""
    tile: float = 1800.0
    """For one tile."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number above 0")


@dataclass(eq=False)
class _Slot:
    """Resources for one worker, and the worker that has them."""

    share: Share
    worker: Any | None


class RayBackend:
    """A cluster at `address`: "auto" is the one this machine belongs to, None one of this machine alone."""

    name = "ray"
    device = CPU

    def __init__(
        self,
        address: str | None = None,
        options: RayOptions = RayOptions(),
        upscaler: UpscalerOptions = UpscalerOptions(),
    ) -> None:
        """upscaler: for the network on the nodes."""
        self._address = address
        self._options = options
        self._upscaler = upscaler

    @contextmanager
    def open(self, context: MasterContext) -> Iterator["RaySession"]:
        """Begin the workers and have them load the network. Raises BackendError, InputError, WeightsError."""
        with closing(Cluster(self._address)) as cluster:
            shares = cluster.shares(self._options.cpus)
            if not shares:
                raise BackendError("the Ray cluster has neither GPUs nor CPUs for a worker")
            with closing(RaySession(cluster, shares, context, self._options, self._upscaler)) as session:
                session.wait_until_loaded()
                yield session


class RaySession:
    """The workers of one master."""

    def __init__(
        self,
        cluster: Cluster,
        shares: Sequence[Share],
        context: MasterContext,
        options: RayOptions,
        upscaler: UpscalerOptions,
    ) -> None:
        """Begins a worker for each of `shares`."""
        self._cluster = cluster
        self._context = context
        self._options = options
        self._upscaler = upscaler
        self._reference = None if context.reference is None else cluster.put(context.reference)
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        self._slots = [_Slot(share, cluster.begin(share)) for share in shares]
        self._losses: Counter[int] = Counter()

    @property
    def workers(self) -> int:
        """One tile at a time for each worker that there is room for."""
        return max(1, len(self._slots))

    def wait_until_loaded(self) -> None:
        """Have all workers load the network. Raises BackendError, InputError, WeightsError."""
        loading = [(slot, self._load(slot.worker)) for slot in self._slots]
        for slot, call in loading:
            try:
                self._cluster.result(call, self._context.raise_if_stopped, self._options.load)
            except (LostError, TileError) as error:
                raise BackendError(f"a Ray worker cannot load the network: {error}") from error
            self._free.put(slot)

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile on the worker that is free next."""
        check = self._context.raise_if_stopped
        slot = self._take(check)
        try:
            worker = slot.worker or self._begin_again(slot)
            result: TileOutput = self._cluster.result(worker.run.remote(tile), check, self._options.tile)
        except LostError as error:
            self._drop_worker(slot)
            raise TileError(
                f"a Ray worker is lost: {error}", counts=self._is_to_blame(tile, error)
            ) from error
        except UpscaleError as error:
            raise TileError(str(error)) from error
        except StoppedError:
            self._drop_worker(slot)  # nothing else ends what it is at
            raise
        finally:
            if slot in self._slots:
                self._free.put(slot)
        return result

    def close(self) -> None:
        """End the workers."""
        for slot in self._slots:
            self._drop_worker(slot)

    def _is_to_blame(self, tile: Tile, error: LostError) -> bool:
        self._losses[tile.index] += 1
        return error.by_tile or self._losses[tile.index] > _INNOCENT_LOSSES

    def _load(self, worker: Any) -> Any:
        context = self._context
        return worker.load.remote(self._upscaler, context.settings, self._reference, context.is_hdr)

    def _take(self, check: Callable[[], None]) -> _Slot:
        while True:
            check()
            if not self._slots:
                raise BackendError("no worker is left on the Ray cluster")
            try:
                return self._free.get(timeout=_GLANCE_SECONDS)
            except queue.Empty:
                continue

    def _begin_again(self, slot: _Slot) -> Any:
        """Replace a lost worker; the slot is given up if no node has room for a new one."""
        if len(self._cluster.shares(self._options.cpus)) >= len(self._slots):
            slot.worker = worker = self._cluster.begin(slot.share)
            check = self._context.raise_if_stopped
            try:
                self._cluster.result(self._load(worker), check, self._options.again)
            except (LostError, TileError):
                self._drop_worker(slot)
            else:
                return worker
        self._slots.remove(slot)
        raise TileError("a worker on the Ray cluster is lost", counts=False)

    def _drop_worker(self, slot: _Slot) -> None:
        worker, slot.worker = slot.worker, None
        if worker is not None:
            self._cluster.end(worker)
