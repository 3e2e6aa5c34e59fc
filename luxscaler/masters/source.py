"""The picture that a master is made of: laid on disk once, and what is computed from all of it.

    bytes → spool (isolation/pool.py) → reference (averaged), sample (for the tone statistics)

Whether a file is the same as before is told by its SHA-256. It knows no tiles and no backend.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from luxscaler.errors import PictureError
from luxscaler.isolation.linear_file import LinearFile, linear_bytes
from luxscaler.isolation.pool import decode_to_file
from luxscaler.masters.job_folder import JobFolder
from luxscaler.masters.plan import reduction
from luxscaler.options import DecodeLimits
from luxscaler.picture import FloatArray, Picture, PictureSource

SAMPLE_PIXELS = 2048 * 2048
"""Pixels that the tone statistics are taken of, at most."""
_BAND_BYTES = 64 * 2**20
_NOTE = "spool"


def digest_of(file: str | os.PathLike[str] | bytes) -> str:
    """SHA-256 of a file's bytes. Raises PictureError when it cannot be read."""
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise PictureError(f"{str(file)!r} cannot be opened: {error.strerror}") from error


def lay_out(
    file: str | os.PathLike[str] | bytes,
    path: Path,
    job: JobFolder | None,
    *,
    max_pixels: int,
    limits: DecodeLimits | None,
) -> LinearFile:
    """The picture on disk at `path`; what an earlier run of the same job laid there is taken as it is."""
    note = None if job is None else job.recall(_NOTE)
    if note is not None:
        known = _from_note(path, note)
        if _is_whole(known):
            return known
    spool = decode_to_file(file, path, max_pixels=max_pixels, limits=limits)
    if job is not None:
        _to_disk(path)
        job.remember(_NOTE, _to_note(spool))
    return spool


def _is_whole(spool: LinearFile) -> bool:
    try:
        return spool.path.stat().st_size >= linear_bytes(spool.width, spool.height, spool.has_alpha)
    except OSError:
        return False


def _to_disk(path: Path) -> None:
    """Before the job says that it is there: what is lost with the power would be zeros, and no error."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _to_note(spool: LinearFile) -> str:
    return json.dumps([spool.width, spool.height, spool.has_alpha, spool.source.to_json()])


def _from_note(path: Path, note: str) -> LinearFile:
    width, height, has_alpha, source = json.loads(note)
    return LinearFile(path, width, height, has_alpha, PictureSource.from_json(source))


def reference_of(spool: LinearFile) -> Picture:
    """The whole picture at the size of a reference (plan.py)."""
    times = reduction(spool.width, spool.height)
    return reduced(spool, max(1, round(spool.height / times)), max(1, round(spool.width / times)))


def reduced(spool: LinearFile, height: int, width: int) -> Picture:
    """The whole picture averaged in linear light; where there is alpha, averages of what is visible.

    Every pixel of the result is the mean of the source pixels that it touches.
    """
    height, width = min(height, spool.height), min(width, spool.width)
    if (height, width) == (spool.height, spool.width):
        return spool.whole()
    rgb = np.empty((height, width, 3), np.float32)
    alpha = np.empty((height, width), np.float32) if spool.has_alpha else None
    most = max(1, _BAND_BYTES // (spool.width * 16))
    for row in range(height):
        top, bottom = row * spool.height // height, -(-(row + 1) * spool.height // height)
        total = np.zeros((spool.width, 4 if spool.has_alpha else 3), np.float64)
        for start in range(top, bottom, most):
            total += _row_sums(spool.region(start, min(start + most, bottom), 0, spool.width))
        means = _column_means(total / (bottom - top), width)
        if alpha is None:
            rgb[row] = means
        else:
            alpha[row] = means[:, 3].clip(0.0, 1.0)
            rgb[row] = means[:, :3] / np.maximum(means[:, 3:], 1e-6)
    return Picture(rgb, alpha, spool.source)


def _row_sums(band: Picture) -> FloatArray:
    """(rows, width) → (width, 3 or 4): sums over the rows, colour times alpha."""
    if band.alpha is None:
        return np.asarray(band.rgb.sum(axis=0), np.float32)
    colour = (band.rgb * band.alpha[..., None]).sum(axis=0)
    return np.concatenate((colour, band.alpha.sum(axis=0)[:, None]), axis=1)


def _column_means(row: NDArray[np.float64], width: int) -> FloatArray:
    """(w, C) → (width, C)."""
    pooled = F.adaptive_avg_pool1d(torch.from_numpy(row.T[None]), width)
    return np.asarray(pooled[0].numpy().T, np.float32)


def sample(spool: LinearFile, pixels: int = SAMPLE_PIXELS) -> Picture:
    """Every n-th pixel of every n-th row, n as small as `pixels` allows: it has the picture's own histogram.

    An average would not: it has darker highlights.
    """
    step = 1
    while -(-spool.width // step) * -(-spool.height // step) > pixels:
        step += 1
    if step == 1:
        return spool.whole()
    # From the middle, so that the edges count no more than the rest.
    down, across = (range(min(step, side) // 2, side, step) for side in (spool.height, spool.width))
    rgb = np.empty((len(down), len(across), 3), np.float32)
    alpha = np.empty(rgb.shape[:2], np.float32) if spool.has_alpha else None
    for index, row in enumerate(down):
        line = spool.region(row, row + 1, 0, spool.width)
        rgb[index] = line.rgb[0, across.start :: step]
        if alpha is not None and line.alpha is not None:
            alpha[index] = line.alpha[0, across.start :: step]
    return Picture(rgb, alpha, spool.source)


def is_transparent(spool: LinearFile) -> bool:
    """Whether any pixel lets something through."""
    rows = max(1, _BAND_BYTES // (spool.width * 16))
    for top in range(0, spool.height, rows):
        alpha = spool.region(top, min(top + rows, spool.height), 0, spool.width).alpha
        if alpha is not None and bool((alpha < 1).any()):
            return True
    return False
