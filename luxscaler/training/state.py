"""The state of a training as one file: parameters, moving average, moments, best network, history.

A file is safetensors: tensors by name and JSON in its metadata; nothing in it is executed. It is written
whole or not at all, so a training that is killed at any moment can resume from the last one.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from luxscaler.errors import TrainingError
from luxscaler.training.folder import write_synced
from luxscaler.training.learner import Means
from luxscaler.training.loss_scale import LossScale
from luxscaler.weights.checkpoint import safetensors_bytes, safetensors_metadata
from luxscaler.weights.namings import StateDict

STATE, INTERRUPTED = "state.safetensors", "interrupted.safetensors"
_BEST = "best/"


@dataclass(frozen=True)
class Position:
    """The numbers of a training's state; tensors are in `State`."""

    step: int = 0
    """Steps done."""
    updates: int = 0
    """Steps that changed the network: one with a loss that is not finite changes nothing."""
    strikes: int = 0
    """Steps in a row whose loss or gradients were not finite."""
    rolled_back: bool = False
    """Whether it went back once, to half the learning rate."""
    means: Means = field(default_factory=Means)
    crop: int = 48
    """Side of a crop in force; smaller than the one asked for where memory ran out."""
    best_step: int | None = None
    """Step of the best validated network; None if none was better than the base."""
    history: tuple[dict[str, Any], ...] = ()
    """One entry a validation."""
    scale: LossScale = field(default_factory=LossScale)
    """The loss's factor in float16."""

    @property
    def since_best(self) -> int:
        """Validations since the best one, or since the beginning."""
        return sum(entry["step"] > (self.best_step or 0) for entry in self.history)

    @property
    def best_entry(self) -> dict[str, Any] | None:
        """The validation at `best_step`; None if there is none."""
        return next((entry for entry in self.history if entry["step"] == self.best_step), None)

    @property
    def is_validated(self) -> bool:
        """Whether the last validation was at this step."""
        return bool(self.history) and self.history[-1]["step"] == self.step


@dataclass
class State:
    """Numbers and tensors."""

    position: Position
    tensors: StateDict
    """The result of `Learner.tensors`."""
    best: StateDict = field(default_factory=dict)
    """The moving average at `best_step`; empty if there is none."""


def save(folder: Path, state: State, name: str = STATE) -> None:
    """Write a state; the old one stays valid until the new one is on disk. Raises TrainingError."""
    best = {f"{_BEST}{key}": value for key, value in state.best.items()}
    arrays = {key: value.numpy() for key, value in {**state.tensors, **best}.items()}
    write_synced(folder / name, safetensors_bytes(arrays, {"position": json.dumps(asdict(state.position))}))
    if name == STATE:
        (folder / INTERRUPTED).unlink(missing_ok=True)


def has_state(folder: Path) -> bool:
    """Whether there is a state from which a training can go on."""
    return any((folder / name).is_file() for name in (STATE, INTERRUPTED))


def load_latest(folder: Path) -> State | None:
    """The state of the latest step; None if there is none. Raises TrainingError if a file is damaged."""
    found = [load(folder / name) for name in (STATE, INTERRUPTED) if (folder / name).is_file()]
    return max(found, key=lambda state: state.position.step, default=None)


def load(path: Path) -> State:
    """The state in a file. Raises TrainingError if it cannot be read or is damaged."""
    try:
        data = path.read_bytes()
        tensors: Mapping[str, Tensor] = safetensors.torch.load(data)
        values = json.loads(safetensors_metadata(data)["position"])
        values.update(means=Means(**values["means"]), history=tuple(values["history"]))
        values.update(scale=LossScale(**values.get("scale", {})))
        position = Position(**values)
    except Exception as error:  # damaged bytes raise anything
        raise TrainingError(f"{path} is damaged; remove {path.parent} to begin again") from error
    best = {key.removeprefix(_BEST): value for key, value in tensors.items() if key.startswith(_BEST)}
    return State(position, {key: value for key, value in tensors.items() if not key.startswith(_BEST)}, best)
