"""The network while it learns: its trainable parameters, optimiser, moving average (EMA) and adversary.

Everything that changes is a named float32 tensor or a number, so that a state on disk is plain data. The
moving average is what is validated and shipped, as a plain network with the base's names.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, isfinite, pi

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from luxscaler.networks.build import Network
from luxscaler.networks.rrdb import RRDBNet
from luxscaler.networks.srvgg import SRVGGNetCompact
from luxscaler.training.lora import insert_adapters
from luxscaler.training.losses import Detail, losses
from luxscaler.training.moments import moments_of, restore_moments
from luxscaler.weights.adapter import Adapter, merge
from luxscaler.weights.namings import StateDict

BETAS = (0.9, 0.99)
WEIGHT_DECAY = 1e-4
MAX_NORM = 1.0
"""Gradients are scaled down to this norm."""
MAX_EMA_DECAY = 0.999
"""Largest decay of the moving average."""
_WARM_UP_SHARE, _MAX_WARM_UP = 0.05, 500
_LAST_SHARE = 0.05
"""Where the cosine ends, as a share of the highest learning rate."""


def learning_rate(step: int, steps: int, highest: float) -> float:
    """The rate of the step with this number, from 0: a linear warm-up, then half a cosine."""
    warm = max(1, min(_MAX_WARM_UP, round(_WARM_UP_SHARE * steps)))
    if step < warm:
        return highest * (step + 1) / warm
    share = (step - warm) / max(1, steps - warm)
    return highest * (_LAST_SHARE + (1 - _LAST_SHARE) * 0.5 * (1 + cos(pi * min(1.0, share))))


def ema_decay(step: int, steps: int) -> float:
    """Decay of the moving average after the step with this number, from 0.

    It averages over about the last tenth of a short training, and over fewer steps at its beginning.
    """
    return min(MAX_EMA_DECAY, 1 - 10 / max(steps, 20), (1 + step) / (10 + step))


_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Means:
    """How a step is computed, which changes its memory and time, and its result by rounding only."""

    precision: str = "fp32"
    """fp32, bf16 or fp16; the last convolution, the losses and the adversary are float32 always."""
    checkpointing: bool = False
    """Whether activations are computed again for the gradients instead of kept."""
    parts: int = 1
    """Into how many pieces a batch is cut, their gradients summed."""


class Learner:
    """A copy of a network that learns."""

    def __init__(
        self,
        base: Network,
        method: str,
        rank: int,
        seed: int,
        device: torch.device,
        detail: Detail | None = None,
    ) -> None:
        """Copy the base, which stays as it is.

        method: "lora" (adapters of this rank learn) or "full" (all parameters). seed: of the adapters'
        initial values. detail: the further losses of the goal "detailed".
        """
        self.device = device
        self._detail = detail
        self.terms: dict[str, float] = {}
        """The parts of the last step's loss by name, and for `detail` "discriminator", its own loss."""
        self._base = {name: value.detach().clone() for name, value in base.state_dict().items()}
        self._rank = rank
        network = copy.deepcopy(base).requires_grad_(False)
        if method == "lora":
            adapters = insert_adapters(network, rank, seed)
            found = {f"{name}.{key}": value for name, each in adapters.items() for key, value in _pair(each)}
        else:
            found = dict(network.named_parameters())
        self.adapted = method == "lora"
        self.network = network.to(device).train()
        self.parameters: dict[str, nn.Parameter] = found
        for parameter in found.values():
            parameter.requires_grad_(True)
        self.average = {name: value.detach().clone() for name, value in found.items()}
        self.updates = 0
        self._optimiser = torch.optim.AdamW(
            found.values(), betas=BETAS, weight_decay=WEIGHT_DECAY, foreach=False
        )

    def forward(self, small: Tensor, means: Means) -> Tensor:
        """N×3×h×w → N×3×(scale·h)×(scale·w) float32, code values nominally in [0, 1], recorded for
        gradients."""
        half = _HALVES.get(means.precision)
        with torch.autocast(self.device.type, half, enabled=half is not None):
            if isinstance(self.network, RRDBNet):
                return _rrdb_forward(self.network, small, checkpointing=means.checkpointing)
            return _srvgg_forward(self.network, small, checkpointing=means.checkpointing)

    def gradients(
        self, small: Tensor, large: Tensor, means: Means, *, weight: float = 0.0, scale: float = 1.0
    ) -> tuple[float, float]:
        """The loss of a batch and the norm of its gradients, which stay at the parameters until `update`.

        small, large: N×3×h×w and N×3×(scale·h)×(scale·w) code values in [0, 1], float32. weight: of the
        adversarial loss. scale: the loss is multiplied by it before the backward pass, and the gradients are
        divided by it (loss_scale.py). The norm is not finite if the adversary's gradients are not.
        """
        self.forget_gradients()
        self.terms = {}
        for part_small, part_large in zip(small.chunk(means.parts), large.chunk(means.parts), strict=True):
            share = part_small.shape[0] / small.shape[0]
            made = self.forward(part_small, means)
            parts = losses(made, part_large, self._detail, weight)
            (sum(parts.values(), made.new_zeros(())) * (share * scale)).backward()  # type: ignore[no-untyped-call]
            for name, value in parts.items():
                self._count(name, share * float(value.detach()))
            if self._detail is not None:
                own = self._detail.adversary.gradients(made.detach(), part_large, share)
                self._count("discriminator", own)
        loss = sum(value for name, value in self.terms.items() if name != "discriminator")
        return loss, self._norm(scale)

    def _count(self, name: str, value: float) -> None:
        self.terms[name] = self.terms.get(name, 0.0) + value

    def _norm(self, scale: float) -> float:
        if scale != 1.0:
            for parameter in self.parameters.values():
                if parameter.grad is not None:
                    parameter.grad.div_(scale)
        norm = float(nn.utils.clip_grad_norm_(self.parameters.values(), MAX_NORM, foreach=False))
        other = self._detail.adversary.norm() if self._detail is not None else 0.0
        return norm if isfinite(other) else other

    def update(self, rate: float, decay: float, *, adversary: float = 1.0) -> None:
        """Take a step of the optimiser with the gradients, of the moving average, and of the adversary.

        adversary: a factor of the adversary's own rate.
        """
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        if self._detail is not None:
            self._detail.adversary.update(adversary)
        self.updates += 1
        with torch.no_grad():
            for name, value in self.parameters.items():
                self.average[name].lerp_(value, 1 - decay)

    def forget_gradients(self) -> None:
        """Free the gradients' memory."""
        self._optimiser.zero_grad(set_to_none=True)
        if self._detail is not None:
            self._detail.adversary.forget_gradients()

    def tensors(self) -> StateDict:
        """All that changes, on the CPU: parameters, moving average, moments; the adversary's too."""
        found = {}
        for name, value in self.parameters.items():
            found[f"now/{name}"] = value.detach()
            found[f"average/{name}"] = self.average[name]
        found |= moments_of(self._optimiser, self.parameters)
        own = {} if self._detail is None else self._detail.adversary.tensors()
        return {name: value.detach().cpu().clone() for name, value in found.items()} | own

    def restore(self, tensors: Mapping[str, Tensor], updates: int) -> None:
        """Go back to what `tensors` returned after so many updates. Raises KeyError if one is missing."""
        self.updates = updates
        if self._detail is not None:
            self._detail.adversary.restore(tensors, updates)
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(tensors[f"now/{name}"])
                self.average[name].copy_(tensors[f"average/{name}"])
        restore_moments(self._optimiser, self.parameters, tensors, updates)

    def averaged(self) -> StateDict:
        """The moving average of what changes, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.average.items()}

    def adapter(self, values: Mapping[str, Tensor], base_sha256: str) -> Adapter:
        """Values of the trained parameters (lora) as an adapter for the base with this SHA-256."""
        layers = sorted({name.rpartition(".")[0] for name in values})
        pairs = {name: (values[f"{name}.a"], values[f"{name}.b"]) for name in layers}
        return Adapter(base_sha256, self._rank, float(self._rank), pairs)

    def whole(self, values: Mapping[str, Tensor]) -> StateDict:
        """The state dict of the whole network with these values of its trained parameters, by the base's
        names."""
        if self.adapted:
            return merge(self._base, self.adapter(values, ""))
        return {name: value.clone() for name, value in values.items()}


def _pair(adapter: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, value) for name, value in adapter.named_parameters() if name in {"a", "b"}]


def _rrdb_forward(network: RRDBNet, x: Tensor, *, checkpointing: bool) -> Tensor:
    if network.config.unshuffle > 1:
        x = F.pixel_unshuffle(x, network.config.unshuffle)
    first = x = network.conv_first(x)
    for block in network.body:
        x = checkpoint(block, x, use_reentrant=False) if checkpointing else block(x)
    features = torch.add(first, network.conv_body(x))
    if checkpointing:
        made: Tensor = checkpoint(network.reconstruct, features, use_reentrant=False)
        return made
    return network.reconstruct(features)


def _srvgg_forward(network: SRVGGNetCompact, small: Tensor, *, checkpointing: bool) -> Tensor:
    """The network's forward pass, its last convolution in float32 under autocast."""
    x = small
    layers = list(network.body)
    for first, second in zip(layers[:-1:2], layers[1:-1:2], strict=True):
        pair = nn.Sequential(first, second)
        x = checkpoint(pair, x, use_reentrant=False) if checkpointing else pair(x)
    with torch.autocast(x.device.type, enabled=False):
        detail = F.pixel_shuffle(layers[-1](x.float()), network.config.scale)
        return detail + F.interpolate(small, scale_factor=float(network.config.scale), mode="nearest")
