"""No picture is judged by a fit that has seen it."""

from pathlib import Path

import pytest

from evaluation.expansion import Expansion
from evaluation.leave_one_out import fitted_without, folds
from evaluation.method import ours
from evaluation.pictures import Source
from luxscaler.errors import InputError

SOURCES = [
    Source(f"{group}{i}", group, Path(f"{group}{i}")) for group in ("pairs", "panoramas") for i in range(4)
]


class FakeFit:
    """Remembers what was left out."""

    def __init__(self) -> None:
        self.left_out: list[frozenset[str]] = []

    def __call__(self, left_out: frozenset[str]) -> Expansion:
        self.left_out.append(left_out)
        return ours


@pytest.mark.parametrize(("count", "fits"), [(None, 8), (2, 2), (3, 3), (8, 8)])
def test_every_picture_is_in_one_fold_and_left_out_of_its_fit(count: int | None, fits: int) -> None:
    fit = FakeFit()
    judged = []
    for fold, _ in fitted_without(SOURCES, count, fit):
        names = {source.name for source in fold}
        assert fit.left_out[-1] == names
        judged += [source.name for source in fold]
    assert sorted(judged) == sorted(source.name for source in SOURCES)
    assert len(fit.left_out) == fits


def test_every_fold_has_as_many_of_each_group() -> None:
    for fold in folds(SOURCES, 4):
        assert sorted(source.group for source in fold) == ["pairs", "panoramas"]


@pytest.mark.parametrize("count", [1, 0, 9])
def test_a_number_of_folds_that_makes_no_sense_is_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"folds is {count}; it must be from 2 to .* 8"):
        folds(SOURCES, count)


def test_one_picture_cannot_be_left_out() -> None:
    with pytest.raises(InputError, match="folds is 1"):
        folds(SOURCES[:1], None)
