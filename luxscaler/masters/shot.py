"""Image sequences: which frames there are, and one curve for all of them.

    plate.####.exr, 1-100 → frames → statistics of the shot (hdr/shot.py) → one picture after the other

A pattern has one place for the frame's number: a `#` for each digit, or an `@` where there are two or more,
`%04d`, or Houdini's `$F4`. What is wrong with the names is found before the first frame is read.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise
from pathlib import Path

from torch import Tensor

from luxscaler.errors import InputError
from luxscaler.hdr.shot import shot_statistics
from luxscaler.masters.batch import FATAL
from luxscaler.pipeline.preview import laid
from luxscaler.pipeline.request import UpscaleRequest
from luxscaler.tiling.overview import tones_of
from luxscaler.words import counted

MAX_FRAMES = 1_000_000
_PLACE = re.compile(r"(?P<each>#+|@@+)|%0?(?P<printf>\d*)d|\$F(?P<houdini>\d*)")
_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?")
_SHOWN = 5


@dataclass(frozen=True)
class FramePattern:
    """The name of the files of a sequence, with a place for the number of a frame."""

    folder: Path
    before: str
    after: str
    digits: int
    """The least number of characters; shorter numbers begin with zeros, as printf writes them: -1 as -001."""

    @staticmethod
    def parse(path: Path) -> "FramePattern | None":
        """The pattern of a path; None for one without a place for a number, or to a file of that very name.

        Raises InputError for a name with two places.
        """
        places = list(_PLACE.finditer(path.name))
        if not places or path.is_file():
            return None
        if len(places) > 1:
            raise InputError(f"{str(path)!r} has {len(places)} places for a frame's number; it must have one")
        (place,) = places
        digits = len(place["each"] or "") or int(place["printf"] or place["houdini"] or 1)
        return FramePattern(path.parent, path.name[: place.start()], path.name[place.end() :], digits)

    def path(self, frame: int) -> Path:
        """The file of a frame."""
        return self.folder / f"{self.before}{frame:0{self.digits}d}{self.after}"

    def found(self) -> tuple[int, ...]:
        """The numbers of the frames that exist, in order."""
        return tuple(sorted(number for number in self._named() if self.path(number).is_file()))

    def padded_otherwise(self) -> tuple[Path, ...]:
        """The files of numbers that exist with other zeros alone, in order of their numbers."""
        named = self._named()
        return tuple(named[number] for number in sorted(named) if not self.path(number).is_file())

    def _named(self) -> dict[int, Path]:
        """The files with a number in the place, of any count of digits, by their numbers."""
        if not self.folder.is_dir():
            return {}
        name = re.compile(re.escape(self.before) + r"(-?\d+)" + re.escape(self.after))
        matches = ((path, name.fullmatch(path.name)) for path in sorted(self.folder.iterdir()))
        return {int(match[1]): path for path, match in matches if match is not None and path.is_file()}


def parse_frames(text: str) -> tuple[int, ...]:
    """The numbers, sorted, of "1-100", "1-100x2" (every second), "-8--1", "7", or several with commas.

    Raises InputError for anything else.
    """
    frames: set[int] = set()
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise InputError(f"frames is {text!r}; it must be like 1-100, 1-100x2 or 1,5,9-12")
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        if last < first or step < 1 or (last - first) // step >= MAX_FRAMES:
            raise InputError(f"frames is {text!r}; ranges go up by 1 or more, {MAX_FRAMES:,} frames at most")
        frames.update(range(first, last + 1, step))
    return tuple(sorted(frames))


@dataclass(frozen=True)
class Frame:
    """One picture of a shot."""

    number: int
    source: Path
    target: Path


def shot_of(source: object, target: Path, frames: str = "") -> tuple[Frame, ...]:
    """The frames that a request asks for; empty where `source` names one picture.

    frames: as for `parse_frames`; empty: all that are there. Raises InputError for a target without a place
    for the number, and for frames that are not there or have other zeros.
    """
    pattern = FramePattern.parse(source) if isinstance(source, Path) else None
    if pattern is None:
        if frames:
            raise InputError(
                f"frames is {frames!r}, and {str(source)!r} is one picture: write plate.####.exr or %04d"
            )
        return ()
    into = FramePattern.parse(target)
    if into is None:
        raise InputError(
            f"IN is a sequence, and OUT {str(target)!r} has no place for a frame's number, like ####"
        )
    there = pattern.found()
    wanted = parse_frames(frames) if frames else there
    known = frozenset(there)
    missing = [repr(str(pattern.path(number))) for number in wanted if number not in known]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(f"frames are missing: {', '.join(missing[:_SHOWN])}{more}")
    if not frames and (others := pattern.padded_otherwise()):
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(f"{str(source)!r} has another number of digits than {others[0].name!r}{more}")
    if not wanted:
        raise InputError(f"{str(source)!r}: there are no frames of that name")
    return tuple(Frame(number, pattern.path(number), into.path(number)) for number in wanted)


def described(shot: Sequence[Frame], frames: str = "", unread: Sequence[Frame] = ()) -> str:
    """A line about a shot. frames: as for `shot_of`; if empty, the line names frames that are missing.

    unread: those on which the curve does not rest, as `with_tones` gives them.
    """
    facts = [f"{counted(len(shot), 'frame')}, one curve"]
    if unread:
        said = _numbers((frame.number for frame in unread), len(unread))
        facts.append(f"{said} cannot be read: the curve is that of the others")
    if not frames and (gap := _gap(shot)):
        facts.append(gap)
    return "; ".join(facts)


def _gap(shot: Sequence[Frame]) -> str:
    """The frames that are missing between those that were found; a regular step (every second) is no gap."""
    numbers = [frame.number for frame in shot]
    steps = [after - before for before, after in pairwise(numbers)]
    if not steps or max(steps) == (step := min(steps)):
        return ""
    gaps = [range(before + step, after, step) for before, after in pairwise(numbers)]
    absent = _numbers(chain.from_iterable(gaps), sum(map(len, gaps)))
    return f"absent between {numbers[0]} and {numbers[-1]}: {absent}"


def _numbers(frames: Iterable[int], count: int) -> str:
    """The first few of `count` numbers of frames, and how many there are besides."""
    shown = ", ".join(map(str, islice(frames, _SHOWN)))
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    return f"frame{'s' * (count > 1)} {shown}{more}"


def with_tones(
    request: UpscaleRequest, shot: tuple[Frame, ...], seen: Callable[[int], None] = lambda _count: None
) -> tuple[UpscaleRequest, tuple[Frame, ...]]:
    """The request with the tone statistics of the whole shot, and the frames that could not be looked at.

    Every frame is read once and reduced. One that fails is not part of the statistics, and stops nothing: it
    fails again when its turn comes to be upscaled, and is told then. seen: called with the number of frames
    read so far. Raises InputError for what a shot does not take.
    """
    if request.reference is not None or request.boost_mask is not None:
        raise InputError("a sequence takes no reference and no boost_mask: they are of one picture")
    done = 0
    unread: dict[Frame, None] = {}

    def tones_of(frame: Frame) -> Tensor | None:
        nonlocal done
        tones = None
        try:
            tones = _tones(frame, request)
        except FATAL:
            raise
        except Exception:  # noqa: BLE001, RUF100 - as in a batch of pictures
            unread[frame] = None
        done += 1
        seen(min(done, len(shot)))
        return tones

    statistics = shot_statistics(shot, tones_of, request.boost, wrap=request.wrap)
    return replace(request, tones=statistics), tuple(unread)


def _tones(frame: Frame, request: UpscaleRequest) -> Tensor:
    """A sample of the frame's tones: (H, W, 3) float32 linear light. Raises the reader's errors."""
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
        picture = laid(frame.source, request, Path(folder) / "picture", request.choice)
        return tones_of(picture)
