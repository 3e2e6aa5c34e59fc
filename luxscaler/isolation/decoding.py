"""Carries out a decoding task in the calling process: a fork of worker.py, or any process without
isolation."""

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, BinaryIO

from luxscaler.errors import PictureError
from luxscaler.io.read import header_of_stream, read_stream
from luxscaler.isolation.linear_file import linear_bytes, write_linear_file
from luxscaler.isolation.messages import DecodeTask
from luxscaler.picture import Picture

OnHeader = Callable[[int], None]
"""Called with the number of pixels that will be in memory at once, before they are decoded."""


def _unlimited(_pixels: int) -> None:
    pass


def decode_header(task: DecodeTask, stream: BinaryIO) -> dict[str, Any]:
    """The fields of PictureHeader as JSON types. Raises PictureError."""
    return asdict(header_of_stream(stream, task.name, task.choice))


def decode_picture(task: DecodeTask, stream: BinaryIO, on_header: OnHeader = _unlimited) -> Picture:
    """The picture, as luxscaler.io.read.read_picture returns it. Raises PictureError,
    PictureTooLargeError."""
    return read_stream(
        stream,
        task.name,
        max_pixels=task.max_pixels,
        limits=task.limits,
        sdr=task.sdr,
        choice=task.choice,
        on_header=on_header,
    )


def decode_bands(
    task: DecodeTask, stream: BinaryIO, target: int, on_header: OnHeader = _unlimited
) -> dict[str, Any]:
    """Write the picture into the open file `target`, band by band. Returns what LinearFile needs, as JSON
    types.

    The file's position is then behind the pixels. Raises PictureError, PictureTooLargeError, and OSError
    when the disk is full.
    """
    width, height, has_alpha, source = write_linear_file(
        stream,
        task.name,
        target,
        max_pixels=task.max_pixels,
        limits=task.limits,
        on_header=on_header,
        sdr=task.sdr,
        choice=task.choice,
    )
    os.lseek(target, linear_bytes(width, height, has_alpha), os.SEEK_SET)
    return {"source": source.to_json(), "height": height, "width": width, "alpha": has_alpha}


def not_stored(task: DecodeTask, error: OSError) -> PictureError:
    """The error for a picture that does not fit on the disk."""
    return PictureError(f"{task.name} cannot be stored on disk: {error.strerror}")
