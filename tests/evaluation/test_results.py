"""Means, spreads, the verdict and the tables, on scores made up by hand."""

import json

import pytest

from evaluation.baselines import BASELINES, SMOOTH, UNTOUCHED
from evaluation.method import OURS
from evaluation.report import tables, to_json
from evaluation.results import JOD, PSNR, REFERENCE, TEARING, PictureResult, Results, Scores, best_baseline
from evaluation.verdict import Check, checks

LANDIS = "Landis 2002"


def by_method(**psnr: float) -> dict[str, Scores]:
    """ours, untouched, landis, smooth; JOD is a quarter of the PSNR, tearing 2 (the smooth curve 3)."""
    names = {"ours": OURS, "untouched": UNTOUCHED, "landis": LANDIS, "smooth": SMOOTH}
    scores = {
        names[key]: {PSNR: value, TEARING: 3.0 if key == "smooth" else 2.0, JOD: value / 4}
        for key, value in psnr.items()
    }
    return {**scores, REFERENCE: {TEARING: 1.0}}


def results(ours: float = 32.0, second: float = 34.0) -> Results:
    """Two photographs with two renderings each, and a pair."""
    rest = {"untouched": 30.0, "landis": 31.0, "smooth": 20.0}
    photograph = {"filmic": by_method(ours=ours, **rest), "ACES": by_method(ours=second, **rest)}
    boosts = {"filmic": 4.93, "ACES": 4.93}
    return Results(
        (
            PictureResult("phone", "pairs", {"as shipped": 3.5}, {"as shipped": by_method(ours=40, **rest)}),
            PictureResult("a.exr", "photographs", boosts, photograph),
            PictureResult("b.exr", "photographs", boosts, {**photograph, "ACES": by_method(ours=38, **rest)}),
        )
    )


def failing(found: list[Check]) -> list[tuple[str, str]]:
    return [(check.rule.split(":")[0], check.where) for check in found if not check.holds]


def test_means_and_spread() -> None:
    of = results()
    assert of.groups() == ["pairs", "photographs"]
    assert of.renderings("photographs")["ACES"][OURS][PSNR] == 36
    assert of.average("photographs")[OURS][PSNR] == 34
    spread = of.spread("photographs", OURS, PSNR)
    assert (spread.mean, spread.deviation, spread.lowest, spread.highest) == (34, 1, 33, 35)
    assert of.overall()[OURS][PSNR] == 37, "each group has the same weight"
    assert best_baseline(of.overall(), PSNR) == LANDIS
    assert best_baseline(of.overall(), PSNR, without=(LANDIS,)) == UNTOUCHED


def test_everything_holds_and_a_line_for_each_rule_and_group() -> None:
    found = checks(results())
    assert failing(found) == []
    assert len(found) == 2 * 5 + 2


def test_a_group_behind_its_best_baseline_fails_beyond_the_allowance() -> None:
    behind = failing(checks(results(26.0, 26.0)))
    assert ("PU21-PSNR", "photographs") in behind
    assert ("JOD", "photographs") in behind
    # (28, x) and (28, 38) of the two pictures: their mean is 30.925 at x = 29.7, 30.875 at x = 29.5.
    assert ("PU21-PSNR", "photographs") not in failing(checks(results(28.0, 29.7)))
    assert ("PU21-PSNR", "photographs") in failing(checks(results(28.0, 29.5)))


def test_one_bad_rendering_fails_though_the_average_holds() -> None:
    of = results(24.0, 46.0)
    assert ("JOD", "photographs, filmic") in failing(checks(of))
    assert ("PU21-PSNR", "photographs") not in failing(checks(of))


def test_more_tearing_than_the_smooth_curve_fails() -> None:
    of = results()
    of.pictures[0].scores["as shipped"][OURS][TEARING] = 3.1
    assert failing(checks(of)) == [("tears no more", "pairs")]


def test_overall_equal_is_not_strictly_better() -> None:
    scores = {"as shipped": by_method(ours=31, untouched=30, landis=31, smooth=20)}
    found = checks(Results((PictureResult("phone", "pairs", {"as shipped": 2.0}, scores),)))
    assert failing(found) == [("PU21-PSNR", "all groups"), ("JOD", "all groups")]


def test_without_jod_its_rules_and_tables_are_missing() -> None:
    scores = {"as shipped": by_method(ours=31, untouched=30, landis=31, smooth=20)}
    for of in scores["as shipped"].values():
        of.pop(JOD, None)
    bare = Results((PictureResult("phone", "pairs", {"as shipped": 2.0}, scores),))
    assert {check.rule.split(":")[0] for check in checks(bare)} == {"PU21-PSNR", "tears no more"}
    assert "JOD" not in tables(bare)


def test_tables_mark_the_best_state_the_lead_and_show_every_picture() -> None:
    text = tables(results())
    assert f"| {OURS} | **32.00** | **36.00** | **34.00** | 1.00 | 33.00 | 35.00 |" in text
    assert f"| *{OURS} over the best other* | +1.00 | +5.00 | +3.00 |" in text
    assert f"| b.exr | 4.93 | 35.00 | 30.00 | 31.00 ({LANDIS}) |" in text
    assert f"| {OURS} | 2.00 | 2.00 | 2.00 |" in text, "tearing has its table, without a best"
    assert f"| {REFERENCE} | 1.00 |" in text
    assert "### Photographs (2)" in text


def test_json_holds_everything() -> None:
    report = json.loads(json.dumps(to_json(results()), allow_nan=False))
    assert report["groups"]["photographs"]["average"][OURS][PSNR]["deviation"] == 1
    assert report["pictures"]["phone"]["scores"]["as shipped"][LANDIS][JOD] == pytest.approx(31 / 4)
    assert report["pictures"]["phone"]["boosts"] == {"as shipped": 3.5}
    assert all(check["holds"] for check in report["verdict"])
    assert set(BASELINES) >= {LANDIS, SMOOTH, UNTOUCHED}
