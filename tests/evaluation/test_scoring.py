"""Scores of pictures: in one process or several the same, the baselines' once."""

from pathlib import Path

import numpy as np
import pytest

from evaluation import scoring
from evaluation.baselines import BASELINES
from evaluation.method import OURS, ours
from evaluation.metrics import pu21_psnr
from evaluation.pictures import cases, find
from evaluation.results import PSNR, REFERENCE, TEARING
from evaluation.scoring import BASELINE_CACHE, Task, score
from luxscaler.errors import InputError
from luxscaler.picture import FloatArray
from tests.evaluation.support import light, write_exr, write_pair


def doubled(sdr: FloatArray, boost: float) -> FloatArray:
    """A stand-in for our method."""
    return np.asarray(sdr * np.float32(min(boost, 2)), np.float32)


@pytest.fixture
def tasks(tmp_path: Path) -> list[Task]:
    write_pair(tmp_path / "in", "phone", light(1))
    write_exr(tmp_path / "in" / "desk.exr", light(2))
    found = find([str(tmp_path / "in")])
    return [Task(source, doubled, 3.0, tmp_path, with_jod=False) for source in reversed(found)]


@pytest.mark.slow
def test_every_method_on_every_rendering(tasks: list[Task], tmp_path: Path) -> None:
    results = score(tasks, 1, tmp_path)
    assert [picture.name for picture in results.pictures] == ["phone", "desk.exr"]
    (case,) = cases(tasks[1].source, 3.0)
    phone = results.pictures[0].scores["as shipped"]
    assert set(phone) == {*BASELINES, OURS, REFERENCE}
    assert phone[OURS][PSNR] == pu21_psnr(doubled(case.sdr, case.boost), case.reference)
    assert set(phone[REFERENCE]) == {TEARING}


@pytest.mark.slow
def test_baselines_are_computed_once_and_again_for_another_boost(
    tasks: list[Task], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = score(tasks, 1, tmp_path)
    assert (tmp_path / BASELINE_CACHE).is_file()
    scoring._scorer.cache_clear()
    calls: list[float] = []

    def watched(sdr: FloatArray, boost: float) -> FloatArray:
        calls.append(boost)
        return sdr

    monkeypatch.setitem(BASELINES, "Landis 2002", watched)
    assert score(tasks, 1, tmp_path) == first
    assert calls == []
    score([Task(task.source, ours, 2.5, tmp_path, with_jod=False) for task in tasks], 1, tmp_path)
    assert calls == [2.5] * 5, "the pair keeps its own boost"


def test_no_process_is_no_number_of_jobs(tasks: list[Task], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="jobs is 0"):
        score(tasks, 0, tmp_path)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(tasks: list[Task], tmp_path: Path) -> None:
    assert score(tasks, 2, tmp_path) == score(tasks, 1, tmp_path)
