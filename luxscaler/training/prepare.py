"""Checks and loads everything before the first step: settings, base, folder, pictures."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from luxscaler.errors import InputError, StoppedError, TrainingError
from luxscaler.networks.foreign import ForeignConfig
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.training.degradation import Recipe, recipe_of
from luxscaler.training.folder import (
    folder_of,
    json_bytes,
    locked,
    read_json,
    remove_leftovers,
    write_synced,
)
from luxscaler.training.onlookers import Onlookers, choose
from luxscaler.training.pairs import pair_up
from luxscaler.training.pictures import PictureSet, split, survey
from luxscaler.training.settings import FREE_TO_CHANGE, TrainingSettings
from luxscaler.training.state import State, has_state, load_latest
from luxscaler.training.tensorboard import check_tensorboard
from luxscaler.upscaling.upscaler import resolve_device, resolve_precision
from luxscaler.weights.store import LoadedNetwork, load_network
from luxscaler.words import counted

SETTINGS = "settings.json"
_NOBODY: dict[str, str | None] = {"features": None, "judge": None}


@dataclass(frozen=True)
class Progress:
    """How far a training is, after a step."""

    step: int
    steps: int
    loss: float
    psnr: float | None
    """dB of the latest validation, on the average."""
    seconds_left: float | None


@dataclass(frozen=True)
class Events:
    """How a training reports, and how it is stopped."""

    say: Callable[[str], None]
    """Called with each line for the user."""
    progress: Callable[[Progress], None]
    stop: threading.Event
    """Once it is set, the training saves its state and ends with StoppedError."""


@dataclass(frozen=True)
class Prepared:
    """Everything that a training works with, checked and loaded."""

    settings: TrainingSettings
    target: Path
    folder: Path
    base: LoadedNetwork
    recipe: Recipe
    pictures: PictureSet
    device: torch.device
    precision: str
    """fp32, bf16 or fp16."""
    onlookers: Onlookers
    state: State | None
    """The state from which it resumes; None for a new training."""


@contextmanager
def prepared(
    settings: TrainingSettings, folder: Path, target: Path, events: Events, *, resume: bool
) -> Iterator[Prepared]:
    """Check everything and decode the pictures; the training's folder stays locked during the block.

    Raises InputError, WeightsError and TrainingError, each with the first thing that is wrong. If the block
    or this raises before a first state is saved, nothing of a new training is left in the folder.
    """
    recipe = recipe_of(settings.degradation)
    check_target(target)
    if settings.tensorboard:
        check_tensorboard()
    device = resolve_device(settings.device)
    precision = _precision(settings.precision, device)
    base = load_network(settings.base)
    _check_base(base, settings, target)
    work = folder_of(target)
    _check_resume(work, target, resume=resume)
    with locked(work, lambda: resume or has_state(work)):
        remove_leftovers(work)
        state = load_latest(work) if resume else None
        chosen = _chosen(settings, base, recipe)
        before = read_json(work / SETTINGS) if resume else None
        if before is not None:
            _check_same(before, chosen, work)
        if state is not None and state.position.step > settings.steps:
            raise TrainingError(
                f"steps is {settings.steps}, and {state.position.step} are done in {work}: give no fewer"
            )
        pictures = _pictures(settings, folder, work, base, events)
        if before is not None:
            _check_same_pictures(before["pictures"], pictures.digests)
        used = None if before is None else before.get("onlookers", _NOBODY)
        onlookers = choose(settings, used, device, events.say)
        (work / "samples").mkdir(exist_ok=True)
        content = {**chosen, "pictures": pictures.digests, "onlookers": dict(onlookers.used)}
        write_synced(work / SETTINGS, json_bytes(content))
        yield Prepared(settings, target, work, base, recipe, pictures, device, precision, onlookers, state)


def check_target(target: Path) -> None:
    """Raise InputError unless a .safetensors file of that name can be written."""
    if target.suffix != ".safetensors":
        raise InputError(f"OUT is {str(target)!r}; its suffix must be .safetensors")
    if not target.parent.is_dir():
        raise InputError(f"OUT is {str(target)!r}, and there is no folder {str(target.parent)!r}")
    if target.is_dir():
        raise InputError(f"OUT is {str(target)!r}, which is a folder")


def _precision(name: str, device: torch.device) -> str:
    """The precision that a name, or "auto", stands for. Raises InputError if the device does not support
    it."""
    if name == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if name == "fp16" and device.type != "cuda":
        raise InputError(f"precision is 'fp16', which trains on CUDA only; {device.type} takes fp32 or bf16")
    return resolve_precision(name, device)


def _check_base(base: LoadedNetwork, settings: TrainingSettings, target: Path) -> None:
    config = base.config
    if isinstance(config, ForeignConfig):
        raise InputError(
            f"base {settings.base!r} is {config.architecture}; only ESRGAN and Compact are trained"
        )
    if isinstance(config, RRDBNetConfig) and config.plus:
        raise InputError(f"base {settings.base!r} is an ESRGAN+, which is not trained")
    if (config.in_channels, config.out_channels) != (3, 3):
        raise InputError(
            f"base {settings.base!r} has {config.in_channels} and {config.out_channels} channels; RGB has 3"
        )
    if settings.crop % config.unshuffle:
        raise InputError(
            f"crop is {settings.crop}; for this base it must be a multiple of {config.unshuffle}"
        )
    if Path(settings.base).exists() and target.exists() and target.samefile(settings.base):
        raise InputError(f"OUT is {str(target)!r}, which is the base: give it another name")


def _check_resume(work: Path, target: Path, *, resume: bool) -> None:
    begun = (work / SETTINGS).is_file()
    if begun and not resume:
        raise TrainingError(
            f"{work} holds a training that was begun: go on with --resume, or remove that folder"
        )
    if resume and not begun:
        raise TrainingError(f"there is nothing to resume: {work} holds no training of {target.name}")


def _chosen(settings: TrainingSettings, base: LoadedNetwork, recipe: Recipe) -> dict[str, Any]:
    return {
        "settings": settings.to_json(),
        "base_sha256": base.digest,
        "recipe": _as_json(asdict(recipe)),
    }


def _as_json(value: Any) -> Any:
    """Tuples as lists, which is what reading JSON returns."""
    if isinstance(value, dict):
        return {key: _as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    return value


def _check_same(before: dict[str, Any], now: dict[str, Any], work: Path) -> None:
    defaults = TrainingSettings().to_json()
    for name, value in now["settings"].items():
        old = before["settings"].get(name, defaults[name])
        if name not in FREE_TO_CHANGE and old != value:
            raise TrainingError(
                f"{work} was begun with {name} {old}, and now it is {value}: they must be equal"
            )
    for name, what in (("base_sha256", "the base's weights"), ("recipe", "the degradation's recipe")):
        if before[name] != now[name]:
            raise TrainingError(f"{work} was begun with other contents of {what}: they must be equal")


def _check_same_pictures(before: dict[str, str], now: dict[str, str]) -> None:
    for what, names in (
        ("is gone or no longer good", sorted(before.keys() - now.keys())),
        ("is new", sorted(now.keys() - before.keys())),
        ("has changed", sorted(name for name in before if now.get(name) not in {None, before[name]})),
    ):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise TrainingError(
                f"{names[0]}{more} {what} since the training was begun: pictures must stay as they were"
            )


def _pictures(
    settings: TrainingSettings, folder: Path, work: Path, base: LoadedNetwork, events: Events
) -> PictureSet:
    def tell(done: int, total: int) -> None:
        if events.stop.is_set():
            raise StoppedError(f"stopped while reading pictures ({done} of {total}); nothing was learned yet")

    store = work / "pictures"
    good, rejected = survey(folder, store, least_side=settings.crop * base.scale, tell=tell)
    if settings.pairs is not None:
        good, wrong = pair_up(good, settings.pairs, store, base.scale)
        rejected = [*rejected, *wrong]
    for each in rejected:
        events.say(f"not used: {each.name}: {each.reason}")
    parts = split(good, rejected, settings.validate, settings.seed)
    if not parts.is_fair:
        events.say(
            "the pictures show the same or parts of the same, the held-out ones too: "
            "the figures will be too good"
        )
    elif parts.alike:
        events.say(
            f"{counted(parts.alike, 'picture')} show the same as others or parts of the same: "
            "such pictures are held out together"
        )
    return parts
