"""A decoder that fails as real ones might: a decoding process of the isolation tests imports this module.

The "file" is a BMP header's first two bytes and a word that says what is to happen.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

import numpy as np

from luxscaler.io import read
from luxscaler.io.color_encoding import SRGB_ASSUMED
from luxscaler.io.decoder import FileInfo, Samples

_held: list[bytearray] = []


def _hang() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    time.sleep(1000)


def _spin() -> None:
    while True:
        pass


def _allocate() -> None:
    while True:
        _held.append(bytearray(64 * 2**20))


def _open_files() -> None:
    while True:
        os.open(os.devnull, os.O_RDONLY)


def _print() -> None:
    print("to standard output")
    print("to standard error", file=sys.stderr)
    os.write(1, b"directly\n")
    os.write(2, b"directly\n")


_ACTIONS: dict[str, Callable[[], object]] = {
    "fine": lambda: None,
    "segv": lambda: ctypes.string_at(0),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "exit": lambda: os._exit(3),
    "sleep": _hang,
    "spin": _spin,
    "allocate": _allocate,
    "files": _open_files,
    "print": _print,
}


class BadDecoder:
    def read_info(self, stream: BinaryIO) -> FileInfo:
        stream.seek(2)
        word = stream.read()
        if word == b"hang in header":
            _hang()
        if word == b"header segv":
            ctypes.string_at(0)
        return FileInfo("bmp", 4, 4, 8, 3, SRGB_ASSUMED)

    def read_samples(self, stream: BinaryIO, info: FileInfo) -> Samples:
        stream.seek(2)
        word, _, path = stream.read().decode().partition(" ")
        if word == "pid":
            Path(path).write_text(str(os.getpid()))
            _hang()
        _ACTIONS[word]()
        return np.zeros((4, 4, 3), np.uint8)


read._DECODERS = MappingProxyType({**read._DECODERS, "bmp": BadDecoder()})
