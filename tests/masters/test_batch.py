"""One picture after another: what fails does not stop the others, and what is there may be left out."""

from pathlib import Path

import pytest

from luxscaler.errors import PictureError, StoppedError, WeightsError
from luxscaler.masters.batch import Outcome, run_batch
from luxscaler.masters.finding import Found
from luxscaler.masters.pairs import Pair
from luxscaler.pipeline.result import Result


def _pairs(folder: Path, *names: str) -> list[Pair]:
    return [Pair(Found(folder / f"{name}.png"), folder / f"{name}.exr") for name in names]


def _work(pair: Pair) -> Result:
    assert pair.target is not None
    failures: dict[str, Exception] = {
        "damaged": PictureError("damaged.png is damaged"),
        "bug": ZeroDivisionError("division by zero"),
        "stop": StoppedError("stopped"),
        "weights": WeightsError("no weights"),
    }
    if pair.source.stem in failures:
        raise failures[pair.source.stem]
    return Result(pair.target, 4, 4, 1.0)


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    begun: list[tuple[int, str]] = []
    told: list[Outcome] = []
    outcomes = run_batch(
        _pairs(tmp_path, "a", "damaged", "bug", "b"),
        _work,
        begun=lambda number, pair: begun.append((number, pair.source.stem)),
        ended=told.append,
    )
    assert begun == [(1, "a"), (2, "damaged"), (3, "bug"), (4, "b")]
    assert told == outcomes
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        PictureError,
        ZeroDivisionError,
        type(None),
    ]
    assert [outcome.result is not None for outcome in outcomes] == [True, False, False, True]


def test_what_is_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(b"x")
    outcomes = run_batch(_pairs(tmp_path, "a", "b"), _work, skip_existing=True)
    assert [outcome.is_skipped for outcome in outcomes] == [True, False]
    assert not any(outcome.is_skipped for outcome in run_batch(_pairs(tmp_path, "a", "b"), _work))


@pytest.mark.parametrize(("name", "kind"), [("stop", StoppedError), ("weights", WeightsError)])
def test_what_every_picture_would_meet_ends_all(tmp_path: Path, name: str, kind: type[Exception]) -> None:
    told: list[Outcome] = []
    with pytest.raises(kind):
        run_batch(_pairs(tmp_path, "a", name, "b"), _work, ended=told.append)
    assert [outcome.pair.source.stem for outcome in told] == ["a"]
