"""A folder of pictures to learn from: decoded, judged, split into those to learn from and those held out.

Every file is decoded through the isolation before any step. What cannot serve is named with its reason. The
pixels of the rest lie decoded in a folder, so that a crop costs no decoding: pictures within [0, 1] as
16-bit code values, all others (HDR, wide gamut) as float32 linear light.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from luxscaler.training.folder import write_error
from luxscaler.training.seeds import generator
from luxscaler.upscaling import code_values
from luxscaler.words import counted

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

    def region(self, top: int, left: int, height: int, width: int) -> NDArray[Any]:
        """Some of its pixels, as they are stored, in memory of their own."""
        stored = np.load(self.pixels, mmap_mode="r")
        return np.array(stored[top : top + height, left : left + width])


@dataclass(frozen=True)
class Rejected:
    """A file that is not learned from."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """What a folder holds, in two parts that share no file."""

    learn: tuple[TrainingPicture, ...]
    held_out: tuple[TrainingPicture, ...]
    rejected: tuple[Rejected, ...] = ()

    @property
    def digests(self) -> dict[str, str]:
        """Name → SHA-256 of every picture that counts, small ones included."""
        found = {}
        for picture in (*self.learn, *self.held_out):
            found[picture.name] = picture.sha256
            if picture.small is not None:
                found[f"pairs/{picture.small.name}"] = picture.small.sha256
        return found


def files_in(folder: Path, what: str = "pictures") -> list[Path]:
    """Every file below a folder but hidden ones, by name. Raises InputError if there is none."""
    if not folder.is_dir():
        raise InputError(f"{what}: {str(folder)!r} is not a folder")
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not files:
        raise InputError(f"{what}: the folder {str(folder)!r} holds no file")
    return files


def survey(
    folder: Path, store: Path, *, least_side: int, tell: Callable[[int, int], None]
) -> tuple[list[TrainingPicture], list[Rejected]]:
    """Decode and judge every file of a folder.

    store: where decoded pixels lie. least_side: pixels that width and height must have. `tell` hears of files
    done and in all. Raises InputError for a folder without files, TrainingError if pixels cannot be stored.
    """
    files = files_in(folder)
    good: list[TrainingPicture] = []
    rejected: list[Rejected] = []
    thumbnails: list[tuple[str, FloatArray]] = []
    for done, path in enumerate(files):
        tell(done, len(files))
        name = str(path.relative_to(folder))
        try:
            picture, thumbnail = take(path, name, store)
            _check(picture, thumbnail, least_side, thumbnails)
        except PictureError as error:
            rejected.append(Rejected(name, reason_of(error, path)))
            continue
        thumbnails.append((name, thumbnail))
        good.append(picture)
    tell(len(files), len(files))
    return good, rejected


def take(path: Path, name: str, store: Path) -> tuple[TrainingPicture, FloatArray]:
    """Decode one file and store its pixels; the picture and its thumbnail. Raises PictureError."""
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
    if not pixels.is_file():
        _store(pixels, decoded.rgb if is_hdr else np.round(code * CODES).astype(np.uint16))
    picture = TrainingPicture(name, digest, decoded.width, decoded.height, is_hdr, pixels)
    return picture, _thumbnail(code)


def split(
    good: Sequence[TrainingPicture], rejected: Sequence[Rejected], share: float, seed: int
) -> PictureSet:
    """Hold out a share of the pictures, at least one, chosen by the seed.

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
    chosen = set(order[:held])
    return PictureSet(
        tuple(picture for index, picture in enumerate(good) if index not in chosen),
        tuple(picture for index, picture in enumerate(good) if index in chosen),
        tuple(rejected),
    )


def reason_of(error: PictureError, path: Path) -> str:
    """The error's text without the name of the file, which is said beside it."""
    text = str(error)
    for name in (f"{str(path)!r} ", f"{path} ", "the picture "):
        text = text.replace(name, "")
    return text


def _check(
    picture: TrainingPicture,
    thumbnail: FloatArray,
    least_side: int,
    others: Sequence[tuple[str, FloatArray]],
) -> None:
    if min(picture.width, picture.height) < least_side:
        raise PictureError(
            f"it is {picture.width} × {picture.height}; a crop takes {least_side} × {least_side} pixels"
        )
    for name, other in others:
        if float(np.abs(thumbnail - other).max()) < _SAME:
            raise PictureError(f"it is the same picture as {name}")


def _code(picture: Picture) -> FloatArray:
    """(height, width, 3) code values as the networks see them, unbounded."""
    encoded: FloatArray = code_values.encode(torch.from_numpy(np.array(picture.rgb))).numpy()
    return encoded


def _thumbnail(code: FloatArray) -> FloatArray:
    """16 × 16 × 3 averages of the code values."""
    planes = torch.from_numpy(code).permute(2, 0, 1)[None]
    small: FloatArray = F.adaptive_avg_pool2d(planes, _THUMBNAIL)[0].permute(1, 2, 0).numpy()
    return small


def _store(path: Path, pixels: NDArray[Any]) -> None:
    """No sync: pixels that a power cut destroys leave no whole file, and are decoded again."""
    temporary = path.with_name(f".{path.stem}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, pixels)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(path, error) from error
