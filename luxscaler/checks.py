"""Whether values are of the types that annotations name, for callers without a type checker. No PyTorch."""

import os
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from types import GenericAlias, NoneType, UnionType
from typing import TYPE_CHECKING, get_args, get_origin

from luxscaler.errors import InputError, LuxScalerError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MAX_SHOWN = 60
"""Characters of a value in an error message."""
_NUMBERS: dict[object, type] = {int: Integral, float: Real}
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False", NoneType: "None"}


def check_type(name: str, value: object, *kinds: type, error: type[LuxScalerError] = InputError) -> None:
    """`error` unless `value` is of one of `kinds`. NumPy's numbers are numbers, a bool is none."""
    for kind in kinds:
        if isinstance(value, _NUMBERS.get(kind, kind)) and (
            kind not in _NUMBERS or not isinstance(value, bool)
        ):
            return
    raise error(f"{name} is {_shown(value)}; it must be {' or '.join(map(_wanted, kinds))}")


def _wanted(kind: type) -> str:
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    return _WORDS.get(kind, f"{article} {kind.__name__}")


def check_fields(options: "DataclassInstance", error: type[LuxScalerError] = InputError) -> None:
    """`error` for a field whose value is not of the type that its annotation names.

    Annotations of anything but classes (quoted names, Mapping[str, str]) are left to the caller.
    """
    for field in fields(options):
        kinds = get_args(field.type) if isinstance(field.type, UnionType) else (field.type,)
        if not any(isinstance(kind, str | GenericAlias) or get_origin(kind) for kind in kinds):
            check_type(field.name, getattr(options, field.name), *kinds, error=error)


def check_callable(name: str, value: object) -> None:
    """InputError for what is no function."""
    if not callable(value):
        raise InputError(f"{name} is {_shown(value)}; it must be a function")


def path_of(name: str, value: object) -> Path:
    """The path that a value is. Raises InputError for one that is none."""
    return Path(path_text(name, value))


def path_text(name: str, value: object) -> str:
    """The text of a path or of a name. Raises InputError for a value of another type."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else value
    if not isinstance(text, str):
        raise InputError(f"{name} is {_shown(value)}; it must be text or a path")
    return text


def kind_of(value: object) -> str:
    """A type as programmers write it; that of an image is its module, whatever file it came from."""
    if any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__):
        return "PIL.Image"
    if isinstance(value, Path):
        return "pathlib.Path"
    home = type(value).__module__
    return type(value).__name__ if home == "builtins" else f"{home}.{type(value).__name__}"


def _shown(value: object) -> str:
    """A value in an error message: short ones themselves, of others the type."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN and "\n" not in text else f"of the type {kind_of(value)}"
