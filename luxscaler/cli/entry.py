"""Entry point of the `luxscaler` command: it sets signal handlers before anything slow is imported."""

import gc
import os
import signal
import sys
from contextlib import suppress

OBJECTS_PER_COLLECTION = 100_000
"""Allocations between garbage collections. With Python's default, 700, importing PyTorch takes 0.13 s
longer."""


def main() -> None:
    """Run the command; ends the process with its exit status."""
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    from luxscaler.cli.stopping import SIGNALS, STATUSES, end_at_once  # noqa: PLC0415

    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, end_at_once)
    from luxscaler.cli.main import main as run  # noqa: PLC0415

    def begin() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        run(begin)
    except SystemExit as ended:
        # Computing threads may still run; the interpreter's normal shutdown would abort under them.
        if ended.code in STATUSES and isinstance(ended.code, int):
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(ended.code)
        raise
    finally:
        # Skips the interpreter's last garbage collection, which takes 0.3 s with PyTorch. OpenImageIO would
        # print pages of warnings without it.
        if "OpenImageIO" not in sys.modules:
            gc.freeze()


if __name__ == "__main__":
    main()
