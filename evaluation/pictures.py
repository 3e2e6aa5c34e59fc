"""Which pictures are judged, in which groups, and the cases of each: SDR, and what it should become.

    pairs         `NAME.sdr.*` beside `NAME.hdr.*`, or a file with a gain map: what an author shipped as SDR
                  and as HDR. One rendering; the boost is the HDR's own headroom, and nothing is capped.
    panoramas     HDR pictures of a folder most of whose pictures are 2:1 (within 1 %).
    photographs   All other HDR pictures.

The pictures of a folder that are no pairs are one group. A path may state it: `panoramas=FOLDER`.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.gain_maps import holds_gain_map, read_renderings
from evaluation.renderings import RENDERINGS
from luxscaler.errors import InputError
from luxscaler.io.read import read_header, read_picture
from luxscaler.options import MAX_BOOST, MIN_BOOST
from luxscaler.picture import FloatArray

PAIRS, PHOTOGRAPHS, PANORAMAS = "pairs", "photographs", "panoramas"
GROUPS = (PAIRS, PHOTOGRAPHS, PANORAMAS)
SHIPPED = "as shipped"
"""The rendering of a pair."""
SUFFIXES = (".exr", ".hdr", ".tif", ".tiff", ".avif", ".png", ".jxl", ".jpg", ".jpeg", ".heic")
"""Results of an earlier run lie in a folder of their own and are not read."""
HEADROOM_PERCENTILE = 99.99
"""Of max(R, G, B) of a pair's HDR rendering: its headroom. A few stray pixels do not set it."""
PANORAMA_SHAPE, SHAPE_TOLERANCE = 2.0, 0.01


@dataclass(frozen=True)
class Source:
    """A picture to judge."""

    name: str
    """NAME of a pair of files, else the file's name: unique within a run. What a fit is told to leave out."""
    group: str
    path: Path
    """The HDR picture, or the file that holds both renderings."""
    sdr_path: Path | None = None
    """The SDR rendering of a pair of files."""


@dataclass(frozen=True)
class Case:
    """One rendering of a picture, and how an expansion of it is judged."""

    rendering: str
    sdr: FloatArray
    """(H, W, 3) float32, linear, in [0, 1]."""
    reference: FloatArray
    """The same shape, 1.0 = 203 cd/m², not negative."""
    boost: float
    """What every method may raise SDR white to."""


def find(paths: Sequence[str]) -> list[Source]:
    """The pictures in folders and files, by group and name; `GROUP=PATH` states the group of what is no pair.

    Raises InputError for a path without pictures, a pair with one half, two pictures of one name; OSError.
    """
    found = [source for path in paths for source in _in(path)]
    for name, count in Counter(source.name for source in found).items():
        if count > 1:
            where = ", ".join(str(source.path) for source in found if source.name == name)
            raise InputError(f"{count} pictures are called {name}: {where}; a name stands for one picture")
    return sorted(found, key=lambda source: (GROUPS.index(source.group), source.name))


def cases(source: Source, boost: float) -> Iterator[Case]:
    """Every rendering of a picture; `boost` is for those made here. Raises PictureError, InputError."""
    if source.group == PAIRS:
        yield shipped(source)
        return
    hdr = np.maximum(read_picture(source.path).rgb, 0)
    for name, render in RENDERINGS.items():
        made = render(hdr)
        yield Case(name, made.sdr, made.reference, boost)


def shipped(source: Source) -> Case:
    """The case of a pair. Raises InputError where its halves differ in size."""
    if source.sdr_path is None:
        pair = read_renderings(source.path)
        sdr, hdr = pair.sdr, pair.hdr
    else:
        sdr, hdr = read_picture(source.sdr_path).rgb, read_picture(source.path).rgb
    if sdr.shape != hdr.shape:
        sizes = " and ".join(f"{rgb.shape[1]} × {rgb.shape[0]}" for rgb in (sdr, hdr))
        raise InputError(
            f"{source.name}: the SDR and the HDR rendering are {sizes}; they must be of one size"
        )
    return Case(SHIPPED, np.clip(sdr, 0, 1), np.maximum(hdr, 0), headroom(hdr))


def headroom(hdr: FloatArray) -> float:
    """How far a picture rises above SDR white: the 99.99th percentile of max(R, G, B), from 1 to 49."""
    level = float(np.percentile(hdr.max(axis=2), HEADROOM_PERCENTILE))
    return min(max(level, MIN_BOOST), MAX_BOOST)


def _in(text: str) -> list[Source]:
    stated, _, after = text.partition("=")
    group, path = (stated, Path(after)) if stated in (PHOTOGRAPHS, PANORAMAS) else (None, Path(text))
    inside = [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]
    files = sorted(file for file in inside if file.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{path} holds no picture ({', '.join(SUFFIXES)})")
    singles = [file for file in files if not _half(file)]
    maps = [Source(file.name, PAIRS, file) for file in singles if holds_gain_map(file)]
    others = [file for file in singles if not holds_gain_map(file)]
    group = group or _group_of(others)
    return [*_pairs(files), *maps, *(Source(file.name, group, file) for file in others)]


def _half(file: Path) -> str:
    """ ".sdr" of NAME.sdr.png, ".hdr" of NAME.hdr.exr, "" of any other."""
    inner = Path(file.stem).suffix.lower()
    return inner if inner in (".sdr", ".hdr") else ""


def _pairs(files: Sequence[Path]) -> list[Source]:
    halves = {(Path(file.stem).stem, _half(file)): file for file in files if _half(file)}
    found = []
    for name, half in sorted(halves):
        other = ".hdr" if half == ".sdr" else ".sdr"
        if (name, other) not in halves:
            raise InputError(f"{halves[name, half]} has no {name}{other} beside it")
        if half == ".hdr":
            found.append(Source(name, PAIRS, halves[name, half], halves[name, other]))
    return found


def _group_of(files: Sequence[Path]) -> str:
    wide = sum(_is_panorama(file) for file in files)
    return PANORAMAS if 2 * wide > len(files) else PHOTOGRAPHS


def _is_panorama(file: Path) -> bool:
    header = read_header(file)
    return abs(header.width / header.height - PANORAMA_SHAPE) <= SHAPE_TOLERANCE * PANORAMA_SHAPE
