"""LuxScaler: pictures in, larger pictures with a higher dynamic range out.

    import luxscaler
    luxscaler.upscale("in.jpg", "out.exr", hdr_boost=4)

Names are imported when they are first used (PEP 562), so that importing the package costs nothing: PyTorch
takes seconds. What each of them does is documented in docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from luxscaler import errors

if TYPE_CHECKING:
    from luxscaler.api import expand, preview, read, upscale, write
    from luxscaler.backends.choice import BackendOptions
    from luxscaler.geometry import TileBox
    from luxscaler.io.options import ExportOptions
    from luxscaler.many import upscale_many
    from luxscaler.masters.batch import Outcome
    from luxscaler.model import Model, load_model
    from luxscaler.options import DecodeLimits, UpscalerOptions
    from luxscaler.picture import Picture
    from luxscaler.pipeline.final_size import FinalSize
    from luxscaler.pipeline.preview import Preview
    from luxscaler.pipeline.result import Progress, Result

__version__ = "0.1.0"

__all__ = [
    "BackendOptions",
    "DecodeLimits",
    "ExportOptions",
    "FinalSize",
    "Model",
    "Outcome",
    "Picture",
    "Preview",
    "Progress",
    "Result",
    "TileBox",
    "UpscalerOptions",
    "__version__",
    "errors",
    "expand",
    "load_model",
    "preview",
    "read",
    "upscale",
    "upscale_many",
    "write",
]

_HOMES = {
    "BackendOptions": "luxscaler.backends.choice",
    "DecodeLimits": "luxscaler.options",
    "ExportOptions": "luxscaler.io.options",
    "FinalSize": "luxscaler.pipeline.final_size",
    "Model": "luxscaler.model",
    "Outcome": "luxscaler.masters.batch",
    "Picture": "luxscaler.picture",
    "Preview": "luxscaler.pipeline.preview",
    "Progress": "luxscaler.pipeline.result",
    "Result": "luxscaler.pipeline.result",
    "TileBox": "luxscaler.geometry",
    "UpscalerOptions": "luxscaler.options",
    "expand": "luxscaler.api",
    "load_model": "luxscaler.model",
    "preview": "luxscaler.api",
    "read": "luxscaler.api",
    "upscale": "luxscaler.api",
    "upscale_many": "luxscaler.many",
    "write": "luxscaler.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'luxscaler' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
