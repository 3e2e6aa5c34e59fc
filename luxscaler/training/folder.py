"""The folder `OUT.train`: what a training needs to go on, and its reports.

    settings.json           settings, base and pictures, to refuse another run's folder
    state.safetensors       the training's state, saved with every validation (state.py)
    interrupted.safetensors its state when it was stopped between validations
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
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    """Whether a folder is the `OUT.train` of a training."""
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
    """The error for a file that cannot be written; of a full disk it says what to do."""
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        reason += "; make room and go on with --resume"
    return TrainingError(f"cannot write {path}: {reason}")


@contextmanager
def locked(folder: Path, has_begun: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Make the folder and hold its lock during the block. Raises TrainingError if another process has it.

    has_begun: asked when the block raises; if False, what was not there before is removed, the folder too.
    """
    before = _names_in(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        _remove_new(folder, before)
        raise write_error(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise TrainingError(f"{folder} is in use by another training") from error
    try:
        yield
    except BaseException:
        if not has_begun():
            _remove_new(folder, before)
        raise
    finally:
        os.close(handle)


def _names_in(folder: Path) -> set[str] | None:
    """What is in a folder; None if there is no folder. Raises TrainingError for one that cannot be read."""
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrainingError(f"cannot read {folder}: {error.strerror}") from error


def _remove_new(folder: Path, before: set[str] | None) -> None:
    """Remove what is in the folder and was not before; the folder too if it was not there. Never raises."""
    if before is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError, TrainingError):
        for name in (_names_in(folder) or set()) - before:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


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
