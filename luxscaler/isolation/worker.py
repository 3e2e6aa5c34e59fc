"""The process in which pictures are decoded: started by process.py, one fork of it for each picture.

It has the decoders loaded but not PyTorch, and runs a single thread, so that forking is cheap and safe. Only
forks decode, under limits of memory, time and files (confinement.py); they can write to nothing but the file
that the caller passed. This process waits, kills the fork at its deadline, and reports how it ended.
"""

import gc
import importlib
import io
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any, BinaryIO, Literal

from luxscaler.errors import PictureError
from luxscaler.io.preload import preload
from luxscaler.isolation.confinement import BYTES, MemoryLimit, confine, is_lack_of_memory, most_written
from luxscaler.isolation.decoding import decode_bands, decode_header, decode_picture, not_stored
from luxscaler.isolation.messages import GRANTED, MAX_PACKET, DecodeTask
from luxscaler.isolation.result import write_description, write_error, write_picture


def main() -> None:
    """Serve until the caller closes its end of the socket: `python -c ... SOCKET [MODULE...]`."""
    # Ctrl-C reaches every process of the terminal; only the caller handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    preload()
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page that it touches
    while True:
        packet, files, _, _ = socket.recv_fds(control, MAX_PACKET, 2)
        if not packet:
            break
        answer = _serve(DecodeTask.from_packet(packet), files, control)
        if answer is None:
            break
        control.send(json.dumps(answer).encode())
    os._exit(0)  # on a normal exit OpenImageIO prints what it still holds


def _serve(task: DecodeTask, files: list[int], control: socket.socket) -> dict[str, Any] | None:
    """Fork and wait. Returns how the fork ended; None if the caller has closed the socket."""
    asking, asks = os.pipe()
    grants, granting = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            control.close()
            os.close(granting)
            status = _decode(task, files, MemoryLimit(task.limits.memory_bytes, asks, grants))
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
    """Wait until the fork has ended, passing on its requests for memory.

    The time that the caller takes to grant one does not count against the fork's deadline.
    """
    deadline = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([asking, control.fileno()], [], [], max(0.0, deadline - time.monotonic()))
        if asking in ready:
            asked = os.read(asking, BYTES.size)
            if len(asked) < BYTES.size:
                return "ended"
            since = time.monotonic()
            control.send(json.dumps({"needs": BYTES.unpack(asked)[0]}).encode())
            if control.recv(MAX_PACKET) != GRANTED:
                return "caller gone"
            deadline += time.monotonic() - since
            with suppress(BrokenPipeError):
                os.write(granting, GRANTED)
        elif ready:
            return "caller gone"
        else:
            return "timed out"


def _decode(task: DecodeTask, files: list[int], memory: MemoryLimit) -> int:
    """In the fork: read the picture and write the result. Returns the exit status."""
    source, result = files
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # OpenEXR prints errors there
    confine(task)
    memory.allow_header()
    try:
        raw = io.FileIO(source)
        raw.name = task.name  # tifffile needs a name, which a file opened by its descriptor lacks
        with io.BufferedReader(raw) as stream:
            _write_result(task, stream, result, memory)
    except PictureError as error:
        is_memory = is_lack_of_memory(error)
        memory.lift()
        write_error(result, _out_of_memory(memory) if is_memory else _described(error))
    except MemoryError:
        memory.lift()
        write_error(result, _out_of_memory(memory))
    except OSError as error:  # there is no room for the result, which is on disk or in memory
        memory.lift()
        write_error(result, _no_room(task, error) or _out_of_memory(memory))
    return 0


def _write_result(task: DecodeTask, stream: BinaryIO, result: int, memory: MemoryLimit) -> None:
    if task.wanted == "header":
        write_description(result, {"header": decode_header(task, stream)})
    elif task.wanted == "bands":
        write_description(result, decode_bands(task, stream, result, memory.allow))
    else:
        write_picture(result, decode_picture(task, stream, memory.allow))


def _described(error: PictureError) -> dict[str, Any]:
    return {"error": type(error).__name__, "text": str(error)}


def _no_room(task: DecodeTask, error: OSError) -> dict[str, Any] | None:
    """The error for a result that could not be written; None if memory was the reason."""
    if task.wanted == "bands":
        return _described(not_stored(task, error))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if most >= most_written(task):
        return None
    return _described(
        PictureError(f"{task.name} cannot be read: files may have {most:,} bytes at most here (ulimit -f)")
    )


def _out_of_memory(memory: MemoryLimit) -> dict[str, Any]:
    return {"error": "memory", "allowed": memory.allowed}
