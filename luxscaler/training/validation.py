"""Measures a network on the held-out pictures, and compares it with its base and a cubic enlargement.

The middle of each held-out picture is used, at most 512 pixels a side, with a small version that depends on
the seed alone, so that all validations of a training are comparable. The measure "forgetting" is PSNR on the
degradations that the base was trained on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from luxscaler.networks.build import Network, NetworkConfig
from luxscaler.training.batches import part_of
from luxscaler.training.degradation import PRESETS, Recipe
from luxscaler.training.degrade import degraded
from luxscaler.training.judge import Judge
from luxscaler.training.pictures import TrainingPicture
from luxscaler.training.seeds import generator
from luxscaler.training.similarity import colour_shift, ms_ssim, psnr, ssim
from luxscaler.weights.checkpoint import build_loaded

MAX_SIDE = 512
"""Largest side of a large picture that is validated."""
MEASURES = ("psnr", "ssim", "ms_ssim", "colour")
"""Measures of every picture; where there is a judge, its distance is one more."""
LEAST_GAIN_DB = 0.01
"""How much better in PSNR a network must be on the average to count as better."""
LEAST_NEARER = 0.01
"""For detail: by which share of the base's distance the judge must find it nearer on the average."""
MOST_LOST_DB = 0.5
"""For detail: the most PSNR it may lose for that, since invented detail can fool a judge."""
_WORST = {"psnr": 0.0, "ssim": 0.0, "ms_ssim": 0.0, "colour": 255.0, "judge": 1.0}
"""The measures of a result that is not finite; a network with such a result is never better."""


@dataclass(frozen=True)
class Question:
    """A held-out picture: what the network sees, and what it should make of it."""

    name: str
    small: Tensor
    """1×3×h×w code values in [0, 1], on the CPU."""
    large: Tensor
    """1×3×(scale·h)×(scale·w)."""
    original: Tensor | None
    """The small picture under the base's own degradations (forgetting); None where `small` is that."""


@dataclass(frozen=True)
class Scores:
    """Measures by picture."""

    by_picture: Mapping[str, Mapping[str, float]]

    def mean(self, measure: str) -> float:
        """The average over the pictures."""
        return fmean(values[measure] for values in self.by_picture.values())

    def means(self) -> dict[str, float]:
        """All averages."""
        first = next(iter(self.by_picture.values()))
        return {measure: self.mean(measure) for measure in first}

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "mean": self.means(),
            "pictures": {name: dict(each) for name, each in self.by_picture.items()},
        }


def questions(
    pictures: Sequence[TrainingPicture], recipe: Recipe, scale: int, unshuffle: int, seed: int
) -> list[Question]:
    """The held-out pictures as questions: middle, small version, original degradation."""
    return [_question(picture, recipe, scale, unshuffle, seed) for picture in pictures]


def _question(picture: TrainingPicture, recipe: Recipe, scale: int, unshuffle: int, seed: int) -> Question:
    unit = scale * unshuffle
    height, width = (min(side, MAX_SIDE) // unit * unit for side in (picture.height, picture.width))
    top = (picture.height - height) // 2 // unit * unit
    left = (picture.width - width) // 2 // unit * unit
    large = part_of(picture, top, left, height, width)
    place = (seed, "validation", picture.sha256)
    original = None
    if picture.small is not None:
        place_of_small = (each // scale for each in (top, left, height, width))
        small = part_of(picture.small, *place_of_small)
    else:
        small = degraded(large, recipe, scale, generator(*place))
    if picture.small is not None or recipe != PRESETS["real-esrgan"]:
        original = degraded(large, PRESETS["real-esrgan"], scale, generator(*place, "original"))
    return Question(picture.name, small, large, original)


@torch.inference_mode()
def scores_of(
    network: Network,
    asked: Sequence[Question],
    device: torch.device,
    keep: int = 0,
    judge: Judge | None = None,
) -> tuple[Scores, list[Tensor]]:
    """The scores of a network, float32, and its first `keep` pictures.

    "forgetting" is PSNR on the base's own degradations.
    """
    network = network.to(device)
    found: dict[str, dict[str, float]] = {}
    kept: list[Tensor] = []
    for question in asked:
        made = answer(network, question.small, device)
        if len(kept) < keep:
            kept.append(made)
        found[question.name] = _measures(made, question.large, judge)
        if question.original is not None:
            original = answer(network, question.original, device)
            is_finite = bool(torch.isfinite(original).all())
            found[question.name]["forgetting"] = psnr(original, question.large) if is_finite else 0.0
    return Scores(found), kept


def answer(network: Network, small: Tensor, device: torch.device) -> Tensor:
    """The network's result, 1×3×(scale·h)×(scale·w) float32 on the CPU, clamped as the upscaler clamps it."""
    made: Tensor = network(small.to(device))
    return made.float().clamp(0.0, 1.0).cpu()


def cubic(small: Tensor, large: Tensor) -> Tensor:
    """The small picture enlarged to the size of the large one by a cubic; N×3×H×W in [0, 1]."""
    size = (large.shape[2], large.shape[3])
    return F.interpolate(small, size, mode="bicubic", antialias=True).clamp(0.0, 1.0)


def cubic_scores(asked: Sequence[Question], judge: Judge | None = None) -> Scores:
    """The scores of a cubic enlargement."""
    return Scores({each.name: _measures(cubic(each.small, each.large), each.large, judge) for each in asked})


def network_of(config: NetworkConfig, state: Mapping[str, Tensor]) -> Network:
    """The network with this state dict, as it would be shipped. Raises WeightsError if they do not fit."""
    return build_loaded(config, state)


def is_better(scores: Scores, than: Scores, goal: str) -> bool:
    """Whether a network counts as better than its base.

    faithful: a higher PSNR, by at least LEAST_GAIN_DB. detailed: nearer to the true pictures for the judge,
    by at least LEAST_NEARER, without losing more than MOST_LOST_DB of PSNR.
    """
    made = [
        values.get(measure, 1.0)
        for values in scores.by_picture.values()
        for measure in ("psnr", "forgetting")
    ]
    if min(made) <= 0.0:  # a result that is not finite, or worthless
        return False
    gain = scores.mean("psnr") - than.mean("psnr")
    if goal == "detailed":
        return scores.mean("judge") <= (1 - LEAST_NEARER) * than.mean("judge") and gain >= -MOST_LOST_DB
    return gain >= LEAST_GAIN_DB


def rank(means: Mapping[str, float], goal: str) -> float:
    """The figure by which networks are compared, higher is better: minus the judge's distance, or PSNR."""
    return -means["judge"] if goal == "detailed" else means["psnr"]


def gain_text(means: Mapping[str, float], base: Mapping[str, float], goal: str) -> str:
    """How much better than its base a network is, in the measure that counts, e.g. "+0.31 dB"."""
    text = f"{means['psnr'] - base['psnr']:+.2f} dB"
    if goal == "detailed":
        nearer = 100 * (means["judge"] / base["judge"] - 1) if base["judge"] else 0.0
        return f"{nearer:+.1f} % of the judge's distance, {text}"
    return text


def _measures(made: Tensor, true: Tensor, judge: Judge | None) -> dict[str, float]:
    if not bool(torch.isfinite(made).all()):
        return {measure: _WORST[measure] for measure in (*MEASURES, *([] if judge is None else ["judge"]))}
    found = {
        "psnr": psnr(made, true),
        "ssim": ssim(made, true),
        "ms_ssim": float(ms_ssim(made, true)),
        "colour": colour_shift(made, true),
    }
    return found if judge is None else {**found, "judge": judge.distance(made, true)}
