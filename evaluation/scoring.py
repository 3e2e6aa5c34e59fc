"""Scores every method on every rendering of every picture, pictures in parallel processes.

What was computed before is kept by its content: ColorVideoVDP's results by both pictures' pixels, all scores
of the baselines by the rendering, the boost and the code that makes them.
"""

import hashlib
import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from evaluation import baselines, blur, expansion, metrics
from evaluation import tearing as tearing_module
from evaluation.baselines import BASELINES
from evaluation.cache import Cache
from evaluation.expansion import Expansion
from evaluation.method import OURS
from evaluation.metrics import ColorVideoVdp, pu21_psnr
from evaluation.pictures import GROUPS, Case, Source, cases
from evaluation.results import JOD, PSNR, REFERENCE, TEARING, PictureResult, Results, Scores
from evaluation.tearing import tearing
from luxscaler import color
from luxscaler.errors import InputError

JOD_CACHE, BASELINE_CACHE = "cvvdp-cache.json", "baselines-cache.json"


@dataclass(frozen=True)
class Task:
    """A picture to judge, and the method to judge it with."""

    source: Source
    ours: Expansion
    """Picklable."""
    boost: float
    folder: Path
    """Where the caches are read from."""
    with_jod: bool


@dataclass(frozen=True)
class Done:
    """The result of a task, and what it adds to the caches."""

    result: PictureResult
    fresh: tuple[dict[str, float], dict[str, float]]


class Scorer:
    """Scores expansions with the two caches of a folder."""

    def __init__(self, folder: Path, with_jod: bool) -> None:
        self.caches = (Cache(folder / JOD_CACHE), Cache(folder / BASELINE_CACHE))
        self._jod = ColorVideoVdp(self.caches[0]) if with_jod else None

    def picture(self, task: Task) -> PictureResult:
        """Every method on every rendering of a picture. Raises PictureError, InputError, OSError."""
        boosts, scores = {}, {}
        for case in cases(task.source, task.boost):
            boosts[case.rendering] = case.boost
            scores[case.rendering] = {
                **{name: self._baseline(name, case) for name in BASELINES},
                OURS: self._scores(task.ours, case),
                REFERENCE: {TEARING: tearing(case.sdr, case.reference)},
            }
        return PictureResult(task.source.name, task.source.group, boosts, scores)

    def _scores(self, expand: Expansion, case: Case) -> Scores:
        result = expand(case.sdr, case.boost)
        scores = {PSNR: pu21_psnr(result, case.reference), TEARING: tearing(case.sdr, result)}
        if self._jod is not None:
            scores[JOD] = self._jod(result, case.reference)
        return scores

    def _baseline(self, name: str, case: Case) -> Scores:
        cached = self.caches[1]
        measures = (PSNR, TEARING) if self._jod is None else (PSNR, TEARING, JOD)
        keys = {measure: f"{_key(name, case)} {measure}" for measure in measures}
        if any(key not in cached for key in keys.values()):
            scores = self._scores(BASELINES[name], case)
            cached.learn({key: scores[measure] for measure, key in keys.items()})
        return {measure: cached[key] for measure, key in keys.items()}


def score(tasks: Iterable[Task], jobs: int, folder: Path) -> Results:
    """Do all tasks in `jobs` processes, and write the caches in `folder`, also when one fails.

    The tasks are taken from the iterable one by one, while earlier ones run. Raises InputError for jobs below
    1, and what the first failing task raises.
    """
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; it must be at least 1")
    found = []
    with Cache(folder / JOD_CACHE) as jods, Cache(folder / BASELINE_CACHE) as others:
        for done in _all_done(tasks, jobs):
            found.append(done.result)
            for known, fresh in zip((jods, others), done.fresh, strict=True):
                known.learn(fresh)
    return Results(tuple(sorted(found, key=lambda one: (GROUPS.index(one.group), one.name))))


def _all_done(tasks: Iterable[Task], jobs: int) -> Iterator[Done]:
    if jobs == 1:
        yield from map(_do, tasks)
        return
    with _pool(jobs) as pool:
        waiting = [pool.submit(_do, task) for task in tasks]
        for future in as_completed(waiting):
            yield future.result()


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    # spawn: PyTorch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _do(task: Task) -> Done:
    scorer = _scorer(task.folder, task.with_jod)
    result = scorer.picture(task)
    return Done(result, (scorer.caches[0].take_fresh(), scorer.caches[1].take_fresh()))


@cache
def _scorer(folder: Path, with_jod: bool) -> Scorer:
    """One for each process: it reads the caches once and loads ColorVideoVDP once."""
    return Scorer(folder, with_jod)


def _key(method: str, case: Case) -> str:
    told = f"{_code()} {method} {case.boost!r}".encode()
    return hashlib.sha256(b"\0".join([told, case.sdr.tobytes(), case.reference.tobytes()])).hexdigest()


@cache
def _code() -> str:
    """A digest of everything that a baseline's scores are made by."""
    modules = (blur, expansion, metrics, tearing_module, color)
    names = [*Path(baselines.__file__).parent.glob("*.py"), *(Path(str(m.__file__)) for m in modules)]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(names))).hexdigest()
