"""The tar that a training in the container returns, and how a container loads the network in it."""

import io
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from luxscaler.errors import WeightsError
from luxscaler.weights.store import MAX_CHECKPOINT_BYTES, LoadedNetwork, load_network

MODEL = "model.safetensors"
"""Name of the network in the tar."""
_SCHEMES = ("http", "https", "data")
_TIMEOUT_S = 60.0
_MAX_BYTES = 2 * MAX_CHECKPOINT_BYTES
_CHUNK = 1 << 20


def write_bundle(target: Path, files: Mapping[str, Path]) -> None:
    """Write a tar of files under these names; its bytes depend on names and contents alone."""
    with tarfile.open(target, "w") as bundle:
        for name, path in files.items():
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            bundle.addfile(member, io.BytesIO(data))


def load_bundle(source: str) -> LoadedNetwork:
    """The network of a bundle, or of a .safetensors file, at a path or URL. Raises WeightsError."""
    with tempfile.TemporaryDirectory(prefix="luxscaler-weights-") as folder:
        path = Path(folder) / "bundle"
        if urlsplit(source).scheme in _SCHEMES:
            _fetch(source, path)
        elif Path(source).is_file():
            path = Path(source)
        else:
            raise WeightsError(f"no trained weights at {source[:200]!r}")
        model = Path(folder) / MODEL
        model.write_bytes(_model(path) if tarfile.is_tarfile(path) else path.read_bytes())
        return load_network(model)


def _fetch(url: str, path: Path) -> None:
    done = 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, path.open("wb") as file:  # noqa: S310 - _SCHEMES
            while chunk := answer.read(_CHUNK):
                done += len(chunk)
                if done > _MAX_BYTES:
                    raise WeightsError(f"trained weights have more than {_MAX_BYTES:,} bytes")
                file.write(chunk)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise WeightsError(f"trained weights cannot be fetched from {url[:200]!r}: {error}") from error


def _model(path: Path) -> bytes:
    try:
        with tarfile.open(path, "r:") as bundle:
            member = bundle.getmember(MODEL)
            content = bundle.extractfile(member)
            if content is None or member.size > MAX_CHECKPOINT_BYTES:
                raise WeightsError(f"{MODEL} in the trained weights is no file of a usable size")
            return content.read()
    except (tarfile.TarError, KeyError, OSError) as error:
        raise WeightsError(f"the trained weights are no tar with {MODEL}: {error}") from error
