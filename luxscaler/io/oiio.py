"""Files opened with OpenImageIO: `opened` by a reader that is named, `image_input` by any.

OpenImageIO opens names, so the stream is given one: on Linux that of an open file of the process, in memory
if need be; elsewhere that of a temporary copy. It is imported late: only the decoding process needs it.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from luxscaler.errors import PictureError

_HAS_NAMES = sys.platform == "linux"
_MAX_MESSAGE = 200
_NO_READER = "could not find a format reader"
_OPENED = re.compile(r"""[(]?["']?(/proc/self/fd/\d+|\S*luxscaler-[0-9a-f_]*)["']?[)]?:?""")


@dataclass(frozen=True)
class OpenedFile:
    """A file, or one of the pictures in it."""

    input: Any
    """An OpenImageIO.ImageInput."""
    spec: Any
    """Its OpenImageIO.ImageSpec."""
    subimage: int = 0

    def samples(self, kind: str) -> NDArray[Any]:
        """(height, width, channels) of the type that OpenImageIO calls `kind`. Raises PictureError."""
        return self._read(0, self.spec.nchannels, kind)

    def channel(self, index: int, kind: str) -> NDArray[Any]:
        """(height, width). Raises PictureError."""
        return self._read(index, index + 1, kind)[..., 0]

    def text(self, name: str) -> str:
        """An attribute as text; nothing where there is none."""
        value = self.spec.getattribute(name)
        return value if isinstance(value, str) else ""

    def profile(self) -> bytes | None:
        """The ICC profile."""
        value = self.spec.getattribute("ICCProfile")
        return bytes(np.asarray(value, np.uint8)) if value is not None else None

    def _read(self, first: int, last: int, kind: str) -> NDArray[Any]:
        samples = self.input.read_image(self.subimage, 0, first, last, kind)
        error = one_line(self.input.geterror())
        if samples is None or error:
            raise PictureError(f"is damaged or truncated: {error or 'pixels are missing'}")
        return np.asarray(samples).reshape(self.spec.height, self.spec.width, last - first)


@contextmanager
def opened(stream: BinaryIO, reader: str, *, subimage: int = 0) -> Iterator[OpenedFile]:
    """Open the stream, of the format of that name ("psd", "openexr", …); colours and alpha as stored.

    Raises PictureError where OpenImageIO does not accept the file as that.
    """
    with image_input(stream) as (file, reason):
        if file is None:
            raise PictureError(f"cannot be read, it may be damaged: {reason or 'its header'}")
        if file.format_name() != reader:
            raise PictureError(f"cannot be read, it may be damaged: it is no {reader} for OpenImageIO")
        error = one_line(file.geterror())
        if error or (subimage and not file.seek_subimage(subimage, 0)):
            raise PictureError(f"is damaged: {error or f'it has no part {subimage + 1}'}")
        yield OpenedFile(file, file.spec(), subimage)


@contextmanager
def image_input(stream: BinaryIO) -> Iterator[tuple[Any, str]]:
    """Yield an OpenImageIO.ImageInput, colours and alpha as stored; or None, and why there is none.

    Whichever of its readers takes the file reads it.
    """
    try:
        import OpenImageIO as oiio  # noqa: N813, PLC0415 - for the decoding process alone
    except ImportError as error:
        yield None, one_line(str(error))
        return
    oiio.attribute("threads", 1)
    config = oiio.ImageSpec()
    config["oiio:UnassociatedAlpha"] = 1
    config["oiio:RawColor"] = 1
    with named(stream) as name:
        file = oiio.ImageInput.open(name, config)
        if file is None:
            yield None, one_line(oiio.geterror())
            return
        try:
            yield file, ""
        finally:
            file.close()


def one_line(error: str) -> str:
    """A message of OpenImageIO without the name under which the file was opened."""
    if _NO_READER in error:  # it goes on with a name, and a question
        return "OpenImageIO does not take its header"
    return " ".join(_OPENED.sub("", error).split())[:_MAX_MESSAGE]


@contextmanager
def named(stream: BinaryIO) -> Iterator[str]:
    """A name under which the stream's bytes can be opened."""
    if _HAS_NAMES:
        try:
            yield f"/proc/self/fd/{stream.fileno()}"
            return
        except OSError:  # bytes in memory have no descriptor (io.UnsupportedOperation)
            pass
    stream.seek(0)
    if _HAS_NAMES:
        with os.fdopen(os.memfd_create("luxscaler-bytes"), "wb") as file:
            file.write(stream.read())
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    with tempfile.TemporaryDirectory(prefix="luxscaler-") as folder:
        path = Path(folder) / "picture"
        path.write_bytes(stream.read())
        yield str(path)
