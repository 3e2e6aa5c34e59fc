"""Pictures as callers of the Python API give them: of the right type, with values that are finite."""

import os
from types import NoneType

import numpy as np

from luxscaler.checks import check_type, kind_of
from luxscaler.errors import InputError
from luxscaler.io.options import ExportOptions
from luxscaler.options import DecodeLimits
from luxscaler.picture import Picture

_WAYS = {
    "numpy.ndarray": "Picture.from_array(array)",
    "torch.Tensor": "Picture.from_array(tensor.numpy()), of height × width × channels",
    "PIL.Image": "Picture.from_pil(image)",
    "bytearray": "bytes(value)",
    "memoryview": "bytes(value)",
    **dict.fromkeys(("str", "bytes", "pathlib.Path"), "luxscaler.read(file)"),
}
"""What makes a Picture of a value, by its type."""
_ROWS = 256
"""Rows whose numbers are looked at in one go."""


def check_reading(source: object, max_pixels: object, limits: object) -> None:
    """InputError for arguments of `luxscaler.read` that are of another type."""
    if isinstance(source, Picture):
        raise InputError("source is a Picture, which needs no reading")
    if not _is_file(source):
        raise _not_a("a path or the bytes of a file", "source", source)
    check_type("max_pixels", max_pixels, int)
    check_type("limits", limits, DecodeLimits, NoneType)


def check_writing(picture: object, export_options: object) -> None:
    """InputError for arguments of `luxscaler.write` that are of another type."""
    if not isinstance(picture, Picture):
        raise _not_a("a Picture", "picture", picture)
    check_type("export_options", export_options, ExportOptions)


def check_expanding(picture: object, like: object) -> None:
    """InputError for arguments of `luxscaler.expand` that are no pictures to compute with."""
    check_given("picture", picture, or_file=False)
    if like is not None:
        check_given("like", like, or_file=False)


def check_given(name: str, value: object, *, or_file: bool = True) -> None:
    """InputError for a value that is no Picture, with what makes one of it, or one of bad numbers.

    or_file: a path and the bytes of a file will do too.
    """
    if isinstance(value, Picture):
        _check_numbers(name, value)
    elif not (or_file and _is_file(value)):
        raise _not_a("a path, the bytes of a file or a Picture" if or_file else "a Picture", name, value)


def _is_file(value: object) -> bool:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
        return isinstance(value, str)
    return isinstance(value, str | bytes)


def _not_a(wanted: str, name: str, value: object) -> InputError:
    kind = kind_of(value)
    way = _WAYS.get(kind, "its bytes, file.read()" if hasattr(value, "read") else "")
    return InputError(f"{name} is of the type {kind}; it must be {wanted}" + (f": give {way}" if way else ""))


def _check_numbers(name: str, picture: Picture) -> None:
    """InputError for colours that are not finite, and for alpha outside 0 to 1."""
    for top in range(0, picture.height, _ROWS):
        if not np.isfinite(picture.rgb[top : top + _ROWS]).all():
            raise InputError(f"{name} has NaN or infinite values; a picture's values are finite")
    if picture.alpha is not None:
        low, high = float(picture.alpha.min()), float(picture.alpha.max())
        if not (low >= 0.0 and high <= 1.0):  # also catches NaN
            raise InputError(f"{name} has alpha from {low:g} to {high:g}; it must be 0 to 1")
