"""OpenModelDB's published index of models: parsed and searched. Its content is untrusted.

{"4x-Name": {"name": …, "author": …, "license": …, "architecture": …, "scale": 4, "resources": [
    {"platform": "pytorch", "type": "pth", "size": …, "sha256": …, "urls": […]}]}, …}
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from luxscaler.errors import WeightsError
from luxscaler.weights.community import is_usable_name

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NON_COMMERCIAL = re.compile(r"(?<![a-z])nc(?![a-z])|non-?commercial", re.IGNORECASE)
_PLATFORM = "pytorch"
FILE_KINDS = {"safetensors": ".safetensors", "pth": ".pth", "pt": ".pt", "ckpt": ".ckpt"}
"""The index's names of loadable file types, the best first, and their suffixes."""
OWN_ARCHITECTURES = ("esrgan", "esrgan+", "compact")
"""The index's names of architectures that run without the extra `models`."""
_BY_HAND = (
    *("mega.nz", "mega.co.nz", "drive.google.com", "docs.google.com", "1drv.ms", "onedrive.live.com"),
    *("mediafire.com", "icedrive.net", "workupload.com", "gofile.io", "pan.baidu.com", "yadi.sk"),
    *("disk.yandex.ru", "pixeldrain.com", "we.tl", "wetransfer.com", "sharepoint.com", "anonfiles.com"),
    *("dropbox.com", "discord.com", "discord.gg", "openmodeldb.info"),
)
"""Hosts whose links lead to a page, where a person has to press a button."""
_ARCHIVES = (".zip", ".7z", ".rar", ".gz", ".tar")
_SUGGESTIONS = 5


@dataclass(frozen=True)
class ModelFile:
    """One file of a model."""

    kind: str
    """A key of FILE_KINDS."""
    size: int | None
    """Bytes."""
    sha256: str | None
    """Lower-case hexadecimal."""
    urls: tuple[str, ...]

    @property
    def direct_urls(self) -> tuple[str, ...]:
        """Addresses of the file itself, not of a page about it."""
        return tuple(found for url in self.urls if (found := direct_url(url)))


@dataclass(frozen=True)
class Model:
    """One model of the index."""

    id: str
    """What it is fetched by, e.g. "4x-UltraSharp"."""
    name: str
    authors: tuple[str, ...]
    licence: str
    """SPDX expression; empty if the author stated none."""
    architecture: str
    scale: int
    in_channels: int
    out_channels: int
    date: str
    tags: tuple[str, ...]
    description: str
    files: tuple[ModelFile, ...]
    """The files that can be loaded, the best first."""

    @property
    def is_free(self) -> bool:
        """Whether a licence is stated that does not forbid commercial use."""
        return bool(self.licence) and not _NON_COMMERCIAL.search(self.licence)

    @property
    def licence_words(self) -> str:
        """The licence, and what it forbids, for people."""
        if not self.licence:
            return "none stated: by law nothing is allowed, ask the author"
        return self.licence if self.is_free else f"{self.licence} (no commercial use)"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of its files."""
        names = (urlsplit(url).hostname or "" for file in self.files for url in file.urls)
        return tuple(dict.fromkeys(names))


def direct_url(url: str) -> str:
    """The address of the file behind a link of the index; empty if only a page is there."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    if any(host == name or host.endswith(f".{name}") for name in _BY_HAND):
        return ""
    if PurePosixPath(parts.path).suffix.lower() in _ARCHIVES:
        return ""
    words = {"github.com": "raw", "huggingface.co": "resolve"}
    if host in words:
        return url.replace("/blob/", f"/{words[host]}/", 1)
    return url


def parse_index(data: bytes) -> tuple[Model, ...]:
    """The models of an index; malformed entries are left out.

    Raises `WeightsError` for anything that is not such an index.
    """
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"the index of models is not JSON: {type(error).__name__}") from error
    if not isinstance(content, Mapping):
        raise WeightsError("the index of models is not an object of models by their ids")
    models = [found for name, value in content.items() if (found := _model(name, value))]
    if content and not models:
        raise WeightsError("the index of models has no entry that can be read")
    return tuple(models)


def search(
    models: Iterable[Model], words: Iterable[str] = (), *, scale: int | None = None, architecture: str = ""
) -> list[Model]:
    """The models whose id, name, authors, tags, licence, architecture or description hold all words."""
    wanted = [word.lower() for word in words]
    found = []
    for model in models:
        text = " ".join(
            (model.id, model.name, *model.authors, *model.tags, model.architecture, model.licence)
        )
        text = f"{text} {model.description}".lower()
        fits = scale in (None, model.scale) and _plain(architecture) in ("", _plain(model.architecture))
        if fits and all(word in text for word in wanted):
            found.append(model)
    return sorted(found, key=lambda model: (model.scale, model.id.lower()))


def find(models: Iterable[Model], name: str) -> Model:
    """The model of that id or name, case ignored.

    Raises `WeightsError`, with similar names, if there is none or more than one.
    """
    known = list(models)
    wanted = name.lower()
    by_id = [model for model in known if model.id.lower() == wanted]
    found = by_id or [model for model in known if model.name.lower() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{name!r} is the name of several models: {_list(model.id for model in found)}")
    alike = difflib.get_close_matches(wanted, [model.id.lower() for model in known], _SUGGESTIONS)
    near = [model.id for model in known if model.id.lower() in alike or wanted in model.id.lower()]
    more = f"; there are {_list(near)}" if near else ""
    raise WeightsError(f"no model called {name!r} in the index{more}")


def _list(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids)[:_SUGGESTIONS])


def _plain(name: str) -> str:
    """An architecture's name without the punctuation and case in which spellings differ."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _model(name: str, value: Any) -> Model | None:
    """One entry; None if it is malformed, or its id could not be the name of a file."""
    if not is_usable_name(name) or not isinstance(value, Mapping):
        return None
    author, resources = value.get("author"), value.get("resources")
    scale = _whole(value.get("scale"))
    if scale is None or not isinstance(resources, list):
        return None
    files = [found for resource in resources if (found := _file(resource))]
    order = list(FILE_KINDS)
    return Model(
        id=name,
        name=_text(value.get("name")) or name,
        authors=_texts(author if isinstance(author, list) else [author]),
        licence=_text(value.get("license")),
        architecture=_text(value.get("architecture")),
        scale=scale,
        in_channels=_whole(value.get("inputChannels")) or 3,
        out_channels=_whole(value.get("outputChannels")) or 3,
        date=_text(value.get("date")),
        tags=_texts(value.get("tags")),
        description=_text(value.get("description")),
        files=tuple(sorted(files, key=lambda file: order.index(file.kind))),
    )


def _file(value: Any) -> ModelFile | None:
    """A file of a kind that can be loaded; None for any other."""
    if not isinstance(value, Mapping) or value.get("platform", _PLATFORM) != _PLATFORM:
        return None
    kind, digest = value.get("type"), str(value.get("sha256") or "").lower()
    if kind not in FILE_KINDS:
        return None
    known = digest if _SHA256.fullmatch(digest) else None
    return ModelFile(str(kind), _whole(value.get("size")), known, _texts(value.get("urls")))


def _text(value: Any) -> str:
    """Text on one line, without control characters, which a terminal would obey."""
    text = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for one in value if (text := _text(one))) if isinstance(value, list) else ()


def _whole(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return int(value) if is_number else None
