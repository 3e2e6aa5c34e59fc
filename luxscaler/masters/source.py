"""The source of a master: decoded once, to a file of linear light, in which a later run finds it.

A source that has changed is recognised by its SHA-256.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.isolation.linear_file import LinearFile, linear_bytes
from luxscaler.isolation.pool import decode_to_file
from luxscaler.masters.job import Job
from luxscaler.options import MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import Picture, PictureSource
from luxscaler.pipeline.request import PictureFile

_NOTE = "spool"


def digest_of(file: PictureFile | Picture) -> str:
    """SHA-256 (hexadecimal) of a file's bytes or a picture's samples. Raises PictureError if unreadable."""
    if isinstance(file, Picture):
        return _digest_of_samples(file)
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    try:
        with Path(file).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise PictureError(f"{str(file)!r} cannot be opened: {error.strerror}") from error


def lay_out(
    file: PictureFile | Picture,
    job: Job,
    *,
    max_pixels: int,
    limits: DecodeLimits | None,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> LinearFile:
    """The picture as a file of linear light in the job's folder, where an earlier run may have left it.

    Arguments as in `isolation.pool.read_picture_isolated`. Raises PictureError, also for a full disk.
    """
    path, note = job.linear_path, job.recall(_NOTE)
    if note is not None:
        known = _from_note(path, note)
        if _is_whole(known):
            return known
    if isinstance(file, Picture):
        laid = _lay_samples(file, path)
    else:
        laid = decode_to_file(file, path, max_pixels=max_pixels, limits=limits, sdr=sdr, choice=choice)
    if job.lasts:
        job.remember_after(lambda: _to_disk(path), _NOTE, _to_note(laid))
    return laid


def _digest_of_samples(picture: Picture) -> str:
    digest = hashlib.sha256(f"{picture.width} {picture.height} {picture.has_alpha}".encode())
    for samples in (picture.rgb, picture.alpha):
        if samples is not None:
            digest.update(np.ascontiguousarray(samples).data)
    return digest.hexdigest()


def _lay_samples(picture: Picture, path: Path) -> LinearFile:
    """Write a picture that is in memory to disk, in the form that a decoder gives it."""
    try:
        with path.open("wb") as file:
            for samples in (picture.rgb, picture.alpha):
                if samples is not None:
                    file.write(np.ascontiguousarray(samples).data)
    except OSError as error:
        raise PictureError(f"the picture cannot be laid on disk: {error.strerror}") from error
    return LinearFile(path, picture.width, picture.height, picture.has_alpha, picture.source)


def _is_whole(laid: LinearFile) -> bool:
    try:
        return laid.path.stat().st_size >= linear_bytes(laid.width, laid.height, laid.has_alpha)
    except OSError:
        return False


def _to_disk(path: Path) -> None:
    """Wait until the file is on the disk. After a power cut it could otherwise hold zeros without an error.

    Tiles begin meanwhile: 200 MB take a fast disk 0.1 s, and a slow one a second.
    """
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _to_note(laid: LinearFile) -> str:
    return json.dumps([laid.width, laid.height, laid.has_alpha, laid.source.to_json()])


def _from_note(path: Path, note: str) -> LinearFile:
    width, height, has_alpha, source = json.loads(note)
    return LinearFile(path, width, height, has_alpha, PictureSource.from_json(source))
