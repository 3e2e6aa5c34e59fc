"""Reads pictures in a process of their own, where a crash, a hang or a lack of memory takes nothing down.

    Picture ← mapped memory ← fork of isolation/worker.py ← bytes, limits

A decoding process is started once, with everything loaded that decoders need, and forks for each picture:
that costs milliseconds. Its results come back in anonymous memory files, which are mapped, not copied.
Readers in several threads get a process each; processes are kept for the next picture and end with this
one, however it ends. What is isolated is failure: this is not a sandbox against code that a file smuggles in.

Linux only, for its memory files. Elsewhere pictures are read in the calling process: there the limits of
pixels, of pixels a byte and of scans hold, those of time and memory do not, and a decoder that crashes ends
the program.
"""

import atexit
import json
import mmap
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.io.read import PictureHeader, Source, header_of_stream, opened, read_stream
from luxscaler.isolation.linear_file import LinearFile, write_linear_file
from luxscaler.isolation.memory import Budget, default_total
from luxscaler.isolation.process import DecodingProcess, NoAnswerError
from luxscaler.isolation.worker import LENGTH, DecodeTask
from luxscaler.options import DEFAULT_MAX_PIXELS, MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import Picture, PictureSource

IS_AVAILABLE = sys.platform == "linux"
_MAX_IDLE = 2
"""Decoding processes kept for later, about 50 MB each; more exist only while more threads read."""
_FLOAT = 4


def read_picture_isolated(
    source: Source,
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: DecodeLimits | None = None,
    sdr: bool = False,
    choice: LayerChoice = MAIN_LAYER,
) -> Picture:
    """read_picture, in another process.

    Raises the same errors, and PictureError if the decoder crashed, took longer than `limits` allow, or
    needed more memory.
    """
    return _pool.read(source, max_pixels, limits or DecodeLimits(), sdr=sdr, choice=choice)


def read_header_isolated(
    source: Source, *, limits: DecodeLimits | None = None, choice: LayerChoice = MAIN_LAYER
) -> PictureHeader:
    """read_header, in another process. Raises the errors of read_picture_isolated."""
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
            if not IS_AVAILABLE:
                return read_stream(stream, name, max_pixels=max_pixels, limits=limits, sdr=sdr, choice=choice)
            with _memory_file("luxscaler-pixels") as result:
                task = DecodeTask(name, max_pixels, limits, sdr=sdr, choice=choice)
                return _mapped(result, self._description(task, source, stream, result))

    def read_header(
        self, source: Source, limits: DecodeLimits, choice: LayerChoice = MAIN_LAYER
    ) -> PictureHeader:
        """Read the header. Raises PictureError."""
        with opened(source) as (name, stream):
            if not IS_AVAILABLE:
                return header_of_stream(stream, name, choice)
            with _memory_file("luxscaler-header") as result:
                task = DecodeTask(name, 0, limits, "header", choice=choice)
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
        """Decode into the file at `target`; the decoder's description of the picture. Raises PictureError."""
        with opened(source) as (name, stream), _new_file(target) as result:
            task = DecodeTask(name, max_pixels, limits, "bands", sdr, choice)
            if not IS_AVAILABLE:
                return _decode_here(stream, task, result)
            return self._description(task, source, stream, result)

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
        """In a fork of this process: begin without the parent's processes."""
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
        return _outcome(task, answer, result)

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
            except BaseException:  # Ctrl-C: the picture is no longer wanted
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


def _decode_here(stream: BinaryIO, task: DecodeTask, result: BinaryIO) -> dict[str, Any]:
    """Without isolation."""
    try:
        width, height, alpha, source = write_linear_file(
            stream,
            task.name,
            result.fileno(),
            max_pixels=task.max_pixels,
            limits=task.limits,
            on_header=lambda _: None,
            sdr=task.sdr,
            choice=task.choice,
        )
    except OSError as error:
        raise PictureError(f"{task.name} cannot be stored on disk: {error.strerror}") from error
    return {"width": width, "height": height, "alpha": alpha, "source": source.to_json()}


def _memory_file(name: str) -> BinaryIO:
    return os.fdopen(os.memfd_create(name), "r+b", buffering=0)


def _as_file(source: Source, stream: BinaryIO) -> BinaryIO:
    """The stream, or, if the source is bytes, a memory file of them."""
    if not isinstance(source, bytes):
        return stream
    file = _memory_file("luxscaler-bytes")
    rest = memoryview(source)
    while rest:
        rest = rest[os.write(file.fileno(), rest) :]
    return file


def _outcome(task: DecodeTask, answer: dict[str, Any], result: BinaryIO) -> dict[str, Any]:
    """The description of the picture, or the error, that the decoder left."""
    if answer["timed_out"] or answer["exit"] == -signal.SIGXCPU:
        raise PictureError(
            f"{task.name} cannot be read: decoding it took longer than {task.limits.seconds:g} s"
        )
    if answer["exit"] == -signal.SIGKILL:
        raise PictureError(
            f"{task.name} cannot be read: its decoder was killed (signal 9), as happens when memory runs out"
        )
    if answer["exit"] < 0:
        raise PictureError(f"{task.name} cannot be read: its decoder crashed (signal {-answer['exit']})")
    if answer["exit"] > 0:
        raise PictureError(f"{task.name} cannot be read: its decoder ended with status {answer['exit']}")
    size = os.fstat(result.fileno()).st_size
    (length,) = LENGTH.unpack(os.pread(result.fileno(), LENGTH.size, size - LENGTH.size))
    description: dict[str, Any] = json.loads(os.pread(result.fileno(), length, size - LENGTH.size - length))
    if "error" in description:
        raise _error(task, description)
    return description


def _error(task: DecodeTask, description: dict[str, Any]) -> PictureError:
    if description["error"] == "memory":
        return PictureError(
            f"{task.name} cannot be read: decoding it needed more than {description['allowed'] / 1e6:,.0f} MB"
        )
    kind = PictureTooLargeError if description["error"] == PictureTooLargeError.__name__ else PictureError
    return kind(description["text"])


def _mapped(result: BinaryIO, description: dict[str, Any]) -> Picture:
    """The picture in its memory file, which lives as long as its arrays do."""
    height, width = description["height"], description["width"]
    pixels = np.frombuffer(mmap.mmap(result.fileno(), 0), np.uint8)
    count = height * width * _FLOAT
    rgb = pixels[: 3 * count].view(np.float32).reshape(height, width, 3)
    alpha = None
    if description["alpha"]:
        alpha = pixels[3 * count : 4 * count].view(np.float32).reshape(height, width)
    return Picture(rgb, alpha, PictureSource.from_json(description["source"]))


_pool = DecoderPool()
atexit.register(_pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.forget)
