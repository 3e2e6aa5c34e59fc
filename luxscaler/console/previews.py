"""Parts of pictures before and after, made by a process of its own (local/preview_process.py).

The process is started by the first request and ends when nobody has asked for a while, so that the memory of
a network is given back. One request at a time; a process that crashes or hangs is replaced by the next one.
"""

import json
import logging
import select
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from luxscaler.console.headers import without_path
from luxscaler.console.local import preview_process
from luxscaler.console.local.commands import environment
from luxscaler.console.provider_settings import ProviderSettingsStore
from luxscaler.gateway.problems import Problem
from luxscaler.private_files import private_folder

_log = logging.getLogger(__name__)
IDLE_SECONDS = 120.0
WAIT_SECONDS = 60.0
"""Longest wait for the requests before this one."""
ANSWER_SECONDS = 240.0
"""Longest wait for an answer; the first request may fetch and load a network."""
_CHUNK = 1 << 20
_MOST_BYTES = 256 * 1024 * 1024
_END_SECONDS = 5.0


class PreviewRoom:
    """The process of one console. Raises OSError if the folder cannot be made."""

    def __init__(self, folder: Path, settings: ProviderSettingsStore) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        private_folder(folder)
        self._folder, self._settings = folder, settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: threading.Timer | None = None

    def ask(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Have the process answer a task: (JSON, bytes).

        Raises Problem: 422 with the process's reason, 503 if it is busy, 500 if it ended or hung.
        """
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise Problem(503, "Another preview is being made: try again")
        try:
            told, data = self._exchange(task)
        finally:
            self._rest()
            self._lock.release()
        if "error" in told:
            raise Problem(422, without_path(told["error"], Path(task["path"])))
        return told, data

    def stop(self) -> None:
        """End the process, if there is one; a request under way fails."""
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._end()

    def _exchange(self, task: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if self._idle is not None:
            self._idle.cancel()
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - a pipe
        try:
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()
            return self._answer(process, time.monotonic() + ANSWER_SECONDS)
        except (OSError, ValueError) as error:
            self._end()
            _log.warning("the process of previews ended: %s", error)
            raise Problem(500, "The process that makes previews ended: out of memory? Try again") from error

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(  # noqa: S603 - this program
                _command(self._folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                env=environment(self._settings.get()),
                start_new_session=True,
            )
        return self._process

    def _answer(self, process: "subprocess.Popen[bytes]", deadline: float) -> tuple[dict[str, Any], bytes]:
        """A line of JSON and the bytes that it announces. Raises OSError and ValueError."""
        held = bytearray()
        while (end := held.find(b"\n")) < 0:
            held += _read(process, deadline)
        told = json.loads(held[:end])
        data, count = held[end + 1 :], int(told["bytes"])
        if not 0 <= count <= _MOST_BYTES:
            raise ValueError(f"{count} bytes were announced")
        while len(data) < count:
            data += _read(process, deadline)
        return told, bytes(data)

    def _rest(self) -> None:
        """Start the timer that ends the process if no request follows."""
        if self._process is not None:
            self._idle = threading.Timer(IDLE_SECONDS, self._end_if_idle)
            self._idle.daemon = True
            self._idle.start()

    def _end_if_idle(self) -> None:
        if self._lock.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._lock.release()

    def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        (self._folder / preview_process.DECODED).unlink(missing_ok=True)


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", preview_process.__name__, str(folder)]


def _read(process: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    """The next bytes of the process's output. Raises OSError at its end and at the deadline."""
    assert process.stdout is not None  # noqa: S101 - a pipe
    ready, _, _ = select.select([process.stdout], [], [], max(deadline - time.monotonic(), 0.0))
    if not ready:
        raise OSError(f"no answer in {ANSWER_SECONDS:.0f} s")
    piece = process.stdout.read(_CHUNK)
    if not piece:
        raise OSError("it said nothing more")
    return piece
