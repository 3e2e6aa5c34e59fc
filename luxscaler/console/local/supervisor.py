"""A small process between the console and one command: no command outlives its console, no end is missed.

    python -m luxscaler.console.local.supervisor FOLDER COMMAND…

    FOLDER/log     what the command prints, one run behind the other
    FOLDER/lock    held as long as this process or the command lives
    FOLDER/group   the command's process group
    FOLDER/exit    {"status": …, "asked": …}, once it has ended; a signal's number is negative

The end of standard input, which the console holds open, or SIGTERM asks the command to stop; after a grace
it is killed.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

LOG, LOCK, GROUP, EXIT = "log", "lock", "group", "exit"
GRACE_SECONDS = 20.0
"""For a training to finish its step and save its state."""
_GLANCE_SECONDS = 0.05
_IN_USE = 3


def main(folder: Path, command: list[str]) -> int:
    """Run the command to its end; the status of this process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _IN_USE
    threading.Thread(target=_wait_for_the_console, args=[stop], daemon=True).start()
    with (folder / LOG).open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - what the console asks for
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(lock,),  # so that the lock is held as long as the command lives
        )
    _write(folder / GROUP, str(child.pid))
    while child.poll() is None and not stop.wait(_GLANCE_SECONDS):
        pass
    asked = child.poll() is None
    status = _ended(child)
    _write(folder / EXIT, json.dumps({"status": status, "asked": asked}))
    return 0


def _wait_for_the_console(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 1024):
            pass
    stop.set()


def _ended(child: "subprocess.Popen[bytes]") -> int:
    """End the command, if it runs, kill what is left of its group, and return its status."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        status = child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(child.pid)
        status = child.wait()
    kill_group(child.pid)
    return status


def kill_group(group: int) -> None:
    """Kill a process group at once, if it exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
