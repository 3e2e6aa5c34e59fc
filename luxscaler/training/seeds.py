"""Random numbers as a function of the place where they are used, so that no generator's state must be
saved."""

from hashlib import sha256

import torch


def generator(*place: int | str) -> torch.Generator:
    """A generator on the CPU that depends on the arguments alone, e.g. seed, step and item."""
    digest = sha256("/".join(map(str, place)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def uniform(source: torch.Generator, low: float, high: float) -> float:
    """A number from low to high."""
    return low + (high - low) * float(torch.rand((), generator=source, dtype=torch.float64))


def integer(source: torch.Generator, end: int) -> int:
    """An integer from 0 to end - 1."""
    return int(torch.randint(end, (), generator=source))


def happens(source: torch.Generator, probability: float) -> bool:
    """True with this probability."""
    return uniform(source, 0.0, 1.0) < probability
