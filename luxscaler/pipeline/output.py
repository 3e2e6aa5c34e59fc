"""The result's file, described once and checked before the work; sinks.py writes it.

EXR, TIFF and 16-bit PNG that are larger than WHOLE_PIXELS are written as the rows come; the other formats are
encoded as a whole, and so are small pictures. The rule is the same for every entry, so that all of them write
the same bytes.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

from luxscaler import __version__
from luxscaler.color import PQ_PEAK_CD_M2
from luxscaler.errors import ExportError
from luxscaler.hdr.expand import SDR_PEAK
from luxscaler.io.atomic import is_same, target_of, translated
from luxscaler.io.formats import DUAL_FORMATS, HDR_FORMATS, STREAM_FORMATS, check_pixels
from luxscaler.io.options import ExportOptions
from luxscaler.io.xmp import scaled_xmp
from luxscaler.picture import (
    HALF_MAX,
    NOTHING_INHERITED,
    REFERENCE_WHITE_CD_M2,
    ExrAttribute,
    Inherited,
    PictureSource,
)
from luxscaler.pipeline.request import DEFAULT_MAX_OUTPUT_PIXELS, UpscaleRequest
from luxscaler.tiling.plan import Plan
from luxscaler.tiling.reduction import Reduction
from luxscaler.tiling.strips import Strip

_PQ_FORMATS = ("png-pq", "avif", "jpg")
WHOLE_PIXELS = 4096 * 4096
"""Results up to this size are encoded from memory, 200 MB, whatever the format."""


class FileArguments(TypedDict):
    """Arguments of export, export_coded and open_stream."""

    file_format: str
    options: ExportOptions
    metadata: Mapping[str, str | float | int]
    resolution_dpi: tuple[float, float] | None
    exif: bytes | None


class LightArguments(TypedDict):
    """Further arguments of export and open_stream."""

    inherited: Inherited
    is_grey: bool
    is_associated: bool
    exr_attributes: tuple[ExrAttribute, ...]


@dataclass(frozen=True)
class OutputFile:
    """The file to be written."""

    path: Path
    width: int
    height: int
    has_alpha: bool
    file_format: str
    options: ExportOptions
    metadata: Mapping[str, str | float | int]
    resolution_dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    inherited: Inherited = NOTHING_INHERITED
    is_grey: bool = False
    is_associated: bool = False
    exr_attributes: tuple[ExrAttribute, ...] = ()

    @property
    def streams(self) -> bool:
        """Whether it is written as its rows come."""
        return self.file_format in STREAM_FORMATS and self.width * self.height > WHOLE_PIXELS

    @property
    def shows_both(self) -> bool:
        """Whether it holds the SDR rendering too, the light before the expansion."""
        return self.file_format in DUAL_FORMATS

    @property
    def file_arguments(self) -> FileArguments:
        """Keyword arguments of every writer, besides the pixels."""
        return {
            "file_format": self.file_format,
            "options": self.options,
            "metadata": self.metadata,
            "resolution_dpi": self.resolution_dpi,
            "exif": self.exif,
        }

    @property
    def light_arguments(self) -> LightArguments:
        """Further keyword arguments of the writers of float light."""
        return {
            "inherited": self.inherited,
            "is_grey": self.is_grey,
            "is_associated": self.is_associated,
            "exr_attributes": self.exr_attributes,
        }


def result_size(request: UpscaleRequest, cuts: Plan) -> tuple[int, int]:
    """(width, height) of the file in pixels."""
    return request.final or (cuts.output_width, cuts.output_height)


def reduction_of(request: UpscaleRequest, cuts: Plan, take: Callable[[Strip], None]) -> Reduction | None:
    """The Reduction of the plan's rows to the size that the request asks for; None where they have it.

    take: called with the strips of the smaller result.
    """
    size = result_size(request, cuts)
    if size == (cuts.output_width, cuts.output_height):
        return None
    return Reduction(
        (cuts.output_height, cuts.output_width),
        size[::-1],
        take,
        wrap=cuts.wrap,
        shows_both=request.shows_both,
    )


def output_file(
    path: str | os.PathLike[str],
    request: UpscaleRequest,
    cuts: Plan,
    *,
    has_alpha: bool,
    source: PictureSource,
    peak: float,
) -> OutputFile:
    """The file that the request asks for. source: the picture's. peak: the picture's white, linear."""
    width, height = result_size(request, cuts)
    inherited = source.inherited
    across, down = cuts.output_width / cuts.width, cuts.output_height / cuts.height
    return OutputFile(
        path=Path(path),
        width=width,
        height=height,
        has_alpha=has_alpha,
        file_format=request.output_format,
        options=replace(
            request.export,
            sdr_peak=max(peak, 1.0),
            estimated_range=request.expands,
            software=f"LuxScaler {__version__}",
        ),
        metadata=_metadata(request, cuts),
        resolution_dpi=(request.size and request.size.dpi) or source.resolution_dpi,
        exif=source.exif,
        inherited=replace(inherited, xmp=scaled_xmp(inherited.xmp, across, down)),
        # A checkpoint that is to change colours may give grey some.
        is_grey=source.is_grey and (request.self_reference or request.reference is not None),
        is_associated=source.has_light_apart,
        exr_attributes=source.exr_attributes,
    )


def _metadata(request: UpscaleRequest, cuts: Plan) -> dict[str, str | float | int]:
    """How the result was made, as the file says it."""
    metadata: dict[str, str | float | int] = {
        "model": Path(request.model).name,
        "scale": float(request.scale),
        "hdr_boost": float(request.hdr_boost),
        "fractality": float(request.fractality),
    }
    if request.boost_mask is not None and request.expands:
        metadata["boost_mask"] = "applied"
    if request.box is not None:
        metadata["tile_box"] = str(request.box)
    if request.final is not None:
        metadata["reduced_from"] = f"{cuts.output_width}x{cuts.output_height}"
    if cuts.wrap:
        metadata["wrap"] = str(cuts.wrap)
    if len(cuts) > 1:
        metadata |= {"tiles": len(cuts), "overlap": cuts.overlap}
    return metadata


def clipped_light(name: str, options: ExportOptions, peak: float) -> tuple[str, ...]:
    """A notice where the format `name` cannot hold the brightest light of a file. peak: 1.0 = SDR white."""
    if name == "exr" and options.exr_type == "half":
        most, of_what, instead = HALF_MAX, f"{HALF_MAX:,.0f}, the largest half float", "exr_type float"
    elif name in _PQ_FORMATS:
        most, of_what, instead = (
            PQ_PEAK_CD_M2 / REFERENCE_WHITE_CD_M2,
            f"{PQ_PEAK_CD_M2:,.0f} cd/m², the most that {name} holds",
            "exr",
        )
    elif name not in HDR_FORMATS and peak >= SDR_PEAK:
        return (
            f"{name} shows SDR: light above white, up to {peak:.3g}, is rolled off; "
            f"{', '.join(HDR_FORMATS)} keep it",
        )
    else:
        return ()
    if peak <= most:
        return ()
    return (f"light above {of_what}, is clipped: the brightest is {peak:,.0f}; {instead} keeps it",)


def check_path(path: Path, *others: object) -> None:
    """Raise ExportError for a path at which the result may not be written; call it before the work.

    Only a regular file may be replaced. others: further files that are read or written; none of them may be
    replaced, not through a link either. Values that are no paths are ignored.
    """
    with translated(path):
        target_of(path)
        for other in others:
            if isinstance(other, str | os.PathLike) and is_same(path, Path(other)):
                raise ExportError(f"cannot write {str(path)!r}: it is the same file as {os.fspath(other)!r}")
    if not path.parent.is_dir():
        raise ExportError(f"cannot write {str(path)!r}: the folder does not exist")
    if not os.access(path.parent, os.W_OK):
        raise ExportError(f"cannot write {str(path)!r}: the folder is not writable")


def check_output(output: OutputFile, *others: object) -> None:
    """Raise ExportError, before the work, for a file that cannot be written. others: as for `check_path`."""
    check_path(output.path, *others)
    check_pixels(output.file_format, output.width, output.height, DEFAULT_MAX_OUTPUT_PIXELS)
