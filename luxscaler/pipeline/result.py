"""Progress and result of a run, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

STAGES = ("reading", "loading", "upscaling", "matching", "expanding", "writing", "reporting")
"""What a run does, in the order of a picture of one tile. Of several, rows are expanded and written while
others are upscaled; "writing" is then what is left at the end. "loading" is of the network,
"matching" of colours and detail to the source."""
StageListener = Callable[[str], None]
"""Called with the name of a stage as it begins."""


def unheard(_stage: str) -> None:
    """A StageListener that ignores what it is told."""


@dataclass(frozen=True)
class SeamFigure:
    """How far neighbouring tiles disagree where they meet: root mean squares, in sRGB code values of 1."""

    step: float
    """Difference of two neighbouring tiles, channel by channel, averaged over what they share."""
    own: float
    """What the picture itself changes, over the same distance, beside the seams."""

    @property
    def ratio(self) -> float:
        """step / own: below 1 a seam is less than the picture's own changes. 0 where `own` is 0."""
        return self.step / self.own if self.own > 0.0 else 0.0


@dataclass(frozen=True)
class Progress:
    """How far the tiles of a picture are."""

    done: int
    """Tiles that are done, those of earlier runs included."""
    total: int
    kept: int = 0
    """Of those done, the tiles of earlier runs."""
    retries: int = 0
    seconds: float = 0.0
    """Since the first tile of this run began."""
    dollars: float = 0.0
    """Paid so far, in all runs."""

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end, from the tiles of this run; None before the first is done."""
        finished = self.done - self.kept
        return None if finished < 1 else self.seconds / finished * (self.total - self.done)


@dataclass(frozen=True)
class Result:
    """A file that was written."""

    path: Path
    width: int
    height: int
    peak: float
    """Largest linear value, 1.0 = SDR white, before the file's format rounds or clips it."""
    notices: tuple[str, ...] = ()
    """What was decided on the user's behalf, one line each."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds by stage where one process made the whole: decode, network, detail, reference, expand,
    transfer, export."""
    progress: Progress = Progress(1, 1)
    extra: float = 1.0
    """Pixels of all tiles / pixels of the picture."""
    seams: SeamFigure | None = None
    """Only measured for a compare page, and where there are several tiles."""
