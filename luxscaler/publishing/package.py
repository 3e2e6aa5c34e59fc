"""What is published for a file: the file itself, and what a training has written about it.

mine.safetensors             with mine.adapter.safetensors, and of mine.train/ the card as README.md, the
                             report, the log and the samples
trained.tar                  what a training in the container gives: the files in it
anything else                the file alone
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxscaler.errors import InputError
from luxscaler.training.archive import ArchiveLimits, is_tar, unpack
from luxscaler.training.folder import CARD, METRICS, REPORT, SAMPLES, adapter_path, folder_of

README = "README.md"
MODEL_SUFFIX = ".safetensors"
_LIMITS = ArchiveLimits(files=1000, bytes=8 * 2**30)
_MAX_HEADER = 100 * 2**20


@dataclass(frozen=True)
class Package:
    """Files that are published together."""

    name: str
    """What it is called, e.g. mine. Storage and folders get a folder of that name."""
    files: Mapping[str, Path]
    """Name at the destination, with / between parts → file on this machine."""
    facts: Mapping[str, str]
    """What the model's file says of itself, e.g. base and step; empty if there is no model."""


@contextmanager
def packaged(path: Path, name: str = "") -> Iterator[Package]:
    """The package of a file, for the time of the block. A tar is one by its content, whatever its name.

    name: of the package, if not the file's own. Raises InputError for a file that is absent or damaged.
    """
    if not path.is_file():
        raise InputError(f"FILE is {str(path)!r}, and there is no such file")
    if path.suffix == MODEL_SUFFIX:
        facts = facts_of(path)
        yield Package(name or path.stem, _of_model(path, facts), facts)
    elif is_tar(path):
        with tempfile.TemporaryDirectory(prefix="luxscaler-publish-") as folder:
            unpack(path, Path(folder), _LIMITS)
            yield _of_folder(name or path.stem, Path(folder))
    else:
        yield Package(name or path.stem, {path.name: path}, {})


def facts_of(model: Path) -> dict[str, str]:
    """The metadata in a .safetensors file. Raises InputError if the file is damaged."""
    try:
        size = model.stat().st_size
        with model.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 2 <= length <= min(_MAX_HEADER, size - 8) else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{str(model)!r} cannot be read as safetensors: {error}") from error
    if not isinstance(header, dict) or 8 + length + _data_bytes(header) != size:
        raise InputError(f"{str(model)!r} is damaged: its size is not what its header says")
    about = header.get("__metadata__")
    return {str(key): str(value) for key, value in about.items()} if isinstance(about, dict) else {}


def _data_bytes(header: Mapping[str, Any]) -> int:
    ends = [
        value["data_offsets"][1]
        for key, value in header.items()
        if key != "__metadata__" and isinstance(value, dict) and "data_offsets" in value
    ]
    return max((int(end) for end in ends), default=0)


def _of_model(model: Path, facts: Mapping[str, str]) -> dict[str, Path]:
    work, adapter = folder_of(model), adapter_path(model)
    files = {model.name: model}
    if facts.get("method") == "lora":  # else what is there is of an older training
        files[adapter.name] = adapter
    if (work / CARD).is_file():  # else the folder is of a training that gave no model
        files |= {README: work / CARD, REPORT: work / REPORT, METRICS: work / METRICS}
        files |= {f"{SAMPLES}/{path.name}": path for path in sorted((work / SAMPLES).glob("*.png"))}
    return {name: path for name, path in files.items() if path.is_file()}


def _of_folder(name: str, folder: Path) -> Package:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    models = [path for path in paths if path.suffix == MODEL_SUFFIX and ".adapter" not in path.suffixes]
    if not paths:
        raise InputError(f"the archive {name} holds no file")
    facts = facts_of(models[0]) if models else {}
    return Package(name, {path.relative_to(folder).as_posix(): path for path in paths}, facts)
