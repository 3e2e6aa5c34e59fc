"""The losses: errors of pixels, structure and colour; for `--goal detailed` also features and an adversary.

The feature loss and the adversarial loss have Real-ESRGAN's weights: pixels 1, features 1, adversary 0.1. At
the beginning only the discriminator learns from the pictures, since an untrained one would add noise.
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
    """The networks behind the further losses of `--goal detailed`."""

    features: FeatureLoss
    adversary: Adversary


def faithful(made: Tensor, true: Tensor) -> Tensor:
    """A scalar of two N×3×H×W float32 code values: mean absolute error, 0.1 · (1 − MS-SSIM), 0.5 · colour."""
    pixels = (made - true).abs().mean()
    structure = 1.0 - ms_ssim(made, true)
    return pixels + STRUCTURE_WEIGHT * structure + COLOUR_WEIGHT * colour_difference(made, true)


def losses(made: Tensor, true: Tensor, detail: Detail | None, weight: float) -> dict[str, Tensor]:
    """The scalars whose sum is the loss, by name.

    made, true: N×3×H×W float32 code values. weight: of the adversarial loss, which 0 leaves out.
    """
    found = {"faithful": faithful(made, true)}
    if detail is not None:
        found["features"] = FEATURE_WEIGHT * detail.features(made, true)
        if weight > 0.0:
            found["adversary"] = weight * detail.adversary.generator_loss(made)
    return found


def adversary_weight(step: int, steps: int) -> float:
    """The weight of the adversarial loss in the step with this number, from 0.

    0 in the first tenth of the steps, at most 500 of them, then ADVERSARY_WEIGHT.
    """
    alone = max(1, min(_MAX_ALONE, round(_ALONE_SHARE * steps)))
    return 0.0 if step < alone else ADVERSARY_WEIGHT
