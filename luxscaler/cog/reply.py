"""A Cog reply as it arrives: JSON, of which the output's data URL goes, decoded, into a file.

A float32 EXR of 150 MB is 200 MB of base64 inside one line of JSON; it is never held in memory as a whole.
This module knows no HTTP and no pictures.
"""

import binascii
import json
import re
from typing import Any, BinaryIO

from luxscaler.errors import TileError

_OPENING = re.compile(rb'(?<!\\)"output"\s*:\s*"data:[^",\\]{0,200};base64,')
"""In JSON an unescaped quote before `output` opens a key or a text; base64 needs no escapes."""
_LONGEST_OPENING = 256
_MAX_TEXT = 16 * 2**20
"""Bytes of everything but the output: logs, metrics, inputs."""
_QUOTE = b'"'


class Reply:
    """Takes the bytes of a reply piece by piece. Its errors are TileErrors: another attempt may succeed."""

    def __init__(self, target: BinaryIO, most: int) -> None:
        """The output is written to `target`; more than `most` bytes of it are refused."""
        self._target = target
        self._left = most
        self._most = most
        self._text = bytearray()
        self._pending = b""
        self._in_output = False
        self._had_output = False

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._in_output:
            self._feed_output(piece)
            return
        searched = max(0, len(self._text) - _LONGEST_OPENING)
        self._text += piece
        if not self._had_output and (found := _OPENING.search(self._text, searched)):
            rest = bytes(self._text[found.end() :])
            self._text[found.start() :] = b'"output":"'
            self._in_output = self._had_output = True
            self._feed_output(rest)
        if len(self._text) > _MAX_TEXT:
            raise TileError(f"the reply has more than {_MAX_TEXT} bytes besides its output")

    def end(self) -> dict[str, Any]:
        """The reply without its output, when all is there."""
        if self._in_output:
            raise TileError("the reply ends within its output")
        try:
            reply = json.loads(bytes(self._text))
        except ValueError as error:
            start = bytes(self._text[:60]).decode(errors="replace")
            raise TileError(f"the reply is no JSON, it starts with {start!r}") from error
        if not isinstance(reply, dict):
            raise TileError(f"the reply is no JSON object but {type(reply).__name__}")
        return reply

    def _feed_output(self, piece: bytes) -> None:
        body, quote, rest = piece.partition(_QUOTE)
        data = self._pending + body
        whole = len(data) if quote else len(data) // 4 * 4
        self._pending = data[whole:]
        try:
            decoded = binascii.a2b_base64(data[:whole], strict_mode=True)
        except binascii.Error as error:
            raise TileError(f"the output in the reply is damaged base64: {error}") from error
        self._left -= len(decoded)
        if self._left < 0:
            raise TileError(f"the output in the reply has more than {self._most} bytes")
        self._target.write(decoded)
        if quote:
            self._in_output = False
            self.feed(quote + rest)
