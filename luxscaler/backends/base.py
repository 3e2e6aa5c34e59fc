"""The interface of everything that upscales tiles: this process, containers, Replicate, a cluster.

    with backend.open(context) as session:      # the network is loaded, the containers are ready
        output = session.run(tile)              # blocks until the upscaled tile is here

The caller runs as many tiles at once as `session.workers` says, each in a thread of its own. What must
survive a crash (an intent to pay) a backend writes into the Ledger.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from luxscaler.errors import StoppedError
from luxscaler.geometry import TileBox
from luxscaler.picture import FloatArray, Picture
from luxscaler.pipeline.request import TileSettings

if TYPE_CHECKING:
    from torch import Tensor

CPU = "cpu"


@dataclass(frozen=True)
class Tile:
    """One tile to upscale."""

    index: int
    """Its number in the plan."""
    attempt: int
    """1 for the first try."""
    picture: Picture
    """The tile with its context, under the pixel contract."""
    box: TileBox | None
    """Where the tile sits in the reference; None without a reference."""
    output_size: tuple[int, int]
    """(height, width) that the result must have."""


@dataclass(frozen=True)
class TileOutput:
    """An upscaled tile.

    rgb: (height, width, 3) float32, linear Rec.709, 1.0 = SDR white, as the container gives it for
    hdr_boost 1. alpha: (height, width) float32 in [0, 1] or None.
    """

    rgb: FloatArray
    alpha: FloatArray | None = None
    seconds: float = 0.0
    """Seconds of computing (Replicate: predict_time, which is billed)."""
    dollars: float = 0.0
    """What it cost; 0 where nothing is paid."""
    notices: tuple[str, ...] = ()
    trusted: bool = False
    """Whether a network in this process made it, so that it is not compared with its source: a checkpoint of
    one's own may change the picture."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.rgb.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    def on_host(self) -> "TileOutput":
        """This output, which is in the host's memory already."""
        return self


@dataclass(frozen=True)
class DeviceOutput:
    """An upscaled tile of a network in this process, complete, and still on the device that made it.

    rgb: (height, width, 3) float32, linear Rec.709, 1.0 = SDR white. alpha: (height, width) float32 in [0, 1]
    or None.
    """

    rgb: "Tensor"
    alpha: "Tensor | None"
    seconds: float
    notices: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """In bytes."""
        return self.rgb.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    def on_host(self) -> TileOutput:
        """A copy in the host's memory."""
        from luxscaler.upscaling.pinned_copy import to_host  # noqa: PLC0415 - others need no PyTorch here
        from luxscaler.upscaling.side_stream import SideStream  # noqa: PLC0415

        with SideStream(self.rgb.device):  # the network may be at the next tile already
            rgb, alpha = to_host(self.rgb), None if self.alpha is None else to_host(self.alpha)
        return TileOutput(rgb, alpha, self.seconds, notices=self.notices, trusted=True)


Output = TileOutput | DeviceOutput


@dataclass(frozen=True)
class Intent:
    """A paid call in the ledger: announced, and perhaps made."""

    number: int
    tile: int
    marker: str
    """What identifies the call to the service, e.g. the address of the uploaded tile."""
    prediction: str | None
    """The id of the prediction, once the service has returned it."""
    announced_at: float
    """Seconds since 1970."""


class Ledger(Protocol):
    """Paid calls and notes that must survive a crash. Every method returns once its values are on disk."""

    def announce(self, tile: int, marker: str) -> int:
        """Note a paid call before it is made, and return its number."""

    def created(self, number: int, prediction: str) -> None:
        """Note that the service accepted the call, under this id."""

    def settle(self, number: int, outcome: str, seconds: float = 0.0, dollars: float = 0.0) -> None:
        """Note how the call ended ("succeeded", "failed", "canceled", "not created", …), and what it cost."""

    def open_intents(self, tile: int | None = None) -> Sequence[Intent]:
        """Calls that were announced and not settled, of one tile, or of all (None)."""

    def spent(self) -> float:
        """Dollars of all calls that were settled."""

    def remember(self, key: str, value: str) -> None:
        """Keep a short text, e.g. the address of an upload."""

    def recall(self, key: str) -> str | None:
        """The text kept under `key`; None if there is none."""


@dataclass(frozen=True)
class MasterContext:
    """What is the same for all tiles of a master."""

    settings: TileSettings
    reference: Picture | None
    """The whole master, reduced, whose low band the tiles get; None: they keep the network's colours."""
    tiles: int
    """How many tiles the master has."""
    ledger: Ledger
    is_hdr: bool = False
    """Whether the master holds light above SDR white."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set when the user wants to stop: a backend then cancels what is under way and raises StoppedError."""

    def raise_if_stopped(self) -> None:
        """Raise StoppedError when the user wants to stop."""
        if self.stop.is_set():
            raise StoppedError("stopped")


class Session(Protocol):
    """A backend that is ready for the tiles of one master."""

    @property
    def workers(self) -> int:
        """How many tiles may be under way at once."""

    def run(self, tile: Tile) -> Output:
        """Upscale one tile; called from several threads at once.

        Raises TileError when this attempt failed and another may succeed, BackendError when none can,
        StoppedError once `context.stop` is set.
        """


class Backend(Protocol):
    """Something that upscales tiles."""

    @property
    def name(self) -> str:
        """The backend's name, for messages and reports."""

    @property
    def device(self) -> str:
        """PyTorch's name of the device that holds its tiles and makes the rows: "cpu", or a local card."""

    def open(self, context: MasterContext) -> AbstractContextManager[Session]:
        """Make ready for one master: load the network, check the containers, upload the reference.

        Everything that this takes is freed at the end of the `with` block. Entering it raises BackendError
        (nothing was paid) or InputError.
        """
