"""Every error that LuxScaler raises on purpose, in one tree.

    LuxScalerError               anything below; its text is one line fit for a user
    ├── InputError               a value is missing, malformed or out of range
    │   └── PictureError         bytes that are no picture, or one that cannot be read
    │       └── PictureTooLargeError   more pixels than the stated limit
    ├── WeightsError             a weights file is absent, damaged or of an unknown architecture
    ├── UpscaleError             the network gave no usable result (not finite, out of memory)
    └── ExportError              the result cannot be written in the format asked for

Messages name what was wrong, the value that was given and the limit. Errors of libraries are translated
where they are called, with the cause kept (`raise ... from error`); nothing here knows about those
libraries.
"""


class LuxScalerError(Exception):
    """Base of all errors that LuxScaler raises on purpose."""


class InputError(LuxScalerError):
    """A value given by the user is missing, malformed or out of range."""


class PictureError(InputError):
    """The bytes are no picture, or one that cannot be read."""


class PictureTooLargeError(PictureError):
    """The picture has more pixels than the stated limit; nothing was allocated for it."""


class WeightsError(LuxScalerError):
    """A weights file is absent, damaged, or of an architecture that is not known."""


class UpscaleError(LuxScalerError):
    """The network gave no usable result: not finite, or out of memory at the smallest tile."""


class ExportError(LuxScalerError):
    """The result cannot be written in the format, or to the place, that was asked for."""
