"""Small pictures with edges, a tiny network, and a training of a second or two, all from seeds."""

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from luxscaler.networks.build import build_network
from luxscaler.networks.efficientnet import EfficientNetLite0
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.networks.vgg import VGG, VGGConfig
from luxscaler.training import onlookers, steps
from luxscaler.training.features import FeatureLoss
from luxscaler.training.judge import Judge
from luxscaler.training.prepare import Events, Progress
from luxscaler.training.settings import TrainingSettings

SIDE = 80
"""Of the pictures, in pixels: a crop of 16 takes 64."""
RRDB = RRDBNetConfig(features=8, blocks=1, growth=4)
SRVGG = SRVGGConfig(features=8, convs=2)


def picture(seed: int, side: int = SIDE) -> Image.Image:
    """Smooth colours under stripes."""
    small = np.random.default_rng(seed).integers(0, 255, (7, 7, 3), np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC), float)
    y, x = np.mgrid[0:side, 0:side]
    stripes = 40 * np.sign(np.sin(0.15 * (seed % 3 + 1) * x + 0.1 * y))
    return Image.fromarray((smooth + stripes[..., None]).clip(0, 255).astype(np.uint8))


@cache
def _png(seed: int, side: int) -> bytes:
    file = io.BytesIO()
    picture(seed, side).save(file, "PNG")
    return file.getvalue()


def write_pictures(folder: Path, count: int, side: int = SIDE) -> Path:
    folder.mkdir(exist_ok=True)
    for seed in range(count):
        (folder / f"p{seed}.png").write_bytes(_png(seed, side))
    return folder


@cache
def _weights(config: RRDBNetConfig | SRVGGConfig) -> bytes:
    torch.manual_seed(7)
    return safetensors.torch.save(build_network(config).state_dict())


def write_base(path: Path, config: RRDBNetConfig | SRVGGConfig = RRDB) -> Path:
    path.write_bytes(_weights(config))
    torch.manual_seed(7)  # what a test draws after that is the same, whichever tests ran before
    return path


TINY_VGG = VGGConfig((1, 1, 1), (4, 4, 8))
TINY_ADVERSARY = 4
CPU = torch.device("cpu")


def tiny_features() -> FeatureLoss:
    """A feature loss by a small VGG with random weights."""
    torch.manual_seed(5)
    return FeatureLoss(TINY_VGG, VGG(TINY_VGG).state_dict(), CPU)


def random_judge() -> Judge:
    """A judge with random weights."""
    torch.manual_seed(6)
    return Judge(EfficientNetLite0().state_dict(), CPU)


@cache
def _onlookers() -> tuple[FeatureLoss, Judge]:
    return tiny_features(), random_judge()


def use_tiny_onlookers(replace: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let trainings find small networks of random weights instead of fetched ones."""
    features, judge = _onlookers()
    replace(onlookers, "is_there", lambda *_: True)
    replace(onlookers, "load_features", lambda *_: features)
    replace(onlookers, "load_judge", lambda *_: judge)
    replace(steps, "FEATURES", TINY_ADVERSARY)


def tiny_settings(base: Path, **changes: object) -> TrainingSettings:
    values: dict[str, object] = {
        "base": str(base),
        "method": "lora",
        "rank": 2,
        "steps": 6,
        "lr": 3e-2,
        "batch": 2,
        "crop": 16,
        "degradation": "clean",
        "every": 3,
        "device": "cpu",
        **changes,
    }
    return TrainingSettings(**values)  # type: ignore[arg-type]


@dataclass
class Listener:
    """Keeps what a training says; stops it after a step if asked."""

    stop_after: int | None = None
    said: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def events(self) -> Events:
        return Events(self.said.append, self._progress, self.stop)

    def _progress(self, progress: Progress) -> None:
        self.steps.append(progress.step)
        if progress.step == self.stop_after:
            self.stop.set()
