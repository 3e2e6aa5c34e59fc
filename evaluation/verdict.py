"""What must hold of our method, checked on the results of a run: a line for each rule and group."""

from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.baselines import SMOOTH, UNTOUCHED
from evaluation.method import OURS
from evaluation.results import JOD, PSNR, TEARING, ByMethod, Results, best_baseline

BELOW_BEST = {PSNR: 0.1, JOD: 0.03}
"""In each group ours may be this far below the group's best baseline."""
BELOW_UNTOUCHED = 0.1
"""In each group and rendering ours may be this many JOD below the untouched SDR."""
OVERALL = "all groups"


@dataclass(frozen=True)
class Check:
    """One rule on one group."""

    rule: str
    where: str
    """A group, with its rendering, or OVERALL."""
    measured: float
    other: str
    """What ours is held against."""
    limit: float
    """Its value, with what the rule allows."""
    holds: bool


def checks(results: Results) -> list[Check]:
    """Every rule on every group; rules on JOD only where it was measured."""
    measured = [measure for measure in (PSNR, JOD) if measure in results.measures()]
    found = []
    for group in results.groups():
        average = results.average(group)
        found += [_near_best(group, average, measure) for measure in measured]
        if JOD in measured:
            found += _not_worse_than_untouched(group, results)
        limit = average[SMOOTH][TEARING]
        torn = average[OURS][TEARING]
        found.append(Check("tears no more", group, torn, SMOOTH, limit, torn <= limit))
    overall = results.overall()
    return found + [_strictly_best(overall, measure) for measure in measured]


def _near_best(group: str, average: ByMethod, measure: str) -> Check:
    best = best_baseline(average, measure)
    limit = average[best][measure] - BELOW_BEST[measure]
    ours = average[OURS][measure]
    rule = f"{_unit(measure)}: the best baseline − {BELOW_BEST[measure]:g} or more"
    return Check(rule, group, ours, best, limit, ours >= limit)


def _not_worse_than_untouched(group: str, results: Results) -> Iterator[Check]:
    """On the group's average, and on its worst rendering."""
    renderings = results.renderings(group)

    def lead(name: str) -> float:
        return renderings[name][OURS][JOD] - renderings[name][UNTOUCHED][JOD]

    worst = min(renderings, key=lead)
    for where, of in ((group, results.average(group)), (f"{group}, {worst}", renderings[worst])):
        limit, ours = of[UNTOUCHED][JOD] - BELOW_UNTOUCHED, of[OURS][JOD]
        rule = f"JOD: the untouched SDR − {BELOW_UNTOUCHED:g} or more"
        yield Check(rule, where, ours, UNTOUCHED, limit, ours >= limit)


def _strictly_best(overall: ByMethod, measure: str) -> Check:
    best = best_baseline(overall, measure)
    ours, limit = overall[OURS][measure], overall[best][measure]
    return Check(f"{_unit(measure)}: above every baseline", OVERALL, ours, best, limit, ours > limit)


def _unit(measure: str) -> str:
    return {PSNR: "PU21-PSNR", JOD: "JOD"}[measure]
