"""The way into the `luxscaler` command: signals are taken care of before anything else is imported."""

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Entry point of the `luxscaler` command."""
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


if __name__ == "__main__":
    main()
