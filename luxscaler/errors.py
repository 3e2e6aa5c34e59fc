"""Every error that LuxScaler raises on purpose, in one tree.

    LuxScalerError               anything below; its text is one line fit for a user
    ├── InputError               a value is missing, malformed or out of range
    │   ├── PictureError         bytes that are no picture, or one that cannot be read
    │   │   └── PictureTooLargeError   more pixels than the stated limit
    │   └── FetchError           what a URL names is not fetched: refused, absent, too large, too slow
    ├── WeightsError             a weights file is absent, damaged or of an unknown architecture
    ├── UpscaleError             the network gave no usable result (not finite, out of memory)
    ├── ExportError              the result cannot be written in the format asked for
    ├── JobError                 the job folder of a master is in use, damaged, or of another picture
    ├── BackendError             a place that runs tiles cannot be used, or gave no usable result
    │   ├── CostError            the next call could cost more than the user allowed
    │   └── RefusedError         a server refused a call; `status` says how
    ├── TileError                one attempt at a tile failed; another may succeed
    ├── StoppedError             the user stopped the work
    ├── TrainingError            a training cannot begin or go on, or gave nothing better than its base
    ├── PublishError             a result cannot be published: no token, refused, or no answer
    ├── GatewayError             the gateway cannot start with these settings, or use its data folder
    └── ConsoleError             the console cannot start with these settings, or use its data folder

Messages name what was wrong, the value that was given and the limit. Errors of libraries are translated
where they are called, with the cause kept (`raise ... from error`); nothing here knows about those
libraries.
"""

_MAX_SHOWN = 300


class LuxScalerError(Exception):
    """Base of all errors that LuxScaler raises on purpose."""


class InputError(LuxScalerError):
    """A value given by the user is missing, malformed or out of range."""


class PictureError(InputError):
    """The bytes are no picture, or one that cannot be read."""


class PictureTooLargeError(PictureError):
    """The picture has more pixels than the stated limit; nothing was allocated for it."""


class FetchError(InputError):
    """What a URL names is not fetched: no URL, a forbidden address, no answer, too large or too slow."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """status: of the HTTP answer, where one came."""
        super().__init__(message)
        self.status = status


class WeightsError(LuxScalerError):
    """A weights file is absent, damaged, or of an architecture that is not known."""


class UpscaleError(LuxScalerError):
    """The network gave no usable result: not finite, or out of memory at the smallest tile."""


class ExportError(LuxScalerError):
    """The result cannot be written in the format, or to the place, that was asked for."""


class JobError(LuxScalerError):
    """The job folder of a master is in use, damaged, or belongs to another picture or other options."""


class BackendError(LuxScalerError):
    """A place that runs tiles cannot be used, or gave no usable result however often it was asked."""


class CostError(BackendError):
    """The next call could cost more than the user allowed; it was not made."""


class RefusedError(BackendError):
    """A server refused a call, and would refuse it again."""

    def __init__(self, message: str, status: int) -> None:
        """`status`: of HTTP, 400 to 499."""
        super().__init__(message)
        self.status = status


class TileError(LuxScalerError):
    """One attempt at a tile failed; another may succeed."""

    def __init__(self, message: str, *, delay: float = 0.0, counts: bool = True) -> None:
        """`delay`: seconds to wait before the next attempt, at least. `counts`: whether the attempt is
        one of the tile's budget; a container that was merely busy or lost costs the tile nothing."""
        super().__init__(message)
        self.delay = delay
        self.counts = counts


class StoppedError(LuxScalerError):
    """The user stopped the work; what is done is kept."""


class TrainingError(LuxScalerError):
    """A training cannot begin or go on, or its result is not better than the network it began with."""


class PublishError(LuxScalerError):
    """A result cannot be published: no token, refused, or no answer; the files stay where they are."""


class GatewayError(LuxScalerError):
    """The gateway cannot start with these settings, or its data folder cannot be used."""


class ConsoleError(LuxScalerError):
    """The console cannot start with these settings, or its data folder cannot be used."""


def one_line(text: str) -> str:
    """What another program says, fit for a message of ours: on one line, at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"
