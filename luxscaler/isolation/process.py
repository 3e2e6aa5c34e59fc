"""The caller's side of a decoding process (worker.py): starts it, sends tasks, ends it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from luxscaler.isolation.messages import GRANTED, MAX_PACKET, DecodeTask

_GRACE_SECONDS = 30.0
"""Seconds to wait beyond the deadline, which the decoding process itself enforces."""
_START = "import sys; sys.path[:] = {path!r}; from luxscaler.isolation.worker import main; main()"
# A fork copies only the calling thread, so libraries must not have started others.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class NoAnswerError(Exception):
    """The decoding process has ended, or does not answer."""


class DecodingProcess:
    """One process that forks decoders; for one thread at a time."""

    def __init__(self, preload: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            code = _START.format(path=[str(folder) for folder in sys.path])
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-c", code, str(theirs.fileno()), *preload],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env={**os.environ, **_ONE_THREAD},
                )
            except OSError:
                self._control.close()
                raise

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, task: DecodeTask, files: list[int], grant: Callable[[int], None]) -> dict[str, Any]:
        """Have a picture decoded. Returns how the decoder ended. Raises NoAnswerError, and what `grant`
        raises.

        files: descriptors of the picture and of the empty result. grant: called with the bytes that the
        picture needs; it returns once they are available.
        """
        try:
            socket.send_fds(self._control, [task.to_packet()], files)
            while "needs" in (answer := self._received(task)):
                grant(answer["needs"])
                self._control.send(GRANTED)
        except OSError as error:
            raise NoAnswerError from error
        return answer

    def _received(self, task: DecodeTask) -> dict[str, Any]:
        self._control.settimeout(task.limits.seconds + _GRACE_SECONDS)
        packet = self._control.recv(MAX_PACKET)
        if not packet:
            raise NoAnswerError
        answer = json.loads(packet)
        assert isinstance(answer, dict)  # noqa: S101
        return answer

    def end(self) -> None:
        """Stop it and its decoder, and wait until both are gone."""
        self._control.close()  # then it kills its decoder and exits
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Called in a fork of this process: drop the decoding process, which belongs to the parent."""
        self._control.close()
        self._process.returncode = 0  # not a child of the fork, so there is nothing to wait for
