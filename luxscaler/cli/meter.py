"""How far a picture is, as a fraction that never falls: seconds spent / (seconds spent + seconds left).

The share of the network's work that is done predicts the seconds it still needs. The time of the later stages
(expanding the range, writing, the compare page) is guessed from the size of the result until a picture of the
same run has shown how long they take. Before the network runs nothing is known, and no fraction is given.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

AFTER = ("matching", "expanding", "writing", "reporting")
"""Stages that come after the network."""
_GUESSED_SECONDS = {"matching": 0.15, "expanding": 0.15, "writing": 0.15, "reporting": 0.15}
"""For a megapixel of the result: guesses, replaced once a picture of the run is done."""
_REST = 0.1
"""Share of the network's seconds that the stages after it are guessed to take together, at least."""
_LEAST_SHARE = 0.01
"""Share of the network's work below which its remaining seconds cannot be predicted."""


@dataclass(frozen=True)
class View:
    """How far the work on one picture is at one moment."""

    stage: str
    seconds: float
    """Since the work on this picture began."""
    fraction: float | None
    """0 to 1; None while nothing is known."""
    left: float | None
    """Seconds, about; None while nothing is known."""
    tiles_done: int = 0
    tiles: int = 1
    dollars: float = 0.0

    @property
    def words(self) -> str:
        """The stage, for people."""
        if self.stage == "upscaling" and self.tiles > 1:
            text = f"tile {self.tiles_done} of {self.tiles}"
        else:
            text = self.stage
        return f"{text}, ${self.dollars:.3f}" if self.dollars else text


@dataclass
class Pace:
    """How long the stages after the network take in this run, in seconds for a megapixel of the result."""

    seconds: dict[str, float] = field(default_factory=lambda: dict(_GUESSED_SECONDS))
    is_known: bool = False
    """Whether these are measured, by a picture that is done, rather than guessed."""

    def learn(self, stage: str, seconds: float, megapixels: float) -> None:
        """Note how long a stage of a picture took."""
        if stage in self.seconds and megapixels > 0.0:
            self.seconds[stage] = seconds / megapixels
            self.is_known = self.is_known or stage == "writing"


class Meter:
    """Collects the events of a run, from any thread, and computes how far it is. One for each picture."""

    def __init__(
        self, pace: Pace, *, with_report: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pace = pace
        self._with_report = with_report
        self._clock = clock
        self._lock = threading.Lock()
        self._began = self._stage_began = clock()
        self._stage = "starting"
        self._network_began: float | None = None
        self._network_seconds: float | None = None
        self._megapixels = 0.0
        self._tiles = 1
        self._done = self._kept = 0
        self._shares: dict[int, float] = {}
        self._dollars = 0.0
        self._fraction = self._floor = 0.0

    def plan(self, tiles: int, megapixels: float) -> None:
        """Set what is to be done: the number of tiles, and megapixels of the result."""
        with self._lock:
            self._tiles, self._megapixels = tiles, megapixels

    def stage(self, name: str) -> None:
        """Note that a stage begins."""
        with self._lock:
            now = self._clock()
            if self._stage == "upscaling" and name != "upscaling" and self._network_began is not None:
                self._network_seconds = now - self._network_began
            self._floor = self._fraction
            if self._stage in AFTER:
                self._pace.learn(self._stage, now - self._stage_began, self._megapixels)
            self._stage, self._stage_began = name, now
            if name == "upscaling" and self._network_began is None:
                self._network_began = now

    def tiles(self, done: int, kept: int, dollars: float) -> None:
        """Note how many tiles are done, how many of those in earlier runs, and what was spent."""
        with self._lock:
            self._done, self._kept, self._dollars = done, kept, dollars

    def share(self, number: int, share: float) -> None:
        """Note what share of a tile is done, 0 to 1."""
        with self._lock:
            before = self._shares.pop(number, 0.0)  # the latest is last
            self._shares[number] = max(share, before)

    def view(self) -> View:
        """How far the work is now."""
        with self._lock:
            now = self._clock()
            spent = now - self._began
            left = self._left(now)
            if self._stage in AFTER:
                share = self._share_of_stage(now)
            else:
                share = 0.0 if left is None else spent / (spent + left)
            self._fraction = max(self._fraction, min(share, 0.999))
            return View(
                self._stage,
                spent,
                self._fraction or None,
                left,
                self._done,
                self._tiles,
                self._dollars,
            )

    def _left(self, now: float) -> float | None:
        """Predicted seconds until the picture is done; None while they cannot be predicted."""
        if self._network_began is None:
            return None
        if self._stage not in AFTER:
            share = self._network_share()
            if share < _LEAST_SHARE:
                return None
            taken = now - self._network_began
            network = max(taken * (1.0 - share) / share, 0.02 * taken)
            return network + sum(self._expected(stage) for stage in self._stages())
        own = self._expected(self._stage) - (now - self._stage_began)
        return own + self._later() if own > 0.0 else None  # later than predicted

    def _share_of_stage(self, now: float) -> float:
        """The fraction done in a stage after the network.

        It moves through the stage's part of what was left at its beginning, ever slower, so that it never
        reaches the next stage's part early.
        """
        taken, own = now - self._stage_began, self._expected(self._stage)
        part = (1.0 - self._floor) * own / max(own + self._later(), 1e-9)
        return self._floor + part * taken / max(taken + own, 1e-9)

    def _later(self) -> float:
        """Expected seconds of the stages after this one."""
        after = AFTER.index(self._stage)
        return sum(self._expected(stage) for stage in self._stages() if AFTER.index(stage) > after)

    def _stages(self) -> tuple[str, ...]:
        """The stages after the network; of several tiles, matching and expanding happen with each tile."""
        last = AFTER if self._with_report else AFTER[:-1]
        return last if self._tiles == 1 and not self._with_report else last[2:]

    def _network_share(self) -> float:
        """The share of this run's tiles that the network has done, 0 to 1.

        Only the number of finished tiles is known, not which they are, and the last share of a finished one
        may be below 1. The tiles reported least recently are taken for the finished ones.
        """
        shares = list(self._shares.values())
        own = max(self._tiles - self._kept, 1)
        whole = max(self._done - self._kept, sum(share >= 1.0 for share in shares))
        under_way = [share for share in shares[min(whole, len(shares)) :] if share < 1.0]
        return min((whole + min(sum(under_way), own - whole)) / own, 1.0)

    def _expected(self, stage: str) -> float:
        # Of several tiles, all rows but the last are written while the network runs.
        rows = 1.0 if self._tiles == 1 else 1.0 / self._tiles
        seconds = self._pace.seconds[stage] * self._megapixels * (rows if stage == "writing" else 1.0)
        if self._pace.is_known or self._network_began is None or self._tiles > 1:
            return seconds
        network = self._network_seconds or self._clock() - self._network_began
        return max(seconds, _REST * network / len(self._stages()))
