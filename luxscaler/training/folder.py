"""The folder `OUT.train`, in which a training keeps what it needs to go on.

    settings.json           settings, base and pictures, to refuse another run's folder
    state.safetensors       where the training is, saved with every validation (state.py)
    interrupted.safetensors the same, saved when it was stopped in between
    pictures/               decoded pictures; made again if absent
    metrics.jsonl           a line a step and a validation
    samples/                a sheet of pictures for every validation
    report.html             the report page

Files are written beside their target, synced and renamed: after a crash each is the old one or the new one.
"""

import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from luxscaler.errors import TrainingError

REPORT, CARD, METRICS, SAMPLES = "report.html", "card.md", "metrics.jsonl", "samples"
_SUFFIX, _LOCK = ".train", ".lock"


def adapter_path(target: Path) -> Path:
    """OUT.safetensors → OUT.adapter.safetensors."""
    return target.with_name(f"{target.stem}.adapter.safetensors")


def folder_of(target: Path) -> Path:
    """OUT.safetensors → OUT.train beside it."""
    return target.with_suffix(_SUFFIX)


def is_training(folder: Path) -> bool:
    """Whether a folder is that of a training."""
    return folder.suffix == _SUFFIX and (folder / _LOCK).exists()


def write_synced(path: Path, data: bytes) -> None:
    """Replace a file's content, whole or not at all, even at a power cut. Raises TrainingError."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise write_error(path, error) from error


def write_error(path: Path, error: OSError) -> TrainingError:
    """The error for a file that cannot be written; a full disk is named with what to do."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        reason += "; make room and go on with --resume"
    return TrainingError(f"cannot write {path}: {reason}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder and keep other processes out of it. Raises TrainingError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise TrainingError(f"{folder} is in use by another training") from error
    try:
        yield
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Delete unfinished files that a killed process left."""
    for path in (*folder.glob(".*.partial"), *folder.glob("*/.*.partial")):
        path.unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a JSON file; None if there is no file. Raises TrainingError if it is damaged."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} is damaged; remove {path.parent} to begin again") from error
    if not isinstance(content, dict):
        raise TrainingError(f"{path} is damaged; remove {path.parent} to begin again")
    return content


def json_bytes(content: object) -> bytes:
    """JSON for people: indented, sorted."""
    return (json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
