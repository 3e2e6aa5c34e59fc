"""Reads pictures in child processes, so that a crash, a hang or a lack of memory does not harm the caller.

    Picture ← mapped memory ← fork of isolation/worker.py ← bytes, limits

A decoding process is started once, with everything loaded that decoders need, and forks for each picture:
a fork takes milliseconds. Results come back in anonymous memory files, which are mapped, not copied. Readers
in several threads get a process each; processes are kept for the next picture and end with this one, however
it ends. This isolates failures; it is not a sandbox against malicious code in a file.

Linux only, for its memory files. Elsewhere pictures are read in the calling process: there the limits of
pixels, of pixels a byte and of scans hold, those of time and memory do not, and a decoder that crashes ends
the program.
"""

import atexit
import os
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.read import PictureHeader, Source, opened
from luxscaler.isolation.decoding import decode_bands, decode_header, decode_picture, not_stored
from luxscaler.isolation.linear_file import LinearFile
from luxscaler.isolation.memory import Budget, default_total
from luxscaler.isolation.messages import DecodeTask
from luxscaler.isolation.process import DecodingProcess, NoAnswerError
from luxscaler.isolation.result import mapped_picture, read_description
from luxscaler.options import DEFAULT_MAX_PIXELS, MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import Picture, PictureSource

IS_AVAILABLE = sys.platform == "linux"
_MAX_IDLE = 2
"""Decoding processes kept for later, about 50 MB each; more exist only while more threads read."""


def read_picture_isolated(
    source: Source,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: DecodeLimits | None = None,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> Picture:
    """`io.read.read_picture` in another process.

    Raises the same errors, and PictureError if the decoder crashed, took longer than `limits` allow, or
    needed more memory.
    """
    return _pool.read(source, max_pixels, limits or DecodeLimits(), sdr=sdr, choice=choice)


def read_header_isolated(
    source: Source, *, limits: DecodeLimits | None = None, choice: LayerChoice = MAIN_LAYER
) -> PictureHeader:
    """`io.read.read_header` in another process. Raises the errors of read_picture_isolated."""
    return _pool.read_header(source, limits or DecodeLimits(), choice)


def decode_to_file(
    source: Source,
    path: Path,
    *,
    max_pixels: int,
    limits: DecodeLimits | None = None,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> LinearFile:
    """Decode a picture into a new file at `path`, band by band, in another process.

    sdr, choice: as in read_picture. The file appears whole or not at all. Raises the errors of
    read_picture_isolated, and PictureError for a file that cannot be written.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}.partial")  # NAME.partial may be too long a name
    try:
        description = _pool.decode_to_file(
            source, temporary, max_pixels, limits or DecodeLimits(), sdr=sdr, choice=choice
        )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    size = description["width"], description["height"]
    return LinearFile(path, *size, description["alpha"], PictureSource.from_json(description["source"]))


def warm_up() -> None:
    """Start the decoding process ahead of the first picture, without waiting for it."""
    _pool.warm_up()


class DecoderPool:
    """Decoding processes, started as they are needed; `preload` names more modules for them to import."""

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self._preload = preload
        self._lock = threading.Lock()
        self._all: set[DecodingProcess] = set()
        self._idle: list[DecodingProcess] = []
        self._memory = Budget()

    def read(
        self,
        source: Source,
        max_pixels: int,
        limits: DecodeLimits,
        *,
        sdr: bool = False,
        choice: LayerChoice = MAIN_LAYER,
    ) -> Picture:
        """Decode into memory. Raises PictureError."""
        with opened(source) as (name, stream):
            task = DecodeTask(name, max_pixels, limits, sdr=sdr, choice=choice)
            if not IS_AVAILABLE:
                return decode_picture(task, stream)
            with _memory_file("luxscaler-pixels") as result:
                return mapped_picture(result, self._description(task, source, stream, result))

    def read_header(
        self, source: Source, limits: DecodeLimits, choice: LayerChoice = MAIN_LAYER
    ) -> PictureHeader:
        """Read the header. Raises PictureError."""
        with opened(source) as (name, stream):
            task = DecodeTask(name, 0, limits, "header", choice=choice)
            if not IS_AVAILABLE:
                header = decode_header(task, stream)
            else:
                with _memory_file("luxscaler-header") as result:
                    header = self._description(task, source, stream, result)["header"]
            return PictureHeader(**{**header, "notices": tuple(header["notices"])})

    def decode_to_file(
        self,
        source: Source,
        target: Path,
        max_pixels: int,
        limits: DecodeLimits,
        *,
        sdr: bool = False,
        choice: LayerChoice = MAIN_LAYER,
    ) -> dict[str, Any]:
        """Decode into the file at `target`. Returns the decoder's description. Raises PictureError."""
        with opened(source) as (name, stream), _new_file(target) as result:
            task = DecodeTask(name, max_pixels, limits, "bands", sdr, choice)
            if IS_AVAILABLE:
                return self._description(task, source, stream, result)
            try:
                return decode_bands(task, stream, result.fileno())
            except OSError as error:
                raise not_stored(task, error) from error

    def warm_up(self) -> None:
        """Start a process if none is idle."""
        if IS_AVAILABLE:
            self._give_back(self._take("the picture"))

    def close(self) -> None:
        """End the idle processes. The pool can be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            self._end(process)

    def forget(self) -> None:
        """Called in a fork of this process: start without the parent's processes."""
        for process in self._all:
            process.forget()
        self._lock, self._all, self._idle = threading.Lock(), set(), []
        self._memory = Budget()

    def _description(
        self, task: DecodeTask, source: Source, stream: BinaryIO, result: BinaryIO
    ) -> dict[str, Any]:
        limits = task.limits
        total = default_total() if limits.total_memory_bytes is None else limits.total_memory_bytes
        task = replace(task, limits=replace(limits, memory_bytes=min(limits.memory_bytes, total)))
        with _as_file(source, stream) as file, self._memory.share() as share:
            answer = self._ask(
                task,
                [file.fileno(), result.fileno()],
                lambda needed: share.grow(needed, total, limits.seconds, task.name),
            )
        return read_description(task, answer, result)

    def _ask(self, task: DecodeTask, files: list[int], grant: Callable[[int], None]) -> dict[str, Any]:
        for last_try in (False, True):
            process = self._take(task.name)
            try:
                answer = process.ask(task, files, grant)
            except NoAnswerError as error:
                self._end(process)
                # An idle process may have been killed long ago; the second one was started just now.
                if last_try:
                    raise PictureError(f"{task.name} cannot be read: the decoding process ended") from error
            except BaseException:  # e.g. Ctrl-C: the picture is no longer wanted
                self._end(process)
                raise
            else:
                self._give_back(process)
                return answer
        raise AssertionError("unreachable")

    def _take(self, name: str) -> DecodingProcess:
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                break
            if process.is_alive():
                return process
            self._end(process)
        try:
            process = DecodingProcess(self._preload)
        except OSError as error:
            raise PictureError(
                f"{name} cannot be read: no decoding process can be started: {error}"
            ) from error
        with self._lock:
            self._all.add(process)
        return process

    def _give_back(self, process: DecodingProcess) -> None:
        with self._lock:
            keep = len(self._idle) < _MAX_IDLE
            if keep:
                self._idle.append(process)
        if not keep:
            self._end(process)

    def _end(self, process: DecodingProcess) -> None:
        with self._lock:
            self._all.discard(process)
        process.end()


def _new_file(path: Path) -> BinaryIO:
    try:
        return path.open("w+b", buffering=0)
    except OSError as error:
        raise PictureError(f"{str(path)!r} cannot be written: {error.strerror}") from error


def _memory_file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "r+b", buffering=0)


def _as_file(source: Source, stream: BinaryIO) -> BinaryIO:
    """The stream itself, or a memory file with the bytes that the source consists of."""
    if not isinstance(source, bytes):
        return stream
    file = _memory_file("luxscaler-bytes")
    rest = memoryview(source)
    while rest:
        rest = rest[os.write(file.fileno(), rest) :]
    return file


_pool = DecoderPool()
atexit.register(_pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)
