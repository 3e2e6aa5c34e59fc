"""Reads a PyTorch checkpoint by PyTorch's own restricted unpickler, which runs no code from the file.

Training code leaves settings beside the weights: `argparse.Namespace`, paths, NumPy's numbers, the containers
of Lightning and OmegaConf. These classes are replaced by empty stand-ins; any other class is refused.
"""

import io
import pickle
import re
import threading
import zipfile
from typing import Any, Self

import torch
from torch.serialization import safe_globals

from luxscaler.errors import WeightsError, one_line
from luxscaler.words import printable

MAX_CONTENT_BYTES = 2 * 1024**3
"""Most bytes that an archive holds when it is unpacked; PyTorch itself does not compress."""
ZIP_HEAD = b"PK\x03\x04"
_reading = threading.Lock()
"""The classes that PyTorch accepts are one list of the process."""
_NAMED = re.compile(r"GLOBAL (\S+)")
_HEADS = (
    (re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE), "a web page"),
    (re.compile(rb"version https://git-lfs"), "the pointer of Git LFS to a file"),
    (re.compile(rb"\x1f\x8b|7z\xbc\xaf|Rar!"), "a packed archive, which has to be unpacked"),
)


class Inert:
    """Stands in for an object that is not needed; it holds nothing."""

    def __new__(cls, *_arguments: object, **_options: object) -> Self:
        """Accept the arguments of any class."""
        return super().__new__(cls)

    def __setstate__(self, _state: object) -> None:
        """Ignore the state."""


class _Items:
    """Makes a plain dict in place of a class derived from dict."""

    def __new__(cls, *_arguments: object) -> Any:
        return {}


_OBJECTS = (
    *("argparse.Namespace", "types.SimpleNamespace", "typing.Any", "builtins.dict", "builtins.list"),
    *("builtins.int", "builtins.float", "builtins.str", "builtins.tuple", "builtins.bool"),
    *(f"{module}.{kind}Path" for module in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows")),
    *(f"pathlib.{kind}" for kind in ("Path", "PurePath", "PurePosixPath", "PureWindowsPath")),
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *("numpy.dtype", "numpy.ndarray", "datetime.datetime", "datetime.timedelta", "uuid.UUID"),
    *("omegaconf.dictconfig.DictConfig", "omegaconf.listconfig.ListConfig"),
    *(f"omegaconf.base.{name}" for name in ("Metadata", "ContainerMetadata")),
    *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Boolean", "Float", "Integer", "String", "Path")),
)
_DICTS = (
    "collections.defaultdict",
    *(
        f"{package}.utilities.parsing.AttributeDict"
        for package in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric")
    ),
)
_STAND_INS: list[Any] = [*((Inert, name) for name in _OBJECTS), *((_Items, name) for name in _DICTS)]


def read_pickle(data: bytes) -> Any:
    """The content of a .pth file, tensors on the CPU; nothing in it is executed. Raises `WeightsError`."""
    check_is_weights(data)
    _check_content(data)
    try:
        with _reading, safe_globals(_STAND_INS):
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Not torch's own message, which suggests loading the file unsafely.
        found = _NAMED.search(str(error))
        what = f" ({printable(one_line(found[1]))})" if found else ""
        raise WeightsError(
            f"not a checkpoint of tensors only: it is damaged, or asks to run code{what}, which is never done"
        ) from error
    except Exception as error:  # damaged bytes raise anything: struct.error, KeyError, RuntimeError, …
        if "TorchScript" in str(error):
            raise WeightsError(
                "a TorchScript program, not a checkpoint: it is code, which is never run"
            ) from error
        raise WeightsError(
            f"not a readable PyTorch checkpoint: {type(error).__name__}: {_said(error)}"
        ) from error


def check_is_weights(data: bytes) -> None:
    """Raise `WeightsError` for files that are often saved by mistake instead of a model, such as a web
    page."""
    for head, what in _HEADS:
        if head.match(data):
            raise WeightsError(f"not a checkpoint: the file is {what}")


def _check_content(data: bytes) -> None:
    """Raise `WeightsError` for an archive that unpacks to more than MAX_CONTENT_BYTES, or is cut off."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # the older format, or damaged, which PyTorch says
        if data.startswith(ZIP_HEAD) and not zipfile.is_zipfile(io.BytesIO(data)):
            raise WeightsError("the file ends too early: it was not copied or fetched in full") from error
        return
    if size > MAX_CONTENT_BYTES:
        raise WeightsError(f"its content has {size:,} bytes, more than {MAX_CONTENT_BYTES:,}")


def _said(error: BaseException) -> str:
    """PyTorch's sentence, without what it advises."""
    return one_line(str(error)).partition(". This is an internal")[0]
