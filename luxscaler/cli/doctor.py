"""`luxscaler doctor`: what this installation has and can do, for people and for reports of bugs.

Each check stands alone: one that fails is a finding, and the others still answer. The exit status is 1 if
something that LuxScaler needs does not work; weights that are not fetched yet are no finding.
"""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from luxscaler import __version__
from luxscaler.cli.terminal import JsonOption, tell, write_event

Facts = dict[str, Any]
_PACKAGES = ("torch", "numpy", "safetensors", "pillow", "imagecodecs", "tifffile", "OpenEXR", "OpenImageIO")
_CLIENTS = ("typer", "rich", "httpx", "platformdirs")
_EXTRAS = ("rawpy", "pillow-heif", "ray", "cog", "fastapi", "uvicorn", "pydantic", "spandrel")
_SECRET = ("TOKEN", "PASSWORD", "SECRET", "KEY")
_SIDE = 32
"""Side in pixels of the picture that codecs are tried on: the smallest that all of them accept."""


class Finding(Exception):  # noqa: N818 - what a check finds, not an error of the program
    """Something that does not work; its text says what."""


def doctor(as_json: JsonOption = False) -> None:
    """Say what this installation has and can do: for reports of bugs."""
    facts, findings = examine(dict(os.environ))
    if as_json:
        write_event("result", **facts, findings=findings)
    else:
        for title, section in facts.items():
            tell(title)
            for name, value in section.items():
                tell(f"  {name:<15} {value}")
        for finding in findings:
            tell(f"does not work: {finding}")
        if not findings:
            tell("all of this works")
    if findings:
        raise typer.Exit(1)


def examine(environ: Mapping[str, str]) -> tuple[dict[str, Facts], list[str]]:
    """The facts of each section, and one line for everything that does not work."""
    sections: dict[str, Callable[[], Facts]] = {
        "versions": _versions,
        "machine": _machine,
        "device": _device,
        "kernels": _kernels,
        "codecs": _codecs,
        "weights": _weights,
        "folders": _folders,
        "settings": lambda: _settings(environ),
    }
    facts: dict[str, Facts] = {}
    findings: list[str] = []
    for title, look in sections.items():
        try:
            facts[title] = look()
        except Exception as error:  # noqa: BLE001, RUF100 - any failure is a finding
            facts[title] = {}
            findings.append(f"{title}: {type(error).__name__}: {error}")
            continue
        findings += [
            f"{title}, {name}: {value}" for name, value in facts[title].items() if isinstance(value, Finding)
        ]
        facts[title] = {
            name: f"failed: {value}" if isinstance(value, Finding) else value
            for name, value in facts[title].items()
        }
    return facts, findings


def _versions() -> Facts:
    facts: Facts = {"luxscaler": __version__, "python": platform.python_version()}
    return facts | {name: _version(name) for name in (*_PACKAGES, *_CLIENTS, *_EXTRAS)}


def _version(name: str) -> object:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed" if name in _EXTRAS else Finding("not installed")


def _machine() -> Facts:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores,
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        "locale": f"{sys.getfilesystemencoding()}, standard output {getattr(sys.stdout, 'encoding', None)}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _device() -> Facts:
    import torch  # noqa: PLC0415

    from luxscaler.upscaling.upscaler import resolve_device, resolve_precision  # noqa: PLC0415

    chosen = resolve_device("auto")
    facts: Facts = {
        "auto": f"{chosen.type}, {resolve_precision('auto', chosen)}",
        "threads": torch.get_num_threads(),
        "cuda": f"PyTorch built for {torch.version.cuda}" if torch.version.cuda else "PyTorch built without",
        "mps": torch.backends.mps.is_available(),
    }
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        facts[f"cuda:{number}"] = (
            f"{about.name}, {about.total_memory / 2**30:.0f} GiB, capability {about.major}.{about.minor}"
        )
    return facts


def _kernels() -> Facts:
    import torch  # noqa: PLC0415

    from luxscaler.inference.cpu.support import has_bf16, has_onednn  # noqa: PLC0415
    from luxscaler.inference.cuda.load import LEAST_CAPABILITY, PARTS, SWITCH  # noqa: PLC0415

    facts: Facts = {"onednn": has_onednn(), "cpu bf16": has_bf16()}
    for number in range(torch.cuda.device_count()):
        capability = torch.cuda.get_device_capability(number)
        if os.environ.get(SWITCH) == "0":
            facts[f"cuda:{number}"] = f"PyTorch's, as {SWITCH}=0 says"
        elif capability < LEAST_CAPABILITY:
            facts[f"cuda:{number}"] = f"PyTorch's: ours need compute capability {LEAST_CAPABILITY[0]}.0"
        else:
            from luxscaler.inference.cuda.trial import trial_error  # noqa: PLC0415

            for dtype, parts in PARTS.items():
                reason = trial_error(torch.device("cuda", number), parts)
                name = f"cuda:{number} {str(dtype).removeprefix('torch.')}"
                facts[name] = "ours" if reason is None else Finding(f"ours do not run: {reason}")
    return facts


def _codecs() -> Facts:
    """Whether each format can be written and read again, and whether decoding runs in child processes."""
    import numpy as np  # noqa: PLC0415

    from luxscaler.io.formats import FORMATS  # noqa: PLC0415
    from luxscaler.io.write import export  # noqa: PLC0415
    from luxscaler.isolation.pool import IS_AVAILABLE, read_picture_isolated  # noqa: PLC0415

    ramp = np.linspace(0.0, 1.0, 3 * _SIDE * _SIDE, dtype=np.float32).reshape(_SIDE, _SIDE, 3)
    facts: Facts = {}
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
        for name in FORMATS:
            path = Path(folder) / f"ramp.{name}"
            try:
                export(path, ramp, file_format=name)
                picture = read_picture_isolated(path)
            except Exception as error:  # noqa: BLE001, RUF100 - any failure is a finding
                facts[name] = Finding(f"{type(error).__name__}: {error}")
            else:
                shape = (picture.height, picture.width)
                facts[name] = (
                    "written and read" if shape == (_SIDE, _SIDE) else Finding(f"came back as {shape}")
                )
    facts["decoding"] = "in processes of their own" if IS_AVAILABLE else "in this process"
    return facts


def _weights() -> Facts:
    from luxscaler.weights.installed import list_weights, weights_folder  # noqa: PLC0415

    facts: Facts = {}
    for status in list_weights():
        damaged = status.state not in ("verified", "absent")
        facts[status.entry.name] = Finding(f"{status.state}: {status.path}") if damaged else status.state
    return {**facts, "folder": str(weights_folder())}


def _folders() -> Facts:
    from luxscaler.weights.installed import weights_folder  # noqa: PLC0415

    return {
        "weights": _room(weights_folder()),
        "temporary": _room(Path(tempfile.gettempdir())),
        "working": _room(Path.cwd()),
    }


def _room(folder: Path) -> object:
    near = folder
    while not near.exists() and near.parent != near:
        near = near.parent
    free = f"{shutil.disk_usage(near).free / 1e9:.1f} GB free"
    if near != folder:
        return f"{folder}: not made yet, {free}"
    return f"{folder}: {free}" + ("" if os.access(folder, os.W_OK) else ", not writable")


def _settings(environ: Mapping[str, str]) -> Facts:
    from luxscaler.cli.defaults import config_path  # noqa: PLC0415

    path = config_path(environ)
    state = "none" if path is None else f"{path}{'' if path.exists() else ' (not there)'}"
    names = sorted(name for name in environ if name.startswith("LUXSCALER_"))
    names += [name for name in ("NO_COLOR", "REPLICATE_API_TOKEN", "MODEL_VERSION") if name in environ]
    hidden = {name: any(word in name for word in _SECRET) for name in names}
    return {"configuration": state} | {
        name: "set" if hidden[name] else environ[name] or "(empty)" for name in names
    }
