"""What is asked of a master, what comes out, and how far it is. It computes nothing."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.backends.base import TileSettings
from luxscaler.errors import InputError
from luxscaler.geometry import output_size
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import FORMATS, HDR_FORMATS
from luxscaler.masters.seams import SeamFigure
from luxscaler.options import DecodeLimits, check_boost, check_fractality

DEFAULT_TILE = 1024
DEFAULT_MAX_MASTER_PIXELS = 1_000_000_000
"""Largest picture read in bands unless the caller says otherwise."""
MAX_ATTEMPTS = 20


@dataclass(frozen=True)
class MasterRequest:
    """A picture of any size, and what is to become of it. Checked when made."""

    source: str | os.PathLike[str] | bytes
    target: Path
    output_format: str
    hdr_boost: float = 1.0
    fractality: float = 1.0
    scale: float = 4.0
    model: str = "photo"
    tile: int = DEFAULT_TILE
    """Largest side of a tile with its context, in source pixels."""
    overlap: int | None = None
    """Source pixels that neighbours share; None: as many as a quarter more pixels pays for (plan.py)."""
    export: ExportOptions = ExportOptions()
    max_pixels: int = DEFAULT_MAX_MASTER_PIXELS
    decode_limits: DecodeLimits | None = field(default_factory=DecodeLimits)
    jobs: int | None = None
    """Tiles at once at most; None: as many as the backend can."""
    attempts: int = 3
    """Tries for a tile."""
    report: Path | None = None
    """Where to write the compare page."""
    restart: bool = False
    """Whether an unfinished job of the same target is thrown away."""
    tile_facts: Mapping[str, str] = field(default_factory=dict)
    """What else the tiles depend on, e.g. the precision: a job is only continued with the same."""

    def __post_init__(self) -> None:
        if self.output_format not in FORMATS:
            known = ", ".join(FORMATS)
            raise InputError(f"output_format is {self.output_format!r}; it must be one of {known}")
        check_boost(self.hdr_boost)
        check_fractality(self.fractality)
        output_size(1, 1, self.scale)
        if self.jobs is not None and self.jobs < 1:
            raise InputError(f"jobs is {self.jobs}; it must be 1 or more")
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise InputError(f"attempts is {self.attempts}; it must be from 1 to {MAX_ATTEMPTS}")

    @property
    def expands(self) -> bool:
        """Whether light above SDR white is estimated into the result."""
        return self.hdr_boost > 1.0 and self.output_format in HDR_FORMATS

    @property
    def settings(self) -> TileSettings:
        """What the tiles need to know."""
        return TileSettings(self.scale, self.model, self.fractality)


@dataclass(frozen=True)
class MasterProgress:
    """How far a master is."""

    done: int
    """Tiles that are done, those of earlier runs included."""
    total: int
    kept: int
    """Of those done, the tiles of earlier runs."""
    retries: int
    seconds: float
    """Since the first tile of this run began."""
    dollars: float
    """Paid so far, in all runs."""

    @property
    def seconds_left(self) -> float | None:
        """An estimate by the tiles of this run; None before the first."""
        finished = self.done - self.kept
        return None if finished < 1 else self.seconds / finished * (self.total - self.done)


@dataclass(frozen=True)
class MasterResult:
    """What came out."""

    path: Path
    width: int
    height: int
    peak: float
    """Largest linear value, 1.0 = SDR white, before the file's format rounds or clips it."""
    progress: MasterProgress
    extra: float
    """Pixels of all tiles / pixels of the picture."""
    seams: SeamFigure | None
    notices: tuple[str, ...] = ()
