"""What is asked of the pipeline, and what comes out of it. It computes nothing."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from luxscaler.errors import ExportError, InputError
from luxscaler.geometry import TileBox, output_size
from luxscaler.io.options import ExportOptions
from luxscaler.io.write import FORMATS, HDR_FORMATS
from luxscaler.options import DEFAULT_MAX_PIXELS, DecodeLimits, check_boost, check_fractality

DEFAULT_MAX_OUTPUT_PIXELS = 400_000_000
"""Largest result unless the caller says otherwise: 4.8 GB as float32 RGB."""

PictureFile = str | os.PathLike[str] | bytes


@dataclass(frozen=True)
class TileRequest:
    """What is asked for; the first fields are the inputs of the container (README). Checked when made."""

    tile_input: PictureFile
    global_reference: PictureFile | None = None
    tile_box: TileBox | None = None
    output_format: str = "webp"
    hdr_boost: float = 1.0
    fractality: float = 1.0
    scale: float = 4.0
    model: str = "photo"
    export: ExportOptions = ExportOptions()
    """Codecs and qualities; what the pipeline knows better (peak, range, software) it fills in."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    """Largest picture read, in pixels."""
    max_output_pixels: int = DEFAULT_MAX_OUTPUT_PIXELS
    decode_limits: DecodeLimits | None = field(default_factory=DecodeLimits)
    """For the process that decodes the pictures (isolation/); None decodes in this one, without them."""

    def __post_init__(self) -> None:
        if self.output_format not in FORMATS:
            known = ", ".join(FORMATS)
            raise InputError(f"output_format is {self.output_format!r}; it must be one of {known}")
        if self.tile_box is not None and self.global_reference is None:
            raise InputError("tile_box says where the tile sits in a global_reference, and none was given")
        check_boost(self.hdr_boost)
        check_fractality(self.fractality)
        output_size(1, 1, self.scale)

    @property
    def expands(self) -> bool:
        """Whether light above SDR white is estimated into the result."""
        return self.hdr_boost > 1.0 and self.output_format in HDR_FORMATS


@dataclass(frozen=True)
class TileResult:
    """What came out."""

    path: Path
    width: int
    height: int
    peak: float
    """Largest linear value, 1.0 = SDR white, before the file's format rounds or clips it."""
    timings: dict[str, float]
    """Seconds by stage: decode, network, detail, reference, expand, transfer, export."""
    notices: tuple[str, ...] = ()
    """What was decided on the user's behalf, one line each."""


def check_path(path: Path) -> None:
    """ExportError for a place where no file can appear: before the work, minutes of which would be lost."""
    if path.is_dir():
        raise ExportError(f"cannot write {str(path)!r}: it is a directory")
    if not path.parent.is_dir():
        raise ExportError(f"cannot write {str(path)!r}: the folder does not exist")
    if not os.access(path.parent, os.W_OK):
        raise ExportError(f"cannot write {str(path)!r}: the folder is not writable")
