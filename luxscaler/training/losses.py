"""What the network is asked to make small: errors of pixels, of structure, of colour; and for detail, more.

`--goal detailed` adds the feature loss and the adversary's objection with Real-ESRGAN's weights: pixels 1,
features 1, adversary 0.1. At the beginning the adversary only learns: before it knows anything, its
objections would be noise.
"""

from dataclasses import dataclass

from torch import Tensor

from luxscaler.training.adversary import Adversary
from luxscaler.training.features import FeatureLoss
from luxscaler.training.similarity import colour_difference, ms_ssim

STRUCTURE_WEIGHT = 0.1
COLOUR_WEIGHT = 0.5
FEATURE_WEIGHT = 1.0
ADVERSARY_WEIGHT = 0.1
_ALONE_SHARE, _MAX_ALONE = 0.1, 500


@dataclass(frozen=True)
class Detail:
    """What `--goal detailed` has beside the faithful losses."""

    features: FeatureLoss
    adversary: Adversary


def faithful(made: Tensor, true: Tensor) -> Tensor:
    """A scalar of two N×3×H×W float32 code values: mean absolute error, 0.1 · (1 − MS-SSIM), 0.5 · colour."""
    pixels = (made - true).abs().mean()
    structure = 1.0 - ms_ssim(made, true)
    return pixels + STRUCTURE_WEIGHT * structure + COLOUR_WEIGHT * colour_difference(made, true)


def losses(made: Tensor, true: Tensor, detail: Detail | None, weight: float) -> dict[str, Tensor]:
    """The scalars whose sum is the loss, by name. weight: of the adversary; 0: it is not asked."""
    found = {"faithful": faithful(made, true)}
    if detail is not None:
        found["features"] = FEATURE_WEIGHT * detail.features(made, true)
        if weight > 0.0:
            found["adversary"] = weight * detail.adversary.objection(made)
    return found


def adversary_weight(step: int, steps: int) -> float:
    """In the step with this number, from 0: none in the first tenth, at most 500 steps, then 0.1."""
    alone = max(1, min(_MAX_ALONE, round(_ALONE_SHARE * steps)))
    return 0.0 if step < alone else ADVERSARY_WEIGHT
