"""Fetches OpenModelDB's index, which is cached on disk, and models of it, which are checked by SHA-256.

Addresses in the index are untrusted: web/fetch.py connects to public ones only, within limits.
"""

import hashlib
import http
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from luxscaler.errors import FetchError, WeightsError
from luxscaler.web.fetch import FetchLimits, fetch
from luxscaler.web.reach import PUBLIC, Reach
from luxscaler.weights.community import FetchedModel, community_folder, fetched_model
from luxscaler.weights.download import claimed_part, sha256_of, write_atomically
from luxscaler.weights.model_index import FILE_KINDS, Model, ModelFile, parse_index
from luxscaler.words import counted

INDEX_URL = "https://openmodeldb.info/api/v1/models.json"
FRESH_SECONDS = 24 * 3600.0
"""How long the cached index is used without asking for the published one."""
_INDEX_LIMITS = FetchLimits(bytes=64 * 2**20, seconds=120.0)
_MODEL_LIMITS = FetchLimits(bytes=2 * 2**30, seconds=3 * 3600.0, slow_seconds=30.0, slow_bytes=1024)
"""Only a transfer that nearly stands still is ended; a slow one, the user can stop."""
_ATTEMPTS = 5
"""Most connections to one address; after one that brought no bytes, no other is made."""
_HTML = "text/html"
Progress = Callable[[int, int | None], None]
"""Called with the bytes done, and in all if that is known."""


@dataclass(frozen=True)
class Index:
    """The index, and notices about its age."""

    models: tuple[Model, ...]
    notices: tuple[str, ...] = ()


def load_index(
    folder: Path, url: str = INDEX_URL, *, refresh: bool = False, now: Callable[[], float] = time.time
) -> Index:
    """The index: the cached copy if it is at most a day old, else the published one.

    refresh: fetch the published one in any case. url: chosen by the user, so private addresses are allowed.
    If it cannot be fetched, an older copy is used, with a notice. Raises WeightsError and FetchError.
    """
    copy = folder / f"models-{hashlib.sha256(url.encode()).hexdigest()[:12]}.json"
    age = now() - copy.stat().st_mtime if copy.is_file() else None
    if age is not None and age < FRESH_SECONDS and not refresh:
        return Index(parse_index(_read(copy)))
    try:
        data = _fetched_bytes(url)
        models = parse_index(data)
    except (FetchError, WeightsError) as error:
        if age is None:
            raise
        days = (
            counted(round(age / 86400), "day")
            if age >= 2 * FRESH_SECONDS
            else counted(round(age / 3600), "hour")
        )
        return Index(parse_index(_read(copy)), (f"the index is {days} old: {error}",))
    _make(folder)
    write_atomically(copy, data)
    return Index(models)


def chosen_by_user(url: str, reach: Reach = PUBLIC) -> Reach:
    """`reach` extended by the host of that address, even if it is a private one."""
    host = urlsplit(url).hostname
    return replace(reach, hosts=reach.hosts | {host.lower()}) if host else reach


def fetch_model(
    model: Model,
    weights: Path,
    *,
    accept_licence: bool = False,
    force: bool = False,
    reach: Reach = PUBLIC,
    progress: Progress = lambda _done, _total: None,
) -> FetchedModel:
    """Fetch a model into the weights folder, unless it is there with the right SHA-256.

    force: fetch it in any case. reach: the addresses that may be connected to. Raises `WeightsError` if its
    licence forbids commercial use (or none is stated) and was not accepted, if every host requires a browser,
    if the index has no SHA-256, or if no address returns the right file, with the reason of each.
    """
    here = None if force else _here(model, weights)
    if here is not None and here.path.is_file() and sha256_of(here.path) == here.sha256:
        return here
    if not model.is_free and not accept_licence:
        raise WeightsError(
            f"the licence of {model.id} is {model.licence_words}: give --accept-licence if your use fits it"
        )
    failures = []
    for file, url in _sources(model):
        try:
            return _fetch_file(model, file, url, weights, reach, progress)
        except (FetchError, WeightsError) as error:  # noqa: PERF203 - each try is a download
            failures.append(str(error))
    raise WeightsError(f"{model.id} cannot be fetched: {'; '.join(failures)}")


def _here(model: Model, weights: Path) -> FetchedModel | None:
    try:
        return fetched_model(model.id, weights)
    except WeightsError:  # its note is damaged; fetching again writes a new one
        return None


def _sources(model: Model) -> list[tuple[ModelFile, str]]:
    """Files with their direct addresses, the best first. Raises WeightsError, with the reason, if there are
    none."""
    if not model.files:
        raise WeightsError(f"{model.id} has no file for PyTorch in the index, which LuxScaler would need")
    checked = [file for file in model.files if file.sha256]
    if not checked:
        raise WeightsError(f"{model.id} has no SHA-256 in the index, and is not fetched without one")
    sources = [(file, url) for file in checked for url in file.direct_urls]
    if not sources:
        pages = ", ".join(dict.fromkeys(url for file in model.files for url in file.urls)) or "no address"
        hosts = ", ".join(model.hosts) or "none"
        raise WeightsError(
            f"{model.id} is on a host without a direct download ({hosts}): open {pages} in a browser, "
            "save the file, and give its path to --model"
        )
    return sources


def _fetch_file(
    model: Model, file: ModelFile, url: str, weights: Path, reach: Reach, progress: Progress
) -> FetchedModel:
    assert file.sha256  # noqa: S101 - _sources
    folder = _make(community_folder(weights))
    target = folder / f"{model.id}{FILE_KINDS[file.kind]}"
    try:
        # Named by its hash: a download of another version must not be resumed.
        with claimed_part(folder / f"{target.name}.{file.sha256[:12]}") as part:
            _receive_all(url, part, file, reach, progress)
            if (digest := sha256_of(part)) != file.sha256:
                part.unlink()
                raise WeightsError(
                    f"{url}: SHA-256 of what came is {digest}, the index has {file.sha256}; deleted"
                )
            part.replace(target)
        _note(model, file, url, target)
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error
    return FetchedModel(target, file.sha256)


def _receive_all(url: str, part: Path, file: ModelFile, reach: Reach, progress: Progress) -> None:
    """Append the rest of the file to `part`, connecting again while each connection brings more.

    After a failure `part` keeps what arrived, if the file's size is known, so that the next call can resume.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        before = part.stat().st_size
        try:
            _receive(url, part, file, reach, progress)
        except (FetchError, WeightsError) as error:
            now = part.stat().st_size
            is_beside = getattr(error, "status", 0) == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            if is_beside or not now < (file.size or 0):
                part.write_bytes(b"")
            if attempt == _ATTEMPTS or not (is_beside or before < now < (file.size or 0)):
                raise
        else:
            return


def _receive(url: str, part: Path, file: ModelFile, reach: Reach, progress: Progress) -> None:
    """One connection."""
    have = part.stat().st_size
    if have and have == file.size:
        return
    with part.open("r+b") as out:

        def begin(start: int, content_type: str) -> None:
            if content_type.partition(";")[0].strip().lower() == _HTML:
                raise WeightsError(f"{url}: a web page came, not a file; open it in a browser")
            out.truncate(start)
            out.seek(start)

        def write(piece: bytes) -> None:
            out.write(piece)
            progress(out.tell(), file.size)

        limits = replace(_MODEL_LIMITS, bytes=file.size or _MODEL_LIMITS.bytes)
        fetch(url, write, limits=limits, reach=reach, start=have, begin=begin)


def _note(model: Model, file: ModelFile, url: str, target: Path) -> None:
    """Write the note beside a fetched file."""
    facts = {
        "file": target.name,
        "sha256": file.sha256,
        "id": model.id,
        "name": model.name,
        "authors": model.authors,
        "licence": model.licence,
        "architecture": model.architecture,
        "scale": model.scale,
        "url": url,
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    write_atomically(target.with_name(f"{model.id}.json"), text.encode())


def _fetched_bytes(url: str) -> bytes:
    pieces: list[bytes] = []
    fetch(url, pieces.append, limits=_INDEX_LIMITS, reach=chosen_by_user(url))
    return b"".join(pieces)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(f"cannot make {folder}: {error.strerror or error}") from error
    return folder
