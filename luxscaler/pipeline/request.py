"""The request: what to upscale and how. One frozen value for every entry, checked when it is made."""

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from luxscaler.checks import check_fields, check_type
from luxscaler.errors import InputError
from luxscaler.geometry import NO_WRAP, TileBox, Wrap, output_size
from luxscaler.io.formats import DUAL_FORMATS, FORMATS, HDR_FORMATS
from luxscaler.io.options import ExportOptions
from luxscaler.io.profiles import check_profile, profile_named
from luxscaler.options import (
    DEFAULT_MAX_PIXELS,
    MAIN_LAYER,
    DecodeLimits,
    LayerChoice,
    check_boost,
    check_fractality,
)
from luxscaler.picture import Picture
from luxscaler.pipeline.arguments import check_given
from luxscaler.pipeline.final_size import FinalSize, scale_for, size_notices

if TYPE_CHECKING:
    from luxscaler.hdr.expand import ToneStatistics

DEFAULT_MAX_OUTPUT_PIXELS = 400_000_000
"""Largest result that is made in memory unless the caller says otherwise: 4.8 GB as float32 RGB."""
DEFAULT_MAX_MASTER_PIXELS = 1_000_000_000
"""Largest picture read in bands unless the caller says otherwise."""
DEFAULT_TILE = 1024

PictureFile = str | os.PathLike[str] | bytes
"""A path, or the bytes of a file."""


@dataclass(frozen=True)
class TileSettings:
    """How every tile of a picture is upscaled. The dynamic range is expanded later, by one curve for all."""

    scale: float = 4.0
    model: str = "photo"
    fractality: float = 1.0


@dataclass(frozen=True)
class UpscaleRequest:
    """A picture, and what its result is to be. Raises InputError for a value out of its range."""

    source: PictureFile | Picture
    """The picture, or a tile of `reference` (the container's tile_input)."""
    reference: PictureFile | Picture | None = None
    """The whole that `source` is a tile of, at any size (the container's global_reference): it gives the tone
    statistics and the low band. None: the picture itself."""
    box: TileBox | None = None
    """Where `source` sits in `reference`; None: searched."""
    output_format: str = "webp"
    hdr_boost: float = 1.0
    fractality: float = 1.0
    scale: float = 4.0
    model: str = "photo"
    """A name of the catalogue, or the path of a checkpoint where the entry allows it."""
    export: ExportOptions = ExportOptions()
    """Codecs and qualities; peak, range and software are filled in from the picture."""
    self_reference: bool = True
    """Whether a picture without `reference` is its own. False keeps the colours that a network makes; for
    checkpoints of one's own that are meant to change them."""
    tile: int = DEFAULT_TILE
    """Largest side, in source pixels, of the tiles that a larger picture is cut into, context included."""
    overlap: int | None = None
    """Source pixels that neighbouring tiles share; None: as many as a quarter more pixels pays for."""
    max_pixels: int = DEFAULT_MAX_PIXELS
    """Largest picture read, in pixels."""
    max_output_pixels: int = DEFAULT_MAX_OUTPUT_PIXELS
    """Largest result made in memory, in pixels."""
    sdr: bool = False
    """Whether the SDR picture is read of a file that holds an HDR one too, by a gain map."""
    decode_limits: DecodeLimits | None = field(default_factory=DecodeLimits)
    """For the process that decodes the pictures (isolation/); None decodes in this one, without them."""
    boost_mask: PictureFile | Picture | None = None
    """A grey picture over the whole (`reference`, or else `source`), of any size: black is no expansion,
    white is all of it, and in between the gain is gain^grey."""
    wrap: Wrap = NO_WRAP
    """Where opposite edges of the picture meet (tileable textures, panoramas); they then do in the result."""
    overscan: str = "crop"
    """Of an EXR to an EXR: "crop" reads the display window, "keep" the data window, and writes both."""
    tones: "ToneStatistics | None" = None
    """The statistics for the expansion, if a whole shot shares them; None: those of the picture."""
    size: FinalSize | None = None
    """How large the result is to be, other than `scale` times the picture; it is then reduced to that."""
    final: tuple[int, int] | None = None
    """Width and height that `size` means for the picture at hand; filled in by `for_picture`."""
    size_notices: tuple[str, ...] = ()
    """Notices about `final`, one line each."""
    choice: LayerChoice = MAIN_LAYER
    """Which layer of an EXR `source` is."""

    def __post_init__(self) -> None:
        self._check_types()
        if self.choice and isinstance(self.source, Picture):
            raise InputError("layer and part are of an EXR file, and the source is a Picture")
        if self.output_format not in FORMATS:
            known = ", ".join(FORMATS)
            raise InputError(f"output_format is {self.output_format!r}; it must be one of {known}")
        check_profile(self.export.profile, self.output_format)
        if self.box is not None and self.reference is None:
            raise InputError("tile_box says where the tile sits in a global_reference, and none was given")
        check_boost(self.hdr_boost)
        if self.boost_mask is not None and self.hdr_boost == 1.0:
            raise InputError("boost_mask says where hdr_boost applies, and hdr_boost is 1: give more than 1")
        if self.boost_mask is not None and self.reference is not None and self.box is None:
            raise InputError("boost_mask is of the whole reference: say where the tile sits, by tile_box")
        self._check_overscan()
        if self.wrap and self.reference is not None:
            raise InputError("wrap is for a whole picture, and this is a tile of its reference")
        if self.size is not None and self.reference is not None:
            raise InputError("a size is for a whole picture; a tile of a reference has its master's scale")
        check_fractality(self.fractality)
        output_size(1, 1, self.scale)

    def _check_overscan(self) -> None:
        if self.overscan not in ("crop", "keep"):
            raise InputError(f"overscan is {self.overscan!r}; it must be crop or keep")
        if self.overscan == "crop":
            return
        if self.output_format != "exr":
            raise InputError(f"overscan is keep, and {self.output_format} has no windows: write an EXR")
        if self.wrap or self.size is not None or self.reference is not None:
            raise InputError(
                "overscan is keep; that goes with no wrap, no size but a scale, and no reference"
            )

    def for_picture(self, width: int, height: int) -> "UpscaleRequest":
        """The request for a source of that size: with the scale and the final size that follow from `size`.

        Raises InputError for a size that no scale reaches.
        """
        if self.size is None or self.final is not None:
            return self
        final = self.size.of_picture(width, height)
        scale = scale_for(final, width, height, self.scale)
        notices = size_notices(self.size, final, width, height, self.scale, scale)
        return replace(self, scale=scale, final=final, size_notices=notices)

    def _check_types(self) -> None:
        """InputError for what a type checker would have found, and for a Picture of bad numbers."""
        check_given("source", self.source)
        for name, picture in (("reference", self.reference), ("boost_mask", self.boost_mask)):
            if picture is not None:
                check_given(name, picture)
        if self.box is not None:
            check_type("tile_box", self.box, TileBox)
        check_type("export_options", self.export, ExportOptions)
        check_fields(self)

    @property
    def files(self) -> tuple[object, ...]:
        """The pictures that are read; those that are paths must not be overwritten."""
        return (self.source, self.reference, self.boost_mask, self.model)

    @property
    def expands(self) -> bool:
        """Whether light above SDR white is estimated into the result."""
        return self.hdr_boost > 1.0 and self.output_format in HDR_FORMATS

    @property
    def shows_both(self) -> bool:
        """Whether the file holds the SDR rendering too, the light before the expansion."""
        return self.output_format in DUAL_FORMATS

    @property
    def boost(self) -> float:
        """The multiplier that is used: 1 for formats that show the SDR rendering."""
        return self.hdr_boost if self.expands else 1.0

    @property
    def notices(self) -> tuple[str, ...]:
        """Notices of what in the request has no effect, or one that not every reader shows; one line each."""
        notices: tuple[str, ...] = ()
        if self.shows_both and not profile_named(self.export.profile).has_srgb_curve:
            notices = (
                f"a gain-map JPEG in {self.export.profile} has wrong HDR colours in readers by libultrahdr, "
                "such as Android's, which take its curve for sRGB's: choose display-p3 or srgb for those",
            )
        if self.hdr_boost == 1.0 or self.expands:
            return notices
        return (
            *notices,
            f"hdr_boost {self.hdr_boost:g} changes nothing: {self.output_format} shows the SDR rendering; "
            f"{', '.join(HDR_FORMATS)} keep light above white",
        )

    @property
    def settings(self) -> TileSettings:
        """The part of the request that the tiles need."""
        return TileSettings(self.scale, self.model, self.fractality)
