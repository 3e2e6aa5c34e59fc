"""The way into the `luxscaler` command: signals are taken care of before anything else is imported."""

import gc
import os
import signal
import sys
from contextlib import suppress

OBJECTS_PER_COLLECTION = 100_000
"""Python's own 700 would look through the growing heap dozens of times while PyTorch is imported (0.13 s)."""


def main() -> None:
    """Entry point of the `luxscaler` command."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    from luxscaler.cli.stopping import SIGNALS, STATUSES, end_at_once  # noqa: PLC0415

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end_at_once)
    from luxscaler.cli.main import main as run  # noqa: PLC0415

    for number, handler in before.items():
        signal.signal(number, handler)
    try:
        run()
    except SystemExit as ended:
        # Threads that compute may still run: the interpreter's own way out would abort under them.
        if ended.code in STATUSES and isinstance(ended.code, int):
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(ended.code)
        raise
    finally:
        # The interpreter's last collection would visit all of PyTorch once more (0.3 s). OpenImageIO prints
        # pages of what is not collected by then.
        if "OpenImageIO" not in sys.modules:
            gc.freeze()


if __name__ == "__main__":
    main()
