"""What the network is asked to make small: errors of pixels, of structure and of colour."""

from torch import Tensor

from luxscaler.training.similarity import colour_difference, ms_ssim

STRUCTURE_WEIGHT = 0.1
COLOUR_WEIGHT = 0.5


def faithful(made: Tensor, true: Tensor) -> Tensor:
    """A scalar of two N×3×H×W float32 code values: mean absolute error, 0.1 · (1 − MS-SSIM), 0.5 · colour."""
    pixels = (made - true).abs().mean()
    structure = 1.0 - ms_ssim(made, true)
    return pixels + STRUCTURE_WEIGHT * structure + COLOUR_WEIGHT * colour_difference(made, true)
