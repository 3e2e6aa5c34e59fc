"""Scores of all pictures, and their means over renderings, pictures and groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from evaluation.baselines import BASELINES, UNTOUCHED
from evaluation.pictures import GROUPS

PSNR, JOD, TEARING = "pu21_psnr", "jod", "tearing"
REFERENCE = "the reference itself"
"""A row of the tearing alone: how far true HDR is from its rendering."""
Scores = dict[str, float]
"""Value by measure. JOD is missing where it was not asked for; the reference has tearing alone."""
ByMethod = dict[str, Scores]


@dataclass(frozen=True)
class PictureResult:
    """What every method reached on one picture."""

    name: str
    group: str
    boosts: dict[str, float]
    """By rendering."""
    scores: dict[str, ByMethod]
    """By rendering and method."""

    def average(self) -> ByMethod:
        """The mean over the renderings, by method."""
        return mean_of(list(self.scores.values()))


@dataclass(frozen=True)
class Spread:
    """A measure over the pictures of a group, each with the mean over its renderings."""

    mean: float
    deviation: float
    """Standard deviation of these pictures."""
    lowest: float
    highest: float


@dataclass(frozen=True)
class Results:
    """Every score of a run, at least one picture."""

    pictures: tuple[PictureResult, ...]

    def groups(self) -> list[str]:
        """The groups that have pictures, in the order of GROUPS."""
        return [group for group in GROUPS if self.of(group)]

    def of(self, group: str) -> list[PictureResult]:
        """The pictures of a group."""
        return [picture for picture in self.pictures if picture.group == group]

    def renderings(self, group: str) -> dict[str, ByMethod]:
        """By rendering and method: the mean over the pictures of a group."""
        pictures = self.of(group)
        names = list(pictures[0].scores)
        return {name: mean_of([picture.scores[name] for picture in pictures]) for name in names}

    def average(self, group: str) -> ByMethod:
        """By method: the mean over the pictures and renderings of a group."""
        return mean_of([picture.average() for picture in self.of(group)])

    def spread(self, group: str, method: str, measure: str) -> Spread:
        """A measure of one method over the pictures of a group."""
        values = [picture.average()[method][measure] for picture in self.of(group)]
        return Spread(fmean(values), pstdev(values), min(values), max(values))

    def overall(self) -> ByMethod:
        """By method: the mean over the groups, each of the same weight however many pictures it has."""
        return mean_of([self.average(group) for group in self.groups()])

    def measures(self) -> list[str]:
        """The measures of this run, in the order of the tables."""
        return [measure for measure in (PSNR, JOD, TEARING) if measure in self.overall()[UNTOUCHED]]


def best_baseline(of: ByMethod, measure: str, without: Sequence[str] = ()) -> str:
    """The baseline with the highest value of a measure, the untouched SDR among them."""
    names = [name for name in of if name in BASELINES and name not in without]
    return max(names, key=lambda name: of[name][measure])


def mean_of(several: Sequence[ByMethod]) -> ByMethod:
    """The mean of the same methods and measures."""
    return {
        method: {measure: fmean(one[method][measure] for one in several) for measure in measures}
        for method, measures in several[0].items()
    }
