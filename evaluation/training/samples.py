"""Samples: shots reduced to what a step of the fit needs, for every source, once."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.nn import functional as F

from evaluation.pictures import PAIRS, PANORAMAS, Source, shipped
from evaluation.renderings import RENDERINGS
from evaluation.training import cameras
from evaluation.training.cameras import CAMERAS, DISPLAY_BOOST, Shot
from evaluation.training.scenes import fitted, varied
from luxscaler.hdr.analysis import analyse
from luxscaler.io.read import read_picture
from luxscaler.picture import FloatArray

SHAPES = ((128, 128), (96, 192), (112, 144), (144, 112))
"""Rows and columns of samples: the nearest in proportion is taken, so that samples of one shape make a
batch."""
KIND_SHARES = {"standard": 0.2, "curve": 0.15, "phone": 0.26, "fusion": 0.2, "edited": 0.09, "dim": 0.1}
"""How often a scene meets each kind of camera. How much each counts is the fit's (fit.py)."""
SHOTS, PAIR_SHOTS, PAIR_PARTS = 120, 50, 50
"""Shots of a source; of a pair's HDR rendering; parts of a pair as it is."""
SEED = 1
BRIGHTEST = 60000.0
"""What float16 holds."""


@dataclass(frozen=True)
class Sample:
    """One shot. Light is (3, h, w) float16, linear, one of SHAPES; h × w pixels are means of the shot's."""

    source: str
    group: str
    kind: str
    log_boost: float
    cells: Tensor
    statistics: Tensor
    sdr: Tensor
    hdr: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.sdr.shape[1], self.sdr.shape[2]


def samples_of(sources: Sequence[Source], seed: int, workers: int) -> list[Sample]:
    """All samples of all sources; the same ones for the same seed. Raises PictureError, InputError,
    OSError."""
    work = partial(_of_source, seed=seed)
    if workers == 1:
        return [sample for source in sources for sample in work(source)]
    with ProcessPoolExecutor(workers) as pool:
        return [sample for found in pool.map(work, sources) for sample in found]


def _of_source(source: Source, seed: int) -> list[Sample]:
    torch.set_num_threads(1)
    digest = hashlib.sha256(f"{seed} {source.name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    shots = _of_pair(source, rng) if source.group == PAIRS else _of_picture(source.path, source.group, rng)
    return [_sample(source, shot) for shot in shots if np.isfinite(shot.hdr).all()]


def _of_picture(path: Path, group: str, rng: Generator) -> Iterator[Shot]:
    hdr = fitted(np.maximum(read_picture(path).rgb, 0))
    for render in RENDERINGS.values():
        made = render(hdr)
        yield Shot("exact", made.sdr, made.reference, DISPLAY_BOOST)
    for _ in range(SHOTS):
        yield _some_shot(varied(hdr, group == PANORAMAS, rng), rng)


def _of_pair(source: Source, rng: Generator) -> Iterator[Shot]:
    case = shipped(source)
    sdr, hdr = fitted(case.sdr), fitted(case.reference)
    yield Shot("exact pair", sdr, hdr, case.boost)
    for _ in range(PAIR_PARTS):
        yield cameras.shipped(sdr, hdr, case.boost, rng)
    for _ in range(PAIR_SHOTS):
        yield _some_shot(varied(hdr, False, rng), rng)


def _some_shot(scene: FloatArray, rng: Generator) -> Shot:
    kind = rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values()))
    return CAMERAS[str(kind)](scene, rng)


def _sample(source: Source, shot: Shot) -> Sample:
    proportion = shot.sdr.shape[1] / shot.sdr.shape[0]
    shape = min(SHAPES, key=lambda s: abs(math.log(s[1] / s[0] / proportion)))
    seen = analyse(torch.from_numpy(np.ascontiguousarray(shot.sdr)), 1.0)
    return Sample(
        source.name,
        source.group,
        shot.kind,
        math.log(shot.boost),
        seen.cells.half(),
        seen.statistics,
        _area(shot.sdr, shape).half(),
        _area(shot.hdr, shape).clamp(max=BRIGHTEST).half(),
    )


def _area(rgb: FloatArray, shape: tuple[int, int]) -> Tensor:
    planes = torch.from_numpy(np.ascontiguousarray(rgb, np.float32)).permute(2, 0, 1)[None]
    return F.interpolate(planes, shape, mode="area")[0]
