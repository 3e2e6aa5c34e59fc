"""Folds: every picture is judged by a fit that has not seen it."""

from collections.abc import Iterator, Sequence

from evaluation.expansion import Expansion
from evaluation.method import Fit
from evaluation.pictures import Source
from luxscaler.errors import InputError


def folds(sources: Sequence[Source], count: int | None) -> list[tuple[Source, ...]]:
    """Divide the pictures into `count` parts, each group evenly; None: one picture each.

    Raises InputError for fewer than 2 parts or more than there are pictures.
    """
    count = len(sources) if count is None else count
    if not 2 <= count <= len(sources):
        raise InputError(f"folds is {count}; it must be from 2 to the number of pictures, {len(sources)}")
    ordered = sorted(sources, key=lambda source: (source.group, source.name))
    return [tuple(ordered[start::count]) for start in range(count)]


def fitted_without(
    sources: Sequence[Source], count: int | None, fit: Fit
) -> Iterator[tuple[tuple[Source, ...], Expansion]]:
    """Each fold with the expansion fitted without it, one fit after the other."""
    for fold in folds(sources, count):
        yield fold, fit(frozenset(source.name for source in fold))
