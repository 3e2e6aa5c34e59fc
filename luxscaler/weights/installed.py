"""The weights folder: which of the catalogue's files lie in it, and whether they are the right ones.

A weights file counts only if its SHA-256 is the one that the catalogue pins.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from luxscaler.errors import WeightsError
from luxscaler.weights.catalogue import Entry, Source, load_catalogue
from luxscaler.weights.download import sha256_of

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder of the repository or the container's image, if the package runs from one; else site-packages."""
FOLDER_VARIABLE = "LUXSCALER_WEIGHTS"


@dataclass(frozen=True)
class WeightsStatus:
    """What the weights folder holds of one entry."""

    entry: Entry
    state: Literal["absent", "verified", "damaged"]
    path: Path | None = None
    """The file; None if absent."""
    size: int = 0
    """Bytes of the file that is there; 0 if absent."""
    digest: str = ""
    """SHA-256 of the file that is there."""
    source: Source | None = None
    """The source that the file's name belongs to."""


def weights_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`LUXSCALER_WEIGHTS` if set, else the checkout's weights/, else a folder in the user's cache."""
    if chosen := environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    if (CHECKOUT / "predict.py").is_file():
        return CHECKOUT / "weights"
    return platformdirs.user_cache_path("luxscaler", appauthor=False) / "weights"


def list_weights(folder: Path | None = None, entries: Sequence[Entry] | None = None) -> list[WeightsStatus]:
    """The status of every entry, hashes computed; raises `WeightsError` if a file cannot be read."""
    folder = folder or weights_folder()
    return [status_of(entry, folder) for entry in (load_catalogue() if entries is None else entries)]


def verify(
    names: Sequence[str] | None = None, folder: Path | None = None, entries: Sequence[Entry] | None = None
) -> list[WeightsStatus]:
    """Status of the named entries (None: all), each of them verified.

    Raises `WeightsError` on the first that is absent or damaged, or on a name that is not known.
    """
    folder = folder or weights_folder()
    statuses = [status_of(entry, folder) for entry in choose_entries(names, entries)]
    for status in statuses:
        if status.state == "absent":
            raise absent_error(status.entry, folder)
        if status.state == "damaged":
            raise damaged_error(status)
    return statuses


def status_of(entry: Entry, folder: Path) -> WeightsStatus:
    """The status of one entry, hash computed; raises `WeightsError` if the file cannot be read."""
    source = installed_source(entry, folder)
    if source is None:
        return WeightsStatus(entry, "absent")
    path = folder / source.file.name
    try:
        digest, size = sha256_of(path), path.stat().st_size
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    state: Literal["verified", "damaged"] = "verified" if digest == source.file.sha256 else "damaged"
    return WeightsStatus(entry, state, path, size, digest, source)


def choose_entries(names: Sequence[str] | None, entries: Sequence[Entry] | None) -> list[Entry]:
    """The named entries, all for None; raises `WeightsError` on a name that is not known."""
    known = {entry.name: entry for entry in (load_catalogue() if entries is None else entries)}
    if unknown := [name for name in names or () if name not in known]:
        raise WeightsError(f"no weights called {unknown[0]!r}; known names: {', '.join(known)}")
    return [known[name] for name in (known if names is None else names)]


def installed_source(entry: Entry, folder: Path) -> Source | None:
    """The first source whose file is in the folder, whatever it holds; None if there is no file."""
    return next((source for source in entry.sources if (folder / source.file.name).is_file()), None)


def absent_error(entry: Entry, folder: Path) -> WeightsError:
    """The error for an entry of which no file is in the folder."""
    return WeightsError(
        f"weights {entry.name!r} are not in {folder}; get them with `luxscaler weights fetch {entry.name}`"
    )


def damaged_error(status: WeightsStatus) -> WeightsError:
    """The error for a file that is not the pinned one."""
    expected = status.source.file.sha256 if status.source else "nothing"
    return WeightsError(
        f"{status.path} is not what the catalogue pins: SHA-256 {status.digest}, expected {expected}; "
        f"repair it with `luxscaler weights fetch --force {status.entry.name}`"
    )
