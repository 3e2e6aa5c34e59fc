"""Names to addresses, in threads of their own: a name server that does not answer holds up nobody else.

Python cannot end a lookup that hangs. It goes on in its thread, which is a daemon; others who ask for the
same name wait for the same thread, and when too many hang the next is refused at once.
"""

import socket
import threading
from concurrent.futures import Future

from luxscaler.web.reach import literal

MAX_LOOKUPS = 32
"""At once."""
_lock = threading.Lock()
_pending: dict[tuple[str, int], "Future[tuple[str, ...]]"] = {}


def lookup(host: str, port: int) -> "Future[tuple[str, ...]]":
    """The host's addresses, in the order to be tried; OSError if it has none or too many lookups hang."""
    address = literal(host)
    if address:
        here: Future[tuple[str, ...]] = Future()
        here.set_result((address,))
        return here
    with _lock:
        known = _pending.get((host, port))
        if known is not None:
            return known
        future: Future[tuple[str, ...]] = Future()
        if len(_pending) >= MAX_LOOKUPS:
            future.set_exception(OSError("too many names are being looked up"))
            return future
        _pending[host, port] = future
    future.set_running_or_notify_cancel()  # one that gives up waiting does not end it for the others
    threading.Thread(target=_look_up, args=(host, port, future), name="lookup", daemon=True).start()
    return future


def _look_up(host: str, port: int, future: "Future[tuple[str, ...]]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    except Exception as error:  # whatever it is, those who wait hear of it
        reason = getattr(error, "strerror", None) or str(error)
        outcome: BaseException | tuple[str, ...] = OSError(reason)
    else:
        outcome = addresses or OSError("the name has no address")
    with _lock:
        del _pending[host, port]
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
