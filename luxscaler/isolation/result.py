"""The result file of one decode: the decoder writes it, the caller reads it.

    rgb (height, width, 3) float32 │ alpha (height, width) float32, if any │ JSON │ its length, 8 bytes

For a header there is the JSON alone; after an error, JSON that names it. The caller also learns how the
decoder ended (a status or a signal), and makes one PictureError of either.
"""

import json
import mmap
import os
import signal
import struct
from typing import Any, BinaryIO

import numpy as np

from luxscaler.errors import PictureError, PictureTooLargeError
from luxscaler.isolation.messages import DecodeTask
from luxscaler.picture import Picture, PictureSource

_LENGTH = struct.Struct("<Q")
_FLOAT = 4


def write_picture(result: int, picture: Picture) -> None:
    """Write pixels and their description into the open file `result`. Raises OSError if it has no room."""
    pieces = [picture.rgb] if picture.alpha is None else [picture.rgb, picture.alpha]
    for piece in pieces:
        _write_all(result, np.ascontiguousarray(piece).data.cast("B"))
    size = {"height": picture.height, "width": picture.width, "alpha": picture.alpha is not None}
    write_description(result, {"source": picture.source.to_json(), **size})


def write_description(result: int, description: dict[str, Any]) -> None:
    """Write the JSON and its length behind what is in the file. Raises OSError if it has no room."""
    text = json.dumps(description).encode()
    _write_all(result, memoryview(text + _LENGTH.pack(len(text))))


def write_error(result: int, error: dict[str, Any]) -> None:
    """Replace the content of the file by an error.

    error: {"error": "memory", "allowed": bytes}, or {"error": name of the class, "text": message}.
    """
    os.ftruncate(result, 0)
    os.lseek(result, 0, os.SEEK_SET)
    write_description(result, error)


def _write_all(file: int, data: memoryview) -> None:
    while data:
        data = data[os.write(file, data) :]


def read_description(task: DecodeTask, answer: dict[str, Any], result: BinaryIO) -> dict[str, Any]:
    """The description that the decoder wrote.

    answer: the last packet of the decoding process. Raises PictureError for a decoder that was stopped or
    crashed, and the decoder's own PictureError or PictureTooLargeError.
    """
    _check_end(task, answer)
    size = os.fstat(result.fileno()).st_size
    (length,) = _LENGTH.unpack(os.pread(result.fileno(), _LENGTH.size, size - _LENGTH.size))
    description: dict[str, Any] = json.loads(os.pread(result.fileno(), length, size - _LENGTH.size - length))
    if "error" in description:
        raise _error(task, description)
    return description


def _check_end(task: DecodeTask, answer: dict[str, Any]) -> None:
    """Raise PictureError unless the decoder ended by itself with status 0."""
    status = answer["exit"]
    if answer["timed_out"] or status == -signal.SIGXCPU:
        reason = f"decoding it took longer than {task.limits.seconds:g} s"
    elif status == -signal.SIGKILL:
        reason = "its decoder was killed (signal 9), as happens when memory runs out"
    elif status < 0:
        reason = f"its decoder crashed (signal {-status})"
    elif status > 0:
        reason = f"its decoder ended with status {status}"
    else:
        return
    raise PictureError(f"{task.name} cannot be read: {reason}")


def _error(task: DecodeTask, description: dict[str, Any]) -> PictureError:
    if description["error"] == "memory":
        return PictureError(
            f"{task.name} cannot be read: decoding it needed more than {description['allowed'] / 1e6:,.0f} MB"
        )
    kind = PictureTooLargeError if description["error"] == PictureTooLargeError.__name__ else PictureError
    return kind(description["text"])


def mapped_picture(result: BinaryIO, description: dict[str, Any]) -> Picture:
    """The picture in the memory file, mapped, not copied; the mapping lives as long as the arrays."""
    height, width = description["height"], description["width"]
    pixels = np.frombuffer(mmap.mmap(result.fileno(), 0), np.uint8)
    count = height * width * _FLOAT
    rgb = pixels[: 3 * count].view(np.float32).reshape(height, width, 3)
    alpha = None
    if description["alpha"]:
        alpha = pixels[3 * count : 4 * count].view(np.float32).reshape(height, width)
    return Picture(rgb, alpha, PictureSource.from_json(description["source"]))
