"""A folder of pictures to learn from: decoded, checked, and split into training and held-out pictures.

Every file is decoded in an isolated process before any step. Unusable ones are listed with the reason. The
pixels of the others are stored decoded, so that cropping is fast: pictures within [0, 1] as 16-bit code
values, all others (HDR, wide gamut) as float32 linear light.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from luxscaler.errors import InputError, PictureError, TrainingError
from luxscaler.isolation.pool import read_picture_isolated
from luxscaler.picture import FloatArray, Picture
from luxscaler.training.folder import is_training, write_error
from luxscaler.training.likeness import Look, groups_of, runs_of
from luxscaler.training.seeds import generator
from luxscaler.upscaling import code_values
from luxscaler.words import counted, printable

MIN_TO_LEARN = 4
"""Fewest pictures to learn from."""
CODES = 65535
"""Largest stored code value; it stands for 1.0."""
_THUMBNAIL = 16
_SAME = 2 / 255
"""Largest difference of two thumbnails, in code values, that one picture stored twice may have."""


@dataclass(frozen=True)
class TrainingPicture:
    """One good picture, its pixels in a file of their own."""

    name: str
    """Its path below the folder of pictures."""
    sha256: str
    width: int
    height: int
    is_hdr: bool
    """Whether it has light outside [0, 1], and is stored as linear light."""
    pixels: Path
    """A .npy of (height, width, 3): uint16 code values, or float32 linear light."""
    small: "TrainingPicture | None" = None
    """The small picture that the user gave for it."""
    look: Look | None = field(default=None, compare=False, repr=False)
    """By which near-duplicates are found."""

    def region(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """A copy of a part of its pixels, (height, width, 3), as they are stored."""
        stored = np.load(self.pixels, mmap_mode="r")
        return np.array(stored[top : top + height, left : left + width])


@dataclass(frozen=True)
class Rejected:
    """A file that is not learned from."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder: those to learn from, those held out, and the rejected files."""

    learn: tuple[TrainingPicture, ...]
    held_out: tuple[TrainingPicture, ...]
    rejected: tuple[Rejected, ...] = ()
    alike: int = 0
    """How many pictures have near-duplicates among the others (likeness.py)."""
    is_fair: bool = True
    """Whether no held-out picture has a near-duplicate among those to learn from."""

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 by name, of all pictures of both parts and of their small pictures."""
        found = {}
        for picture in (*self.learn, *self.held_out):
            found[picture.name] = picture.sha256
            if picture.small is not None:
                found[f"pairs/{picture.small.name}"] = picture.small.sha256
        return found


def files_in(folder: Path, what: str = "pictures") -> list[Path]:
    """Every file below a folder, sorted by name. Links are followed; broken ones are listed too.

    Hidden files are left out, and so are folders of trainings, whose samples are not to be learned from.
    what: the name of the option, for messages. Raises InputError if there is no file, or a folder cannot be
    read.
    """
    if not folder.is_dir():
        raise InputError(f"{what}: {str(folder)!r} is not a folder")

    def refuse(error: OSError) -> None:
        raise InputError(f"{what}: the folder {error.filename!r} cannot be read: {error.strerror}") from error

    files: list[Path] = []
    seen = {folder.resolve()}
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in sorted(folders) if _is_new(Path(place, name), seen)]
        found = (Path(place, name) for name in names if not name.startswith("."))
        files += [path for path in found if path.is_file() or path.is_symlink()]
    if not files:
        raise InputError(f"{what}: the folder {str(folder)!r} holds no file")
    return sorted(files)


def _is_new(folder: Path, seen: set[Path]) -> bool:
    """Whether a folder is to be searched: each one once, however many links lead to it."""
    real = folder.resolve()
    if folder.name.startswith(".") or is_training(folder) or real in seen:
        return False
    seen.add(real)
    return True


def name_in(folder: Path, path: Path) -> str:
    """A file's path below a folder, on one line and in Unicode, whatever bytes its name has."""
    return printable(str(path.relative_to(folder)))


def survey(
    folder: Path, store: Path, *, least_side: int, tell: Callable[[int, int], None]
) -> tuple[list[TrainingPicture], list[Rejected]]:
    """Decode and check every file of a folder. Returns the good pictures and the rejected files.

    store: the folder for decoded pixels. least_side: pixels that width and height must have. tell: called
    with the number of files done and of all. Raises InputError for a folder without files, TrainingError if
    pixels cannot be stored.
    """
    files = files_in(folder)
    good: list[TrainingPicture] = []
    rejected: list[Rejected] = []
    others = _Thumbnails()
    for done, path in enumerate(files):
        tell(done, len(files))
        name = name_in(folder, path)
        try:
            picture, thumbnail = take(path, name, store)
            _check_size(picture, least_side)
            others.add(name, thumbnail)
        except PictureError as error:
            rejected.append(Rejected(name, reason_of(error, path)))
            continue
        good.append(picture)
    tell(len(files), len(files))
    return good, rejected


def take(path: Path, name: str, store: Path) -> tuple[TrainingPicture, FloatArray]:
    """Decode one file and store its pixels. Returns the picture and its thumbnail.

    Raises PictureError if it cannot be decoded or has transparent parts, TrainingError if it cannot be
    stored.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from error
    decoded = read_picture_isolated(data)
    if decoded.alpha is not None and bool((decoded.alpha < 1.0).any()):
        raise PictureError("it has transparent parts, whose colours mean nothing")
    digest = sha256(data).hexdigest()
    is_hdr = bool(decoded.rgb.min() < 0.0 or decoded.rgb.max() > 1.0)
    code = _code(decoded)
    pixels = store / f"{digest}.npy"
    shape, kind = (decoded.height, decoded.width, 3), np.float32 if is_hdr else np.uint16
    if not _is_stored(pixels, shape, kind):
        _store(pixels, decoded.rgb if is_hdr else np.round(code * CODES).astype(np.uint16))
    picture = TrainingPicture(name, digest, decoded.width, decoded.height, is_hdr, pixels)
    thumbnail = _thumbnail(code)
    return replace(picture, look=Look(thumbnail, runs_of(code))), thumbnail


def split(
    good: Sequence[TrainingPicture], rejected: Sequence[Rejected], share: float, seed: int
) -> PictureSet:
    """Hold out a share of the pictures, at least one, chosen by the seed; near-duplicates stay together.

    Raises TrainingError, with the reasons, if too few are left to learn from.
    """
    held = max(1, round(share * len(good)))
    if len(good) - held < MIN_TO_LEARN:
        reasons = "".join(f"; {each.name}: {each.reason}" for each in rejected[:5])
        more = f"; and {len(rejected) - 5} more" if len(rejected) > 5 else ""
        raise TrainingError(
            f"only {len(good)} of {counted(len(good) + len(rejected), 'picture')} can be used, of which "
            f"{held} would be held out; at least {MIN_TO_LEARN} are needed to learn from{reasons}{more}"
        )
    order = torch.randperm(len(good), generator=generator(seed, "split")).tolist()
    groups = _groups(good)
    chosen = _chosen(order, groups, held)
    is_fair = bool(chosen)
    chosen = chosen or set(order[:held])
    return PictureSet(
        tuple(picture for index, picture in enumerate(good) if index not in chosen),
        tuple(picture for index, picture in enumerate(good) if index in chosen),
        tuple(rejected),
        sum(len(group) for group in groups if len(group) > 1),
        is_fair,
    )


def _groups(good: Sequence[TrainingPicture]) -> list[list[int]]:
    looks = [picture.look for picture in good if picture.look is not None]
    return groups_of(looks) if len(looks) == len(good) else [[place] for place in range(len(good))]


def _chosen(order: Sequence[int], groups: Sequence[list[int]], held: int) -> set[int]:
    """Whole groups in that order until about `held` pictures are chosen; empty if no group may be held
    out."""
    group_of = {place: group for group in groups for place in group}
    for most in (2 * held, len(order)):
        chosen: set[int] = set()
        for place in order:
            more = chosen | set(group_of[place])
            if len(chosen) < held and len(more) <= min(most, len(order) - MIN_TO_LEARN):
                chosen = more
        if chosen:
            return chosen
    return set()


def reason_of(error: PictureError, path: Path) -> str:
    """The error's text without the name of the file, which is shown beside it."""
    text = str(error)
    for name in (f"{str(path)!r} ", f"{path} ", "the picture "):
        text = text.replace(name, "")
    return text


class _Thumbnails:
    """The thumbnails of the pictures so far, to find the same picture stored twice."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._thumbnails: list[FloatArray] = []
        self._means: list[float] = []

    def add(self, name: str, thumbnail: FloatArray) -> None:
        """Add one. Raises PictureError if it is the same as one of them."""
        mean = float(thumbnail.mean())
        # Equal pictures have equal means, which are faster to compare than thumbnails.
        for place in np.flatnonzero(np.abs(np.array(self._means) - mean) < _SAME):
            if float(np.abs(thumbnail - self._thumbnails[place]).max()) < _SAME:
                raise PictureError(f"it is the same picture as {self._names[place]}")
        self._names.append(name)
        self._thumbnails.append(thumbnail)
        self._means.append(mean)


def _check_size(picture: TrainingPicture, least_side: int) -> None:
    if min(picture.width, picture.height) < least_side:
        raise PictureError(
            f"it is {picture.width} × {picture.height}; a crop takes {least_side} × {least_side} pixels"
        )


def _code(picture: Picture) -> FloatArray:
    """(height, width, 3) code values as the networks see them, unbounded."""
    encoded: FloatArray = code_values.encode(torch.from_numpy(np.array(picture.rgb))).numpy()
    return encoded


def _thumbnail(code: FloatArray) -> FloatArray:
    """16 × 16 × 3 averages of the code values."""
    planes = torch.from_numpy(code).permute(2, 0, 1)[None]
    small: FloatArray = F.adaptive_avg_pool2d(planes, _THUMBNAIL)[0].permute(1, 2, 0).numpy()
    return small


def _is_stored(path: Path, shape: tuple[int, ...], kind: type) -> bool:
    """Whether the pixels that an earlier run stored are there and complete."""
    try:
        stored = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):  # absent, or cut short by a power cut
        return False
    return bool(stored.shape == shape and stored.dtype == kind)


def _store(path: Path, pixels: NDArray[Any]) -> None:
    """Store pixels without a sync: after a power cut, an incomplete file is decoded again."""
    temporary = path.with_name(f".{path.stem}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, pixels)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(path, error) from error
