"""RGB through networks that take or give another number of channels: grey ones, and those with an alpha.

| the network | what it is given, and what is taken |
|---|---|
| 1 → 1 | each of R, G, B as a grey picture; equal channels once, so that grey stays exactly grey |
| 1 → 3 | the luma; the colours are the network's own |
| 3 → 1 | RGB; the result is grey |
| 4 → 4 | RGB and an alpha of 1; the alpha that comes out is dropped |
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from luxscaler.color import LUMINANCE
from luxscaler.errors import WeightsError
from luxscaler.words import counted

USABLE = (1, 3, 4)
"""Numbers of channels that have a meaning here."""
Step = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1."""


class Runs(Protocol):
    """A network that is ready to run."""

    def __call__(self, x: Tensor, step: Step | None = None) -> Tensor:
        """1×in×H×W float32 → 1×out×(scale·H)×(scale·W) float32. step: called as parts are done."""


def check_channels(inputs: int, outputs: int) -> None:
    """Raise WeightsError unless a network of so many channels can be used for pictures."""
    if inputs not in USABLE or outputs not in USABLE:
        raise WeightsError(
            f"the network maps {counted(inputs, 'channel')} to {outputs}; "
            "pictures have 1 (grey), 3 (RGB) or 4 (RGBA)"
        )


def through(network: Runs, inputs: int, outputs: int, rgb: Tensor, step: Step) -> Tensor:
    """1×3×H×W float32 code → 1×3×(scale·H)×(scale·W), by a network of `inputs` and `outputs` channels."""
    if inputs == outputs == 1:
        return _each(network, rgb, step)
    if inputs == 1:
        weights = rgb.new_tensor(LUMINANCE)[:, None, None]
        rgb = (rgb * weights).sum(1, keepdim=True)
    elif inputs == 4:
        rgb = torch.cat((rgb, torch.ones_like(rgb[:, :1])), 1)
    out = network(rgb, step)
    return out.expand(-1, 3, -1, -1).contiguous() if outputs == 1 else out[:, :3]


def _each(network: Runs, rgb: Tensor, step: Step) -> Tensor:
    """Every channel by itself, or one for all where they are equal."""
    if bool((rgb[:, :1] == rgb).all()):
        return network(rgb[:, :1], step).expand(-1, 3, -1, -1).contiguous()
    made = []
    for done in range(3):

        def within(share: float, done: int = done) -> None:
            step((done + share) / 3)

        made.append(network(rgb[:, done : done + 1], within))
    return torch.cat(made, 1)
