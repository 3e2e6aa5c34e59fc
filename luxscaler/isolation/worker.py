"""The process in which pictures are decoded: started by isolation/pool.py, one fork of it for each picture.

It has the decoders loaded and no PyTorch, and it runs a single thread, so that a fork is cheap and safe. It
never decodes itself: the fork does, under limits of memory, time and files, with nothing to write to but
the file that its caller gave it. This process waits, stops the fork at its deadline, and says how it ended.

A request is one packet on the socket: JSON, with two files beside it, the picture and the (empty) result.
Once the fork knows from the header how much memory the picture needs, it asks for that, in a packet of its
own, and goes on when the caller grants it. The answer is one packet of JSON. The result, if there is one,
holds the pixels as float32, alpha as float32, and JSON that describes both, with the length of that in its
last 8 bytes; of a header it holds the JSON alone.
"""

import ctypes
import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from luxscaler.errors import PictureError
from luxscaler.io.read import header_of_stream, preload, read_stream
from luxscaler.isolation.linear_file import linear_bytes, write_linear_file
from luxscaler.options import MAIN_LAYER, DecodeLimits, LayerChoice
from luxscaler.picture import Picture

MAX_PACKET = 1 << 16
LENGTH = struct.Struct("<Q")
GRANTED = b"go"
_BYTES = struct.Struct("<Q")
BASE_BYTES = 512 * 2**20
"""Memory that any picture may take, whatever its size: tables, profiles, rows, the compressed file."""
BYTES_PER_PIXEL = 96
"""Memory for each pixel beyond that; measured: at most 54 (EXR with alpha and a NaN)."""
_MAX_OPEN_FILES = 64
_MAX_DESCRIPTION = 2**20
"""Bytes of the description of a picture: EXIF, notices."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class DecodeTask:
    """A request to decode; the two files come beside it."""

    name: str
    """What to call the picture in messages."""
    max_pixels: int
    limits: DecodeLimits
    wanted: Literal["picture", "bands", "header"] = "picture"
    """bands: the result is a file on disk, written band by band (linear_file.py)."""
    sdr: bool = False
    """As in read_picture."""
    choice: LayerChoice = MAIN_LAYER
    """As in read_picture."""

    def to_packet(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_packet(cls, packet: bytes) -> "DecodeTask":
        """What `to_packet` was called on."""
        values = json.loads(packet)
        limits, choice = DecodeLimits(**values["limits"]), LayerChoice(**values["choice"])
        return cls(**{**values, "limits": limits, "choice": choice})


def main() -> None:
    """Serve until the caller closes its end of the socket: `python -c ... SOCKET [MODULE...]`."""
    # Ctrl-C reaches every process of the terminal; the caller alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    preload()
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in the fork would copy every page that it looks at
    while True:
        packet, files, _, _ = socket.recv_fds(control, MAX_PACKET, 2)
        if not packet:
            break
        answer = _serve(DecodeTask.from_packet(packet), files, control)
        if answer is None:
            break
        control.send(json.dumps(answer).encode())
    os._exit(0)  # OpenImageIO would print what of it is left


def _serve(task: DecodeTask, files: list[int], control: socket.socket) -> dict[str, Any] | None:
    """Fork, wait, and say how the fork ended; None if the caller has gone by then."""
    asking, asks = os.pipe()
    grants, granting = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            control.close()
            os.close(granting)
            status = _decode(task, files, _Memory(task.limits.memory_bytes, asks, grants))
        finally:
            os._exit(status)
    for file in (asks, grants, *files):
        os.close(file)
    try:
        outcome = _watch(asking, granting, control, task.limits.seconds)
    finally:
        os.close(asking)
        os.close(granting)
    # A fork that has ended by itself has its status already; the signal changes nothing then.
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if outcome == "caller gone":
        return None
    return {
        "exit": os.waitstatus_to_exitcode(status),
        "timed_out": outcome == "timed out",
        "seconds": time.monotonic() - started,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def _watch(
    asking: int, granting: int, control: socket.socket, seconds: float
) -> Literal["ended", "timed out", "caller gone"]:
    """Wait until the fork has ended, and hand on what it asks for; waiting for that is not its time."""
    deadline = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([asking, control.fileno()], [], [], max(0.0, deadline - time.monotonic()))
        if asking in ready:
            asked = os.read(asking, _BYTES.size)
            if len(asked) < _BYTES.size:
                return "ended"
            since = time.monotonic()
            control.send(json.dumps({"needs": _BYTES.unpack(asked)[0]}).encode())
            if control.recv(MAX_PACKET) != GRANTED:
                return "caller gone"
            deadline += time.monotonic() - since
            with suppress(BrokenPipeError):
                os.write(granting, GRANTED)
        elif ready:
            return "caller gone"
        else:
            return "timed out"


def _decode(task: DecodeTask, files: list[int], memory: "_Memory") -> int:
    """In the fork: read the picture and write the result; the exit status."""
    source, result = files
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # OpenEXR prints what it finds wrong
    _limit(task)
    memory.allow_header()
    try:
        raw = io.FileIO(source)
        raw.name = task.name  # tifffile wants a name, and a file opened by its descriptor has none
        with io.BufferedReader(raw) as stream:
            if task.wanted == "header":
                _describe(result, {"header": asdict(header_of_stream(stream, task.name, task.choice))})
            elif task.wanted == "bands":
                _write_bands(task, stream, result, memory)
            else:
                picture = read_stream(
                    stream,
                    task.name,
                    max_pixels=task.max_pixels,
                    limits=task.limits,
                    on_header=memory.allow,
                    sdr=task.sdr,
                    choice=task.choice,
                )
                _write(result, picture)
    except PictureError as error:
        lack = _is_memory(error)
        memory.lift()
        if lack:
            _restart(result, {"error": "memory", "allowed": memory.allowed})
        else:
            _restart(result, {"error": type(error).__name__, "text": str(error)})
    except (MemoryError, OSError) as error:  # OSError: there is no room for the result
        memory.lift()
        if task.wanted == "bands" and isinstance(error, OSError):
            text = f"{task.name} cannot be stored on disk: {error.strerror}"
            _restart(result, {"error": "PictureError", "text": text})
        elif isinstance(error, OSError) and (
            most := resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        ) < _most_written(task):
            text = f"{task.name} cannot be read: files may have {most:,} bytes at most here (ulimit -f)"
            _restart(result, {"error": "PictureError", "text": text})
        else:
            _restart(result, {"error": "memory", "allowed": memory.allowed})
    return 0


def _limit(task: DecodeTask) -> None:
    """Limit this process to what a decoder needs."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        # The waiting process keeps the deadline; this is for the case that it cannot.
        (resource.RLIMIT_CPU, int(task.limits.seconds) + 2),
        (resource.RLIMIT_FSIZE, _most_written(task)),
    ):
        _, hard = resource.getrlimit(kind)
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (lower, lower))
    with suppress(OSError):  # if memory runs out all the same, the kernel is to take this process
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _most_written(task: DecodeTask) -> int:
    """Bytes of the result."""
    if task.wanted == "bands":
        return linear_bytes(task.max_pixels, 1, True) + _MAX_DESCRIPTION
    return task.limits.memory_bytes


class _Memory:
    """The limit of this process's memory, beyond what it has when it begins to decode."""

    def __init__(self, most: int, asks: int, grants: int) -> None:
        self._most = most
        self._asks, self._grants = asks, grants
        self._before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        self._before *= resource.getpagesize()
        _, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        self.allowed = 0
        """Bytes."""

    def allow_header(self) -> None:
        """Let a header have what it needs."""
        self._limit_to(0)

    def allow(self, pixels: int) -> None:
        """Let a picture of so many pixels have what it needs, up to the most, once the caller grants that."""
        self._limit_to(pixels)
        os.write(self._asks, _BYTES.pack(self.allowed))
        os.read(self._grants, len(GRANTED))

    def _limit_to(self, pixels: int) -> None:
        self.allowed = min(self._most, BASE_BYTES + BYTES_PER_PIXEL * pixels)
        soft = self._before + self.allowed
        if self._hard != resource.RLIM_INFINITY:
            soft = min(soft, self._hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, self._hard))

    def lift(self) -> None:
        """Remove the limit, so that there is memory to say what went wrong."""
        resource.setrlimit(resource.RLIMIT_DATA, (self._hard, self._hard))


def _write_bands(task: DecodeTask, stream: BinaryIO, result: int, memory: _Memory) -> None:
    width, height, has_alpha, source = write_linear_file(
        stream,
        task.name,
        result,
        max_pixels=task.max_pixels,
        limits=task.limits,
        on_header=memory.allow,
        sdr=task.sdr,
        choice=task.choice,
    )
    os.lseek(result, linear_bytes(width, height, has_alpha), os.SEEK_SET)
    _describe(result, {"source": source.to_json(), "height": height, "width": width, "alpha": has_alpha})


def _write(result: int, picture: Picture) -> None:
    pieces = [picture.rgb] if picture.alpha is None else [picture.rgb, picture.alpha]
    for piece in pieces:
        _write_all(result, np.ascontiguousarray(piece).data.cast("B"))
    size = {"height": picture.height, "width": picture.width, "alpha": picture.alpha is not None}
    _describe(result, {"source": picture.source.to_json(), **size})


def _describe(result: int, description: dict[str, Any]) -> None:
    text = json.dumps(description).encode()
    _write_all(result, memoryview(text + LENGTH.pack(len(text))))


def _restart(result: int, description: dict[str, Any]) -> None:
    os.ftruncate(result, 0)
    os.lseek(result, 0, os.SEEK_SET)
    _describe(result, description)


def _write_all(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def _is_memory(error: BaseException | None) -> bool:
    """Whether the cause is a failed allocation; C++ libraries only say so in their text."""
    while error is not None:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
