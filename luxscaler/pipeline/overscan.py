"""`overscan: keep`: a request for an EXR's data window, whose result has both windows of its source."""

from dataclasses import replace
from pathlib import Path

from luxscaler.errors import InputError, PictureError
from luxscaler.io.exr.overscan import opened_up
from luxscaler.picture import Picture
from luxscaler.pipeline.request import UpscaleRequest


def with_overscan(request: UpscaleRequest) -> UpscaleRequest:
    """The request as it is, or, for `overscan: keep`, the same for the data window, its file in memory.

    Raises InputError for a source without windows, and for a scale at which they are not whole pixels.
    """
    source = request.source
    if request.overscan == "crop":
        return request
    if isinstance(source, Picture):
        raise InputError("overscan is keep; it is of an EXR file, and IN is a picture in memory")
    name = "the data" if isinstance(source, bytes) else Path(source).name
    try:
        data, windows = opened_up(source if isinstance(source, bytes) else Path(source).read_bytes())
    except OSError as error:
        raise PictureError(f"{str(source)!r} cannot be opened: {error.strerror}") from error
    except PictureError as error:
        raise PictureError(f"{name} {error}") from error
    export = replace(request.export, exr_windows=windows.scaled(request.scale))
    return replace(request, source=data, overscan="crop", export=export)
