"""The adversary of a training: the discriminator, its optimiser, its state.

It learns on the same crops as the network: the true ones are to be called real, the network's are not. Loss
(vanilla GAN, by logits) and optimiser (Adam, 1e-4) are those of Real-ESRGAN.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.training.discriminator import Discriminator
from luxscaler.training.seeds import generator
from luxscaler.weights.namings import StateDict

RATE = 1e-4
BETAS = (0.9, 0.99)
MAX_NORM = 1.0
"""Gradients are scaled down to this norm."""
PREFIX = "adversary/"
"""Of its tensors in a state."""
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Adversary:
    """A discriminator that learns."""

    def __init__(self, seed: int, device: torch.device, features: int) -> None:
        """features: channels of the discriminator at full size."""
        self._device = device
        self._network = Discriminator(features, generator(seed, "adversary")).to(device)
        self._parameters = dict(self._network.named_parameters())
        self._optimiser = torch.optim.Adam(self._parameters.values(), lr=RATE, betas=BETAS, foreach=False)

    def objection(self, made: Tensor) -> Tensor:
        """The network's loss: how sure the adversary is that its pictures are made. A scalar."""
        self._network.requires_grad_(False)
        try:
            return F.softplus(-self._network(made)).mean()
        finally:
            self._network.requires_grad_(True)

    def gradients(self, made: Tensor, true: Tensor, share: float) -> float:
        """Add the gradients of its own loss on a part of a batch; the loss. made: detached."""
        loss = F.softplus(-self._network(true)).mean() + F.softplus(self._network(made)).mean()
        (share * loss).backward()  # type: ignore[no-untyped-call]
        return share * float(loss.detach())

    def norm(self) -> float:
        """Of its gradients, which are clipped."""
        return float(nn.utils.clip_grad_norm_(self._parameters.values(), MAX_NORM, foreach=False))

    def update(self, factor: float) -> None:
        """One step of its optimiser, at `factor` times its rate, and of its spectral norms."""
        for group in self._optimiser.param_groups:
            group["lr"] = RATE * factor
        self._optimiser.step()
        for layer in self._network.normed():
            layer.advance()

    def forget_gradients(self) -> None:
        """Free the gradients' memory."""
        self._optimiser.zero_grad(set_to_none=True)

    def tensors(self) -> StateDict:
        """All that changes, on the CPU, under names that begin with PREFIX."""
        found = {f"{PREFIX}now/{name}": value for name, value in self._network.state_dict().items()}
        for name, value in self._parameters.items():
            moments = self._optimiser.state.get(value) or {}
            for key in _MOMENTS:
                found[f"{PREFIX}{key}/{name}"] = moments.get(key, torch.zeros_like(value))
        return {name: value.detach().cpu().clone() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go back to what `tensors` gave after so many updates. Raises KeyError if one is missing."""
        self._optimiser.state.clear()
        with torch.no_grad():
            for name, value in self._network.state_dict().items():
                value.copy_(tensors[f"{PREFIX}now/{name}"])
        if updates:
            for name, value in self._parameters.items():
                self._optimiser.state[value] = {
                    "step": torch.tensor(float(updates)),
                    **{key: tensors[f"{PREFIX}{key}/{name}"].to(self._device).clone() for key in _MOMENTS},
                }
