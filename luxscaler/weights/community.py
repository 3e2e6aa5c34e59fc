"""Community models that `luxscaler models fetch` has fetched: their files, and a note beside each.

community/4x-Name.pth      the file as its author published it
community/4x-Name.json     name, author, licence, SHA-256 and address, as the index had them
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from luxscaler.errors import WeightsError

FOLDER = "community"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")

_LONGEST = 150
"""Characters of a name, so that with the suffixes of temporary files it fits any file system."""


@dataclass(frozen=True)
class FetchedModel:
    """A fetched model's file."""

    path: Path
    sha256: str
    """SHA-256 of the file when it was fetched, lower-case hexadecimal."""


def is_usable_name(name: str) -> bool:
    """Whether a model's name can be used as the name of its file."""
    return bool(_NAME.fullmatch(name)) and len(name) <= _LONGEST


def community_folder(weights: Path) -> Path:
    """The folder of fetched models in a weights folder."""
    return weights / FOLDER


def fetched_model(name: str, weights: Path) -> FetchedModel | None:
    """The fetched model of that name, case ignored; None if there is none.

    Raises `WeightsError` if its note cannot be read.
    """
    folder = community_folder(weights)
    if not is_usable_name(name) or not folder.is_dir():
        return None
    found = next((file for file in sorted(folder.glob("*.json")) if file.stem.lower() == name.lower()), None)
    if found is None:
        return None
    try:
        facts = json.loads(found.read_text(encoding="utf-8"))
        file, sha256 = str(facts["file"]), str(facts["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{found} is damaged: fetch {found.stem} again") from error
    if Path(file).name != file:
        raise WeightsError(f"{found} names {file!r}, which is no file beside it: fetch {found.stem} again")
    return FetchedModel(folder / file, sha256)
