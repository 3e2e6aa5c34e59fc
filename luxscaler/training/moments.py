"""The moments of an Adam optimiser as named tensors, so that a training's state on disk is plain data."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from luxscaler.weights.namings import StateDict

_KEYS = ("exp_avg", "exp_avg_sq")
"""Mean and mean square of the gradients, as torch.optim calls them."""


def moments_of(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], prefix: str = ""
) -> StateDict:
    """PREFIX exp_avg/NAME and PREFIX exp_avg_sq/NAME for each parameter; zeros before its first step."""
    found = {}
    for name, value in parameters.items():
        moments = optimiser.state.get(value) or {}
        for key in _KEYS:
            found[f"{prefix}{key}/{name}"] = moments.get(key, torch.zeros_like(value))
    return found


def restore_moments(
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
    updates: int,
    prefix: str = "",
) -> None:
    """Set the optimiser to the moments that `moments_of` returned after so many updates.

    They are copied to the devices of their parameters. Raises KeyError if one is missing.
    """
    optimiser.state.clear()
    if not updates:
        return
    for name, value in parameters.items():
        moments = {key: tensors[f"{prefix}{key}/{name}"].to(value.device).clone() for key in _KEYS}
        optimiser.state[value] = {"step": torch.tensor(float(updates)), **moments}
