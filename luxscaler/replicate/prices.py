"""What tiles on Replicate cost: prices by hardware, a guess before, the bound of one call, the truth after.

Prices are of Replicate's public list as read in November 2026; they change, so every one of them can be
overridden. Public models are billed for the seconds that a prediction computes; private ones and
deployments also for setup and idling, which no prediction reports and nothing here can see.
"""

import math
from dataclasses import dataclass
from types import MappingProxyType

from luxscaler.errors import InputError
from luxscaler.words import counted

DOLLARS_PER_SECOND = MappingProxyType(
    {
        "cpu": 0.000100,
        "gpu-t4": 0.000225,
        "gpu-a40-small": 0.000575,
        "gpu-a40-large": 0.000725,
        "gpu-l40s": 0.000975,
        "gpu-l40s-2x": 0.001950,
        "gpu-a100-large": 0.001400,
        "gpu-h100": 0.001525,
    }
)
DEFAULT_HARDWARE = "gpu-h100"
"""The most expensive single GPU: when the hardware is unknown, a limit of cost errs on the safe side."""
_SECONDS_PER_MEGAPIXEL = MappingProxyType(
    {"cpu": 180.0, "gpu-t4": 3.0, "gpu-a40-small": 1.2, "gpu-a40-large": 1.2}
)
_FAST_GPU_SECONDS_PER_MEGAPIXEL = 0.6
_FILE_SECONDS_PER_MEGAPIXEL = 6.0
"""Decoding a megapixel and writing its sixteen as float32 EXR."""
_FIXED_SECONDS = 2.0


@dataclass(frozen=True)
class Price:
    """What a second costs."""

    hardware: str = DEFAULT_HARDWARE
    """Replicate's name (sku) of what the model runs on."""
    own: float | None = None
    """Dollars per second, instead of the table's."""

    def __post_init__(self) -> None:
        if self.own is None and self.hardware not in DOLLARS_PER_SECOND:
            known = ", ".join(DOLLARS_PER_SECOND)
            raise InputError(
                f"hardware is {self.hardware!r}, whose price is not known; known are {known}: "
                "or give the price per second"
            )
        if self.own is not None and not (math.isfinite(self.own) and self.own > 0):
            raise InputError(f"the price per second is {self.own}; it must be a number above 0")

    @property
    def per_second(self) -> float:
        """Dollars."""
        return DOLLARS_PER_SECOND[self.hardware] if self.own is None else self.own


@dataclass(frozen=True)
class Estimate:
    """What a master may cost."""

    tiles: int
    seconds: float
    """Computing, all tiles together: a guess."""
    dollars: float
    """A guess."""
    at_most: float
    """Dollars, if every tile took all the time that it may take, and none had to be repeated."""

    @property
    def words(self) -> str:
        """E.g. "2 tiles, about 8 s of computing and $0.02 (a guess; at most $0.92 without retries)"."""
        work = f"{counted(self.tiles, 'tile')}, about {self.seconds:.0f} s of computing"
        return f"{work} and {_money(self.dollars)} (a guess; at most {_money(self.at_most)} without retries)"


def _money(dollars: float) -> str:
    """Dollars to the cent; below ten cents to a hundredth of one."""
    return f"${dollars:.2f}" if dollars >= 0.1 or not dollars else f"${dollars:.4f}"


def seconds_per_tile(megapixels: float, hardware: str = DEFAULT_HARDWARE) -> float:
    """A guess for the network `photo`, derived from its size and not measured on Replicate."""
    network = _SECONDS_PER_MEGAPIXEL.get(hardware, _FAST_GPU_SECONDS_PER_MEGAPIXEL)
    return _FIXED_SECONDS + megapixels * (network + _FILE_SECONDS_PER_MEGAPIXEL)


def estimate(
    tiles: int, megapixels: float, price: Price, cancel_after: float, own_seconds: float | None = None
) -> Estimate:
    """What `tiles` tiles of `megapixels` each may cost. own_seconds: seconds per tile, if known better."""
    seconds = seconds_per_tile(megapixels, price.hardware) if own_seconds is None else own_seconds
    total = tiles * min(seconds, cancel_after)
    return Estimate(tiles, total, total * price.per_second, at_most=tiles * cancel_after * price.per_second)
