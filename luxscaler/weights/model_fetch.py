"""Fetches the index of models, which is kept on disk, and a model of it, which is checked by its SHA-256.

Addresses in the index come from strangers: web/fetch.py goes to public ones only, within limits.
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
"""How long the index on disk is used without a look at the published one."""
_INDEX_LIMITS = FetchLimits(bytes=64 * 2**20, seconds=120.0)
_MODEL_LIMITS = FetchLimits(bytes=2 * 2**30, seconds=3 * 3600.0, slow_seconds=30.0, slow_bytes=1024)
"""Slow is what a person would not wait for: they may end it themselves."""
_ATTEMPTS = 5
"""Connections to one address; another is made only after one that brought something."""
_HTML = "text/html"
Progress = Callable[[int, int | None], None]
"""Called with the bytes done, and in all if that is known."""


@dataclass(frozen=True)
class Index:
    """The index, and where it came from."""

    models: tuple[Model, ...]
    notices: tuple[str, ...] = ()


def load_index(
    folder: Path, url: str = INDEX_URL, *, refresh: bool = False, now: Callable[[], float] = time.time
) -> Index:
    """The index: the copy in the folder if it is a day old at most, else the published one.

    refresh: look at the published one in any case. url: the user's own choice, which may lead anywhere. Where
    it cannot be fetched an older copy is used, with a notice. Raises WeightsError and FetchError.
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
    """`reach`, and the host of that address, wherever it leads."""
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
    """Bring a model into the weights folder, or find it there with the right SHA-256.

    force: fetch it in any case. Raises `WeightsError` if its licence forbids commercial use (or none is
    stated) and was not accepted, if no host gives the file without a person, if the index has no SHA-256 of
    it, or if none of the addresses gives the right file, with the reason of each.
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
    except WeightsError:  # its note is damaged, which another fetch mends
        return None


def _sources(model: Model) -> list[tuple[ModelFile, str]]:
    """Files with addresses that give them, the best first; WeightsError if there are none, and why."""
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
        # By its hash: what is left of another version must not be gone on with.
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
    """The body into `part`, behind what is there; again where it was cut, as long as that brings more.

    Of what is cut the beginning stays in `part`, where its size can tell that it is one.
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
    """What is known of a fetched file, beside it."""
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
