"""The settings of a training, as one value that checks itself."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from luxscaler.errors import InputError
from luxscaler.networks.build import NetworkConfig
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.options import DEVICES

METHODS = ("lora", "full")
GOALS = ("faithful", "detailed")
FEATURES = ("auto", "vgg19", "vgg16-hed")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CHECKPOINTING = ("auto", "on", "off")
MAX_RANK = 128
MIN_CROP, MAX_CROP = 16, 256
MAX_BATCH = 256
FREE_TO_CHANGE = ("steps", "max_minutes", "tensorboard")
"""Settings that may be changed when a training is resumed."""

_FULL_LR = {"rrdbnet": 5e-5, "srvgg": 5e-4}
_LORA_LR = {"rrdbnet": 1e-3, "srvgg": 2e-3}


@dataclass(frozen=True)
class TrainingSettings:
    """A training's settings; None stands for "auto". Raises InputError for a value out of range."""

    base: str = "photo"
    """photo, anime, fast, or the path of a checkpoint."""
    method: str = "lora"
    rank: int = 8
    """Rank of every adapter; only for lora."""
    steps: int = 1000
    lr: float | None = None
    """Highest learning rate."""
    batch: int | None = None
    """Crops in a step."""
    crop: int = 48
    """Side of a crop in pixels of the small picture."""
    pairs: Path | None = None
    """A folder of small pictures with the names of the large ones; None: they are made by `degradation`."""
    degradation: str = "real-esrgan"
    """A preset's name, or the path of a JSON file."""
    goal: str = "faithful"
    """faithful: near to the true pixels; detailed: with features and an adversary, chosen by the judge."""
    features: str = "auto"
    """The network of the feature loss; only for detailed."""
    validate: float = 0.1
    """Share of the pictures that is held out."""
    every: int = 100
    """Steps from one validation, and one saved state, to the next."""
    patience: int = 0
    """Validations without a better one after which the training ends; 0: never."""
    precision: str = "auto"
    checkpointing: str = "auto"
    """Whether activations are computed again instead of kept: less memory, a third more time."""
    seed: int = 0
    max_minutes: float | None = None
    device: str = "auto"
    tensorboard: bool = False
    """Whether its figures and samples are written for TensorBoard too."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("method", self.method, METHODS),
            ("goal", self.goal, GOALS),
            ("features", self.features, FEATURES),
            ("precision", self.precision, PRECISIONS),
            ("checkpointing", self.checkpointing, CHECKPOINTING),
            ("device", self.device, DEVICES),
        ):
            if value not in allowed:
                raise InputError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
        if self.features != "auto" and self.goal != "detailed":
            raise InputError(f"features is {self.features!r}, which only the goal detailed uses")
        for name, number, low, high in (
            ("rank", self.rank, 1, MAX_RANK),
            ("steps", self.steps, 1, 10_000_000),
            ("batch", self.batch, 1, MAX_BATCH),
            ("crop", self.crop, MIN_CROP, MAX_CROP),
            ("every", self.every, 1, 10_000_000),
            ("patience", self.patience, 0, 10_000),
            ("seed", self.seed, 0, 2**63 - 1),
            ("validate", self.validate, 0.01, 0.5),
            ("lr", self.lr, 1e-8, 0.1),
            ("max_minutes", self.max_minutes, 0.01, 100_000),
        ):
            if number is not None and not (math.isfinite(number) and low <= number <= high):
                raise InputError(f"{name} is {number}; it must be from {low} to {high}")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON types."""
        values = asdict(self)
        values["pairs"] = None if self.pairs is None else str(self.pairs)
        return values

    def learning_rate(self, config: NetworkConfig) -> float:
        """The highest learning rate: the one that was chosen, or one that suits method and network."""
        if self.lr is not None:
            return self.lr
        kind = "rrdbnet" if isinstance(config, RRDBNetConfig) else "srvgg"
        return (_LORA_LR if self.method == "lora" else _FULL_LR)[kind]

    def batch_size(self, device: str) -> int:
        """Crops in a step: the number that was chosen, or one that suits the device."""
        return self.batch or (16 if device == "cuda" else 4)
