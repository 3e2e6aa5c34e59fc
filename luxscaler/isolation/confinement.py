"""Limits that a decoding fork puts on itself before it touches the picture's bytes.

CPU time, open files and the size of the result are limited once. Memory is limited first to what a header
needs, then, when the header has been read, to what a picture of its size needs and the caller grants.
"""

import ctypes
import os
import resource
import signal
import struct
from contextlib import suppress
from pathlib import Path

from luxscaler.isolation.linear_file import linear_bytes
from luxscaler.isolation.messages import GRANTED, DecodeTask

BYTES = struct.Struct("<Q")
"""The number of bytes that a fork asks the waiting process for."""
_BASE_BYTES = 512 * 2**20
"""Memory that any picture may take, whatever its size: tables, profiles, rows, the compressed file."""
_BYTES_PER_PIXEL = 96
"""Memory for each pixel beyond that; measured: at most 54 (EXR with alpha and a NaN)."""
_MAX_OPEN_FILES = 64
_MAX_DESCRIPTION = 2**20
"""Bytes of the description of a picture: EXIF, notices."""
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def confine(task: DecodeTask) -> None:
    """Limit everything but the memory of this process to what a decoder needs; it is killed with its
    parent."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        # The waiting process enforces the deadline; this is the fallback if it cannot.
        (resource.RLIMIT_CPU, int(task.limits.seconds) + 2),
        (resource.RLIMIT_FSIZE, most_written(task)),
    ):
        _, hard = resource.getrlimit(kind)
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (lower, lower))
    with suppress(OSError):  # if memory runs out all the same, the kernel should kill this process first
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def most_written(task: DecodeTask) -> int:
    """Bytes of the largest result that is allowed."""
    if task.wanted == "bands":
        return linear_bytes(task.max_pixels, 1, True) + _MAX_DESCRIPTION
    return task.limits.memory_bytes


class MemoryLimit:
    """The limit of this process's memory, beyond what it has when it begins to decode."""

    def __init__(self, most: int, asks: int, grants: int) -> None:
        """most: bytes. asks, grants: pipes, to the waiting process and from it."""
        self._most = most
        self._asks, self._grants = asks, grants
        self._before = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
        self._before *= resource.getpagesize()
        _, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        self.allowed = 0
        """Bytes."""

    def allow_header(self) -> None:
        """Allow the memory that reading a header needs."""
        self._limit_to(0)

    def allow(self, pixels: int) -> None:
        """Allow the memory that so many pixels need, up to the limit; waits until the caller grants it."""
        self._limit_to(pixels)
        os.write(self._asks, BYTES.pack(self.allowed))
        os.read(self._grants, len(GRANTED))

    def _limit_to(self, pixels: int) -> None:
        self.allowed = min(self._most, _BASE_BYTES + _BYTES_PER_PIXEL * pixels)
        soft = self._before + self.allowed
        if self._hard != resource.RLIM_INFINITY:
            soft = min(soft, self._hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, self._hard))

    def lift(self) -> None:
        """Remove the limit, so that there is memory to report what went wrong."""
        resource.setrlimit(resource.RLIMIT_DATA, (self._hard, self._hard))


def is_lack_of_memory(error: BaseException | None) -> bool:
    """Whether an error was caused by a failed allocation; C++ libraries only show that in their message."""
    while error is not None:
        if isinstance(error, MemoryError) or "bad_alloc" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
