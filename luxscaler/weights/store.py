"""Loads a network by its name: of the catalogue, of a fetched model, or the path of a checkpoint.

A file of the catalogue is used only if its SHA-256 is the pinned one; it is read into memory once, hashed,
and parsed from those same bytes. Nothing is downloaded here: absent weights are an error that names the
command that fetches them (fetch.py).
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from luxscaler.errors import WeightsError
from luxscaler.networks.build import AnyConfig, AnyNetwork, Network
from luxscaler.networks.foreign import ForeignNetwork
from luxscaler.weights.adapter import merge, parse_adapter
from luxscaler.weights.catalogue import Entry, known_names, load_catalogue
from luxscaler.weights.checkpoint import (
    build_loaded,
    own_state,
    read_state_dict,
    read_tensors,
    safetensors_bytes,
)
from luxscaler.weights.community import fetched_model
from luxscaler.weights.download import write_atomically
from luxscaler.weights.installed import (
    absent_error,
    damaged_error,
    installed_source,
    status_of,
    weights_folder,
)
from luxscaler.weights.namings import StateDict, infer_config, is_compact, is_esrgan, readings
from luxscaler.weights.spandrel_loader import load_foreign
from luxscaler.weights.unsupported import unsupported_error, unsupported_name

MAX_CHECKPOINT_BYTES = 2 * 1024**3
"""Size of the largest checkpoint that is read; the largest known one has 700 MB."""
_SCALE_3 = re.compile(r"(x3|3x)(?![a-z0-9])", re.IGNORECASE)
"""In a file's name: the scale of an ESRGAN with one upsampling step, which its weights do not show, is 3."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network ready for inference, on the CPU."""

    module: AnyNetwork
    """float32, eval mode, no gradients; see `networks/rrdb.py` for shapes and ranges."""
    config: AnyConfig
    name: str
    """Name in the catalogue, or the file's name without its suffix."""
    source: str
    """"release" or "wheel", or the path of a checkpoint or adapter that is not in the catalogue."""
    digest: str
    """SHA-256 of the file; with an adapter, of both files' hashes."""

    @property
    def scale(self) -> int:
        """Output size / input size."""
        return self.config.scale

    @property
    def own(self) -> Network:
        """The module, if it is an ESRGAN or Compact. Raises WeightsError for one that spandrel loaded."""
        if isinstance(self.module, ForeignNetwork):
            raise WeightsError(
                f"{self.name} is {self.module.config.architecture}; this is for ESRGAN and Compact alone"
            )
        return self.module


def load_network(
    name_or_path: str | Path, folder: Path | None = None, entries: Sequence[Entry] | None = None
) -> LoadedNetwork:
    """Load the network of a catalogue name (str), a fetched model's name, or a checkpoint's path.

    A checkpoint is a .pth, .pt, .ckpt or .safetensors file.
    A checkpoint of any other architecture than ESRGAN and Compact is loaded by spandrel.
    `NETWORK+ADAPTER.safetensors` is either of them, changed by an adapter that was trained on it.

    folder: where the catalogue's files are; default `weights_folder()`. entries: default the catalogue.
    Nothing is downloaded and nothing in a file is executed.

    Raises `WeightsError` if the name is neither known nor a file, the weights are not there or not the
    pinned ones, or the checkpoint is unreadable or of an unknown architecture.
    """
    entries = load_catalogue() if entries is None else entries
    entry = next((entry for entry in entries if entry.name == name_or_path), None)
    if entry is not None:
        return _load_entry(entry, folder or weights_folder())
    path = Path(name_or_path)
    if not path.is_file() and (found := fetched_model(str(name_or_path), folder or weights_folder())):
        return _load_own(found.path, found.sha256)
    if not path.is_file() and (parts := _with_adapter(str(name_or_path))):
        return _load_adapted(load_network(parts[0], folder, entries), Path(parts[1]))
    if not path.is_file():
        known = ", ".join(entry.name for entry in entries)
        raise WeightsError(
            f"no weights called {str(name_or_path)!r}, and no such file; known names: {known}, and what "
            "`luxscaler models fetch` brings"
        )
    return _load_own(path)


def scale_of(name_or_path: str | Path, folder: Path | None = None) -> int:
    """Output size / input size of a network; of a name of the catalogue without its weights.

    Raises `WeightsError` as `load_network` does.
    """
    entry = next((entry for entry in load_catalogue() if entry.name == name_or_path), None)
    return load_network(name_or_path, folder).scale if entry is None else entry.scale


def digest_of_own(name: str) -> str:
    """SHA-256 of the user's own file at a path, of both files for NETWORK+ADAPTER.

    Empty for names whose content is pinned. Raises WeightsError for a file that cannot be read.
    """
    if name in known_names():
        return ""
    if Path(name).is_file():
        return sha256(_read(Path(name), MAX_CHECKPOINT_BYTES)).hexdigest()
    if (parts := _with_adapter(name)) is None:
        return ""
    return "+".join(filter(None, map(digest_of_own, parts)))


def _load_entry(entry: Entry, folder: Path) -> LoadedNetwork:
    source = installed_source(entry, folder)
    if source is None:
        raise absent_error(entry, folder)
    path = folder / source.file.name
    data = _read(path, source.file.size)
    digest = sha256(data).hexdigest()
    if digest != source.file.sha256:
        raise damaged_error(status_of(entry, folder))
    try:
        state = read_state_dict(data, path.suffix, source.state_dict_key)
        module = build_loaded(entry.config, state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return LoadedNetwork(module, entry.config, entry.name, source.kind, digest)


def _load_own(path: Path, expected: str | None = None) -> LoadedNetwork:
    """Load a checkpoint that is not in the catalogue. expected: the SHA-256 that it must have, if known."""
    data = _read(path, MAX_CHECKPOINT_BYTES)
    if len(data) > MAX_CHECKPOINT_BYTES:
        raise WeightsError(f"{path} has more than {MAX_CHECKPOINT_BYTES} bytes")
    digest = sha256(data).hexdigest()
    if expected is not None and digest != expected:
        raise WeightsError(f"{path} was changed: SHA-256 {digest}, expected {expected}; fetch it again")
    try:
        module = network_of(read_tensors(data, path.suffix), path.stem)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return LoadedNetwork(module, module.config, path.stem, str(path), digest)


def network_of(tensors: StateDict, name: str) -> AnyNetwork:
    """The network of a checkpoint's tensors: one of our own if it fits, else one of spandrel's.

    name: of the file, without its suffix. Raises WeightsError where neither fits.
    """
    own_state(tensors)  # raises WeightsError for bad names and values
    for reading in readings(tensors):
        state = own_state(reading) if reading else {}
        if is_esrgan(state) or is_compact(state):
            if other := unsupported_name(state):
                raise unsupported_error(other)
            config = infer_config(state, step_factor=3 if _SCALE_3.match(name) else 2)
            return build_loaded(config, state)
    return load_foreign(tensors)


def _with_adapter(name: str) -> tuple[str, str] | None:
    """The two sides of NETWORK+ADAPTER, split at the first "+" with a file behind it; None if there is none.

    Raises WeightsError for a name like that without the file.
    """
    places = [index for index, sign in enumerate(name) if sign == "+" and 0 < index < len(name) - 1]
    found = next((index for index in places if Path(name[index + 1 :]).is_file()), None)
    if found is None:
        if places and name.endswith(".safetensors"):
            raise WeightsError(f"no adapter {name[places[0] + 1 :]!r}: there is no such file")
        return None
    return name[:found], name[found + 1 :]


def _load_adapted(base: LoadedNetwork, path: Path) -> LoadedNetwork:
    """The base with an adapter merged into it. Raises WeightsError if it was trained on other weights."""
    data = _read(path, MAX_CHECKPOINT_BYTES)
    try:
        adapter = parse_adapter(data)
        if adapter.base_sha256 != base.digest:
            raise WeightsError(
                f"adapter was trained on weights with SHA-256 {adapter.base_sha256}; "
                f"{base.name} has {base.digest}"
            )
        module = build_loaded(base.own.config, merge(base.own.state_dict(), adapter))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    digest = sha256(f"{base.digest}+{sha256(data).hexdigest()}".encode()).hexdigest()
    return LoadedNetwork(module, base.config, f"{base.name}+{path.stem}", str(path), digest)


def convert_checkpoint(source: Path, target: Path) -> str:
    """Write a checkpoint of an ESRGAN or Compact (any suffix, naming and wrapper) as safetensors.

    float32, BasicSR's names, the digest of the source in its metadata. Returns a line that says what it is.
    Raises `WeightsError` as `load_network` does, or if the target cannot be written.
    """
    network = _load_own(source)
    arrays = {name: tensor.numpy() for name, tensor in network.own.state_dict().items()}
    try:
        write_atomically(target, safetensors_bytes(arrays, {"source_sha256": network.digest}))
    except OSError as error:
        raise WeightsError(f"cannot write {target}: {error.strerror or error}") from error
    return f"{target}: {network.config}"


def _read(path: Path, limit: int) -> bytes:
    """The file's bytes, at most limit + 1 of them, by which a file that is too long shows."""
    try:
        with path.open("rb") as file:
            # Not read(limit + 1): that allocates so many bytes, however short the file.
            return file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
