"""The command of a job on this machine: options from the job's inputs, environment, files."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from luxscaler.console.job import Job, result_name
from luxscaler.console.local import upscaling
from luxscaler.console.master_checks import wrong_input, wrong_type
from luxscaler.console.master_inputs import DEFAULT_FORMATS, LOCAL_INPUTS, NUMBER, TEXT, WHOLE
from luxscaler.console.models import MODEL
from luxscaler.console.provider_settings import ProviderSettings
from luxscaler.io.formats import suffix_of
from luxscaler.private_files import write_private

_ADAPTER = "model.adapter.safetensors"
REPORT = "report.html"
"""The compare page of an upscaled picture; of a training its report."""
WORK = "model.train"
"""The folder in which `luxscaler train` keeps what it needs to go on."""
_TRAINING: dict[str, tuple[str, tuple[type, ...]]] = {
    "base": ("--base", TEXT),
    "method": ("--method", TEXT),
    "rank": ("--rank", WHOLE),
    "steps": ("--steps", WHOLE),
    "learning_rate": ("--lr", NUMBER),
    "batch": ("--batch", WHOLE),
    "crop": ("--crop", WHOLE),
    "goal": ("--goal", TEXT),
    "degradation": ("--degradation", TEXT),
    "validate": ("--validate", NUMBER),
    "every": ("--every", WHOLE),
    "patience": ("--patience", WHOLE),
    "seed": ("--seed", WHOLE),
    "precision": ("--precision", TEXT),
    "device": ("--device", TEXT),
}
"""Of a training: each input, the option that it is, and its types."""
_AUTOMATIC_AT_ZERO = ("learning_rate", "batch")
_PATHS = {"base", "model", "degradation"}
"""Inputs that may name a file."""
_INPUTS = "inputs.json"
_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")


@dataclass(frozen=True)
class LocalCommand:
    """The command for a job, to be run in a folder of its own."""

    arguments: list[str]
    files: dict[str, Path]
    """Name of a result to where the command writes it; a missing file is no error."""


def check_inputs(kind: str, inputs: Mapping[str, Any], folders: tuple[Path, ...]) -> None:
    """Check names and types of a job's inputs; the command checks ranges. Raises Problem (422)."""
    known = LOCAL_INPUTS if kind == "master" else {name: types for name, (_, types) in _TRAINING.items()}
    for name, value in inputs.items():
        if name not in known:
            _refuse(f"unknown {name[:80]!r}; on this machine a {kind} has {', '.join(known)}")
        if reason := wrong_type(name, value, known[name]):
            _refuse(reason)
        if isinstance(value, str) and ("\0" in value or value.startswith("-")):
            _refuse(f"{name} cannot be {value[:80]!r}")
        if name in _PATHS and _is_path(str(value)):
            _check_path(name, str(value), folders)


def training_command(job: Job, source: Path, folder: Path) -> LocalCommand:
    """`luxscaler train` in a folder, which resumes what was begun there."""
    resumed = ["--resume"] if (folder / WORK / "settings.json").is_file() else []
    minutes = f"--max-minutes={job.max_seconds / 60:g}"
    options = [*_flags(job.call["input"]), minutes, "--fetch", *resumed]
    files = {
        MODEL: folder / MODEL,
        "adapter.safetensors": folder / _ADAPTER,
        REPORT: folder / WORK / "report.html",
        "README.md": folder / WORK / "card.md",
    }
    return LocalCommand(_luxscaler("train", source, folder / MODEL, *options), files)


def master_command(job: Job, source: Path, folder: Path, model: Path | None) -> LocalCommand:
    """The upscaling of one picture, with its compare page, in a folder.

    model: the file of a trained network, instead of the one that the inputs name.
    """
    form = str(job.call["input"].get("output_format", DEFAULT_FORMATS["here"]))
    target = folder / f"output{suffix_of(form)}"
    inputs = {"output_format": form, **job.call["input"]}
    # The files have names of the console's own.
    inputs["title"] = f"\u2068{job.name}\u2069 → \u2068{result_name(job.name, target.suffix)}\u2069"
    if model is not None:
        inputs["model"] = str(model)
    report = folder / REPORT
    files = {target.name: target, REPORT: report}
    return LocalCommand(_upscaling(source, target, report, inputs), files)


def environment(settings: ProviderSettings) -> dict[str, str]:
    """The environment of a command: this process's without its secrets, with the proxy and certificates."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not any(word in name.upper() for word in _SECRET_WORDS)
    }
    if settings.proxy_url:
        kept |= {"HTTPS_PROXY": settings.proxy_url, "HTTP_PROXY": settings.proxy_url}
    if settings.ssl_ca_bundle:
        kept["SSL_CERT_FILE"] = settings.ssl_ca_bundle
    return kept


def _luxscaler(command: str, source: Path, target: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "luxscaler.cli.main", command, str(source), str(target), *options]


def _upscaling(source: Path, target: Path, report: Path, inputs: Mapping[str, Any]) -> list[str]:
    """The command line of `upscaling.py`, after writing the inputs into a file. Raises OSError.

    Every user of a machine sees its command lines, and the address of a container may hold a password.
    """
    given = target.with_name(_INPUTS)
    write_private(given, json.dumps(dict(inputs)))
    return [sys.executable, "-m", upscaling.__name__, str(source), str(target), str(report), str(given)]


def _flags(inputs: Mapping[str, Any]) -> list[str]:
    flags = []
    for name, value in inputs.items():
        option = _TRAINING[name][0]
        if isinstance(value, bool):
            flags += [option] if value else []
        elif name in _AUTOMATIC_AT_ZERO and not value:
            flags.append(f"{option}=auto")
        else:
            flags.append(f"{option}={value}")
    return flags


def _is_path(value: str) -> bool:
    return "/" in value or value.endswith((".safetensors", ".pth", ".json"))


def _check_path(name: str, value: str, folders: tuple[Path, ...]) -> None:
    """Raise Problem (422) unless the value is a file inside one of the folders."""
    parts = value.split("+") if name == "model" else [value]
    for part in filter(_is_path, parts):
        path = Path(os.path.realpath(part))
        if not any(path.is_relative_to(os.path.realpath(folder)) for folder in folders):
            _refuse(f"{name} {part[:200]!r} is not inside {', '.join(map(str, folders))} (--folder)")
        if not path.is_file():
            _refuse(f"{name}: there is no file {part[:200]!r}")


def _refuse(reason: str) -> NoReturn:
    raise wrong_input(reason, (*LOCAL_INPUTS, *_TRAINING))
