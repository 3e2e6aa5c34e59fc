"""Tiles upscaled on a Ray cluster: a worker on each GPU, or on some cores each where there are none.

A worker that is lost gives its tile back, and another is begun in its place; if no node has room for it, the
others go on without. What runs on the nodes is worker.py, how Ray is talked to cluster.py.
"""

import queue
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from luxscaler.backends.base import MasterContext, Tile, TileOutput
from luxscaler.backends.ray.cluster import Cluster, LostError, Share
from luxscaler.errors import BackendError, InputError, StoppedError, TileError, UpscaleError
from luxscaler.options import UpscalerOptions

_GLANCE_SECONDS = 0.2
_INNOCENT_LOSSES = 2
"""Workers that a tile may lose at no cost. Ray does not say whether a node went away or a process crashed,
and a tile that crashes whatever it is given to must not be tried for ever."""


@dataclass(frozen=True)
class RayOptions:
    """How the cluster is used; times in seconds."""

    cpus: int = 4
    """Cores for a worker where there are no GPUs; fewer if the smallest node has fewer."""
    load: float = 300.0
    """For a worker to begin and load the network."""
    again: float = 60.0
    """For a worker in the place of a lost one."""
    tile: float = 1800.0
    """For one tile."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 < value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number above 0")


@dataclass(eq=False)
class _Slot:
    """A place for a worker."""

    share: Share
    worker: Any | None


class RayBackend:
    """A cluster at `address`: "auto" is the one this machine belongs to, None one of this machine alone."""

    name = "ray"

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
        self._cluster: Cluster | None = None
        self._context: MasterContext | None = None
        self._free: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
        self._slots: list[_Slot] = []
        self._losses: Counter[int] = Counter()

    @property
    def workers(self) -> int:
        """One tile for each worker that there was room for at the start."""
        return max(1, len(self._slots))

    def start(self, context: MasterContext) -> None:
        """Begin the workers and have them load the network. Raises BackendError, InputError, WeightsError."""
        self._context = context
        self._cluster = cluster = Cluster(self._address)
        shares = cluster.places(self._options.cpus)
        if not shares:
            raise BackendError("the Ray cluster has neither GPUs nor CPUs for a worker")
        self._reference = None if context.reference is None else cluster.put(context.reference)
        self._slots = [_Slot(share, cluster.begin(share)) for share in shares]
        loading = [(slot, self._load(slot.worker)) for slot in self._slots]
        for slot, call in loading:
            try:
                cluster.result(call, context.raise_if_stopped, self._options.load)
            except (LostError, TileError) as error:
                raise BackendError(f"a Ray worker cannot load the network: {error}") from error
            self._free.put(slot)

    def run(self, tile: Tile) -> TileOutput:
        """Upscale one tile on the worker that is free next."""
        cluster, context = self._cluster, self._context
        assert cluster is not None  # noqa: S101 - start comes first
        assert context is not None  # noqa: S101
        slot = self._take(context.raise_if_stopped)
        try:
            worker = slot.worker or self._begin_again(cluster, context, slot)
            result = cluster.result(worker.run.remote(tile), context.raise_if_stopped, self._options.tile)
            assert isinstance(result, TileOutput)  # noqa: S101
        except LostError as error:
            self._drop_worker(cluster, slot)
            raise TileError(
                f"a Ray worker is lost: {error}", counts=self._is_to_blame(tile, error)
            ) from error
        except UpscaleError as error:
            raise TileError(str(error)) from error
        except StoppedError:
            self._drop_worker(cluster, slot)  # nothing else ends what it is at
            raise
        finally:
            if slot in self._slots:
                self._free.put(slot)
        return result

    def close(self) -> None:
        """End the workers and leave the cluster."""
        cluster, self._cluster = self._cluster, None
        if cluster is None:
            return
        for slot in self._slots:
            self._drop_worker(cluster, slot)
        cluster.close()

    def _is_to_blame(self, tile: Tile, error: LostError) -> bool:
        self._losses[tile.index] += 1
        return error.by_tile or self._losses[tile.index] > _INNOCENT_LOSSES

    def _load(self, worker: Any) -> Any:
        context = self._context
        assert context is not None  # noqa: S101
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

    def _begin_again(self, cluster: Cluster, context: MasterContext, slot: _Slot) -> Any:
        """A worker in the place of a lost one; the place is given up when there is no room for it."""
        seconds = self._options.again
        if len(cluster.places(self._options.cpus)) >= len(self._slots):
            slot.worker = worker = cluster.begin(slot.share)
            try:
                cluster.result(self._load(worker), context.raise_if_stopped, seconds)
            except (LostError, TileError):
                self._drop_worker(cluster, slot)
            else:
                return worker
        self._slots.remove(slot)
        raise TileError("a place on the Ray cluster is lost", counts=False)

    @staticmethod
    def _drop_worker(cluster: Cluster, slot: _Slot) -> None:
        worker, slot.worker = slot.worker, None
        if worker is not None:
            cluster.end(worker)
