"""Pictures that were dropped onto the page: kept under ids, described, removed by age.

    data/pictures/ID/picture.SUFFIX   the file as it came; its suffix follows from its content
    data/pictures/ID/about.json       the name that it had, and what its header says

A name from the browser is text that is shown, never part of a path.
"""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxscaler.clock import Clock, iso
from luxscaler.console.headers import header_and_layers, without_path
from luxscaler.console.jobs import Jobs
from luxscaler.console.settings import Settings
from luxscaler.errors import PictureError
from luxscaler.gateway.problems import Problem
from luxscaler.private_files import private_folder, write_private
from luxscaler.replicate.signing import new_id

_ID = re.compile(r"[a-z0-9]{26}")
_ABOUT, _STEM = "about.json", "picture"
_MOST_NAME = 200
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that turn the direction of the text around a name."""
_SUFFIXES = {
    **{"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "exr": ".exr", "hdr": ".hdr"},
    **{"avif": ".avif", "heic": ".heic", "jxl": ".jxl", "raw": ".dng", "bmp": ".bmp", "gif": ".gif"},
}
"""By format: those that jobs may be made from (packing.py)."""


@dataclass(frozen=True)
class KeptPicture:
    """An uploaded picture."""

    id: str
    path: Path
    about: dict[str, Any]
    """name, added_at, bytes, format, width, height, bits, is_float, channels, has_alpha, color_space,
    notices, gain_map; of an EXR: layers, those that can be chosen, and has_main_layer, whether one is read
    without a choice."""

    def shown(self) -> dict[str, Any]:
        """The picture as the API shows it; `source` is what a job is made from."""
        return {"id": self.id, "source": str(self.path), **self.about}


class Pictures:
    """The uploaded pictures of one console. Raises OSError if the folder cannot be made."""

    def __init__(self, settings: Settings, jobs: Jobs, clock: Clock) -> None:
        self._settings, self._jobs, self._clock = settings, jobs, clock
        self._folder = settings.pictures
        private_folder(self._folder)
        self.remove_old()

    def begin(self) -> Path:
        """A new folder for an upload, named by its id. Raises Problem (413) where there is no room."""
        self.remove_old()
        used = sum(path.stat().st_size for path in self._folder.glob(f"*/{_STEM}.*"))
        if used >= self._settings.max_pictures_bytes:
            raise Problem(
                413,
                f"The uploaded pictures take {used / 2**30:.1f} GiB, and "
                f"{self._settings.max_pictures_bytes / 2**30:.1f} GiB is the most: remove some",
            )
        folder = self._folder / new_id()
        private_folder(folder)
        return folder

    def finish(self, upload: Path, name: str) -> KeptPicture:
        """Read the header of a whole upload, and keep it. upload: a file in the folder from `begin`.

        Raises Problem (422) for what is no picture.
        """
        about = self._about(upload, name)
        path = upload.with_name(_STEM + _SUFFIXES[about["format"]])
        upload.replace(path)
        write_private(path.with_name(_ABOUT), json.dumps(about))
        return KeptPicture(path.parent.name, path, about)

    def abandon(self, folder: Path) -> None:
        """Remove an upload that broke off or is no picture."""
        shutil.rmtree(folder, ignore_errors=True)

    def get(self, name: str) -> KeptPicture:
        """The picture of that id. Raises Problem (404)."""
        found = self._read(self._folder / name) if _ID.fullmatch(name) else None
        if found is None:
            raise Problem(
                404, f"There is no picture {name[:40]!r}: it has been removed, by hand or by its age"
            )
        return found

    def listed(self) -> list[KeptPicture]:
        """All pictures, newest first."""
        return sorted(self._all(), key=lambda each: (each.about["added_at"], each.id), reverse=True)

    def remove(self, name: str) -> None:
        """Remove a picture. Raises Problem: 404, and 409 while a job uses it."""
        picture = self.get(name)
        if str(picture.path) in self._in_use():
            raise Problem(409, f"A job is under way with {picture.about['name']!r}: cancel it first")
        self.abandon(picture.path.parent)

    def remove_old(self) -> None:
        """Remove pictures that are older than the settings allow, unless a job uses them."""
        oldest, in_use = self._clock.now() - self._settings.picture_seconds, self._in_use()
        for folder in self._folder.iterdir():
            is_old = folder.stat().st_mtime < oldest
            if is_old and not any(Path(source).parent == folder for source in in_use):
                self.abandon(folder)

    def _in_use(self) -> set[str]:
        return self._jobs.sources_in_use()

    def _all(self) -> Iterator[KeptPicture]:
        for folder in self._folder.iterdir():
            if _ID.fullmatch(folder.name) and (found := self._read(folder)) is not None:
                yield found

    def _read(self, folder: Path) -> KeptPicture | None:
        """The picture in a folder; None for an upload that is not complete."""
        try:
            about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            path = folder / (_STEM + _SUFFIXES[about["format"]])
        except (OSError, ValueError, KeyError):
            return None
        return KeptPicture(folder.name, path, about) if path.is_file() else None

    def _about(self, path: Path, name: str) -> dict[str, Any]:
        shown = _UNSEEN.sub("", name).strip()[:_MOST_NAME] or "picture"
        try:
            header, layers, has_main = header_and_layers(path)
        except PictureError as error:
            raise Problem(422, f"{shown}: {without_path(str(error), path)}", field="body") from error
        if header.format not in _SUFFIXES:
            raise Problem(
                422,
                f"{shown}: a picture in the format {header.format}; the console takes {', '.join(_SUFFIXES)} "
                "(`luxscaler upscale` reads it)",
                field="body",
            )
        return {
            "name": shown,
            "added_at": iso(self._clock.now()),
            "bytes": path.stat().st_size,
            "format": header.format,
            "width": header.width,
            "height": header.height,
            "bits": header.bits,
            "is_float": header.is_float,
            "channels": header.channels,
            "has_alpha": header.has_alpha,
            "color_space": header.color_space,
            "gain_map": header.gain_map,
            "notices": list(header.notices),
            "layers": layers,
            "has_main_layer": has_main,
        }
