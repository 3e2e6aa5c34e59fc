"""The factor of the loss in float16, whose gradients would vanish below 6e-8 without one.

It is halved when gradients overflow, and doubled after many steps without an overflow (Micikevicius et al.
2018). It is an immutable value, so that a training's state can be saved as plain numbers.
"""

from dataclasses import dataclass

FIRST, HIGHEST = 2.0**16, 2.0**24
CALM_STEPS = 2000
"""Steps without an overflow before the factor is doubled."""


@dataclass(frozen=True)
class LossScale:
    """The factor in force."""

    factor: float = 1.0
    calm: int = 0
    """Steps without an overflow since it changed."""

    @property
    def can_fall(self) -> bool:
        """Whether a smaller factor could prevent an overflow."""
        return self.factor > 1.0

    def after(self, *, overflow: bool) -> "LossScale":
        """The factor for the next step."""
        if overflow:
            return LossScale(max(1.0, self.factor / 2))
        if self.calm + 1 < CALM_STEPS:
            return LossScale(self.factor, self.calm + 1)
        return LossScale(min(HIGHEST, self.factor * 2))


def first_scale(precision: str) -> LossScale:
    """The factor at the beginning: 1 for all but float16."""
    return LossScale(FIRST if precision == "fp16" else 1.0)
