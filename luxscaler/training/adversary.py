"""The adversary of a training: a discriminator with its optimiser and its state.

It learns on the same crops as the network, to call the true ones real and the network's not. Loss (vanilla
GAN, binary cross-entropy of logits) and optimiser (Adam, 1e-4) are those of Real-ESRGAN (Wang et al. 2021).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from luxscaler.training.discriminator import Discriminator
from luxscaler.training.moments import moments_of, restore_moments
from luxscaler.training.seeds import generator
from luxscaler.weights.namings import StateDict

RATE = 1e-4
BETAS = (0.9, 0.99)
MAX_NORM = 1.0
"""Gradients are scaled down to this norm."""
PREFIX = "adversary/"
"""Begins the names of its tensors in a state."""


class Adversary:
    """A discriminator that learns."""

    def __init__(self, seed: int, device: torch.device, features: int) -> None:
        """features: channels of the discriminator at full size."""
        self._network = Discriminator(features, generator(seed, "adversary")).to(device)
        self._parameters = dict(self._network.named_parameters())
        self._optimiser = torch.optim.Adam(self._parameters.values(), lr=RATE, betas=BETAS, foreach=False)

    def generator_loss(self, made: Tensor) -> Tensor:
        """The adversarial loss of the network: N×3×H×W code values → a scalar, smaller where they look real.

        Gradients flow to `made` alone, not to the discriminator.
        """
        self._network.requires_grad_(False)
        try:
            return F.softplus(-self._network(made)).mean()
        finally:
            self._network.requires_grad_(True)

    def gradients(self, made: Tensor, true: Tensor, share: float) -> float:
        """Add the gradients of the discriminator's own loss on a part of a batch. Returns share · loss.

        made, true: N×3×H×W code values; made is detached from the network. share: of the batch in this part.
        """
        loss = F.softplus(-self._network(true)).mean() + F.softplus(self._network(made)).mean()
        (share * loss).backward()  # type: ignore[no-untyped-call]
        return share * float(loss.detach())

    def norm(self) -> float:
        """The norm of its gradients, which are then clipped to MAX_NORM."""
        return float(nn.utils.clip_grad_norm_(self._parameters.values(), MAX_NORM, foreach=False))

    def update(self, factor: float) -> None:
        """Take a step of its optimiser, at `factor` times RATE, and advance its spectral norms."""
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
        found |= moments_of(self._optimiser, self._parameters, PREFIX)
        return {name: value.detach().cpu().clone() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go back to what `tensors` returned after so many updates. Raises KeyError if one is missing."""
        with torch.no_grad():
            for name, value in self._network.state_dict().items():
                value.copy_(tensors[f"{PREFIX}now/{name}"])
        restore_moments(self._optimiser, self._parameters, tensors, updates, PREFIX)
