"""Recipes by which small pictures are made of large ones: random blur, resizing, noise and JPEG.

A recipe is a preset or comes from a file.

The ranges of "real-esrgan" are those of Wang et al., "Real-ESRGAN", ICCV workshops 2021 (second-order
degradations); the networks were trained on them. A file is JSON with the fields of Recipe and Stage; a
field that it leaves out has its default, and every probability is 0 by default.
"""

import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from luxscaler.errors import InputError

Range = tuple[float, float]
MODES = ("area", "bilinear", "bicubic", "antialiased")
"""Ways to resize; the last is a cubic that averages when it shrinks, as Pillow does."""


@dataclass(frozen=True)
class Stage:
    """One round: blur, resize, noise, JPEG, in this order. Probabilities are from 0 to 1."""

    blur: float = 0.0
    """Probability of a blur."""
    sigma: Range = (0.2, 3.0)
    """Standard deviation of the blur's kernel, in pixels."""
    isotropic: float = 0.5
    """Probability that the kernel is round."""
    sinc: float = 0.0
    """Probability that the blur is an ideal low-pass instead, which rings."""
    resize: Range = (1.0, 1.0)
    """Factors of a resize."""
    noise: float = 0.0
    """Probability of noise."""
    gaussian: Range = (1.0, 30.0)
    """Standard deviation of Gaussian noise, in 1/255."""
    poisson: Range = (0.05, 3.0)
    """Factor of shot noise, which half of the noisy crops get instead."""
    grey: float = 0.0
    """Probability that noise is the same in all channels."""
    jpeg: Range | None = None
    """JPEG quality, 1 to 100; None: no JPEG. The last stage's comes after the resize to the final size."""


@dataclass(frozen=True)
class Recipe:
    """Stages, followed by the resize to the small picture's size."""

    stages: tuple[Stage, ...] = ()
    modes: tuple[str, ...] = ("antialiased",)
    """Ways to resize; each resize takes one of them at random."""
    final_sinc: float = 0.0
    """Probability of a last ideal low-pass, before or after the last JPEG."""


_FIRST = Stage(1.0, (0.2, 3.0), 0.5, 0.1, (0.15, 1.5), 1.0, (1.0, 30.0), (0.05, 3.0), 0.4, (30.0, 95.0))
_SECOND = Stage(0.8, (0.2, 1.5), 0.5, 0.1, (0.3, 1.2), 1.0, (1.0, 25.0), (0.05, 2.5), 0.4, (30.0, 95.0))
PRESETS = {
    "clean": Recipe(),
    "camera": Recipe(
        (Stage(0.8, (0.3, 1.6), 0.7, 0.0, (1.0, 1.0), 0.8, (1.0, 8.0), (0.05, 0.8), 0.2, (75.0, 98.0)),),
        ("area", "antialiased"),
    ),
    "web": Recipe(
        (
            Stage(0.3, (0.2, 1.0), 0.8, 0.0, (0.5, 1.0), 0.1, (1.0, 4.0), (0.05, 0.3), 0.4, (60.0, 95.0)),
            Stage(jpeg=(40.0, 90.0)),
        ),
        ("area", "bilinear", "antialiased"),
        0.2,
    ),
    "real-esrgan": Recipe((_FIRST, _SECOND), ("area", "bilinear", "bicubic"), 0.8),
}


def recipe_of(name: str) -> Recipe:
    """The recipe of a preset's name or of a JSON file. Raises InputError."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"degradation is {name!r}; it must be one of {', '.join(PRESETS)}, or a JSON file with a recipe"
        )
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"degradation: {name!r} is no readable JSON: {error}") from error
    return parsed(content, name)


def parsed(content: object, where: str) -> Recipe:
    """The recipe in decoded JSON. Raises InputError, which names the first field that is wrong.

    where: the name of the file, for messages.
    """
    values = _object(content, Recipe, where)
    stages = values.get("stages", [])
    if not isinstance(stages, list) or len(stages) > 4:
        raise InputError(f"degradation: {where}: stages must be a list of at most 4")
    modes = values.get("modes", ["antialiased"])
    if not isinstance(modes, list) or not modes or any(mode not in MODES for mode in modes):
        raise InputError(f"degradation: {where}: modes is {modes!r}; it must list some of {', '.join(MODES)}")
    final_sinc = _probability("final_sinc", values.get("final_sinc", 0.0), where)
    return Recipe(tuple(_stage(each, where) for each in stages), tuple(modes), final_sinc)


_LIMITS = {
    "sigma": (0.05, 10.0),
    "resize": (0.1, 2.0),
    "gaussian": (0.0, 100.0),
    "poisson": (0.01, 10.0),
    "jpeg": (1.0, 100.0),
}


def _stage(content: object, where: str) -> Stage:
    values = _object(content, Stage, where)
    made: dict[str, Any] = {}
    for name, value in values.items():
        if name == "jpeg" and value is None:
            continue
        if name in _LIMITS:
            made[name] = _range(name, value, where)
        else:
            made[name] = _probability(name, value, where)
    return Stage(**made)


def _object(content: object, kind: type[Recipe] | type[Stage], where: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InputError(
            f"degradation: {where}: a {kind.__name__.lower()} must be an object, got {content!r:.80}"
        )
    known = [field.name for field in fields(kind)]
    if unknown := [name for name in content if name not in known]:
        raise InputError(f"degradation: {where}: unknown field {unknown[0]!r}; known: {', '.join(known)}")
    return content


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _range(name: str, value: object, where: str) -> Range:
    low, high = _LIMITS[name]
    pair = [value, value] if _is_number(value) else value
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(_is_number(each) for each in pair)
        or not low <= pair[0] <= pair[1] <= high
    ):
        raise InputError(
            f"degradation: {where}: {name} is {value!r:.80}; it must be a number or [low, high] "
            f"from {low:g} to {high:g}"
        )
    return float(pair[0]), float(pair[1])


def _probability(name: str, value: object, where: str) -> float:
    if not _is_number(value) or not 0.0 <= float(str(value)) <= 1.0:
        raise InputError(f"degradation: {where}: {name} is {value!r:.80}; it must be from 0 to 1")
    return float(str(value))
