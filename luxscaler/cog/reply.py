"""A reply of Cog's to a prediction, as it arrives: bytes in, a Reply out, its data URLs in files.

    with ReplyReader(folder) as reader:
        for piece in answer.iter_bytes():       # or `async for`: the reader does no input of its own
            reader.feed(piece)
        reply = reader.end()

A float32 EXR of 150 MB is 200 MB of base64 inside one line of JSON: it goes into its file piece by piece and
is never in memory as a whole.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from luxscaler.cog.data_urls import Base64Decoder, suffix_for
from luxscaler.cog.messages import Json
from luxscaler.cog.status import Status

FILE_KEY = "luxscaler_gateway_file"
"""A file in an output stands there as {FILE_KEY: its name}. The gateway's database has it in this form."""
# In JSON an unescaped quote before `data:` can only open a string, and base64 needs no escapes.
_OPENING = re.compile(rb'(?<!\\)"data:([^",;\\]{0,100})[^",\\]{0,100};base64,')
_LONGEST_OPENING = 256
_MAX_TEXT = 64 * 2**20
"""Bytes of everything but files: logs, metrics, other outputs."""
_HEAD = 4
"""First bytes of a file by which its kind is recognised."""
_ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELED)


class ReplyError(Exception):
    """The reply is damaged, too large, or no prediction's. Another attempt may give a better one."""


@dataclass(frozen=True)
class Reply:
    """How a prediction ended."""

    status: Status
    """SUCCEEDED, FAILED or CANCELED."""
    output: Any = None
    """JSON, its files as {FILE_KEY: name}."""
    error: str = ""
    logs: str = ""
    metrics: Json = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds that it computed; 0 if Cog does not say."""
        seconds = self.metrics.get("predict_time")
        return float(seconds) if isinstance(seconds, (int, float)) else 0.0

    @property
    def file(self) -> str | None:
        """The file's name, if the output is one file and nothing else."""
        name = self.output.get(FILE_KEY) if isinstance(self.output, dict) else None
        return name if isinstance(name, str) else None


class ReplyReader:
    """Takes the bytes of one reply. Raises ReplyError, and OSError when a file cannot be written."""

    def __init__(self, folder: Path, most: int | None = None) -> None:
        """folder: for the files, made when the first comes; its parent has to exist. most: bytes of all files
        together."""
        self._folder = folder
        self._most = most
        self._written = 0
        self._files = 0
        self._text = bytearray()
        self._file: _OutputFile | None = None

    def __enter__(self) -> "ReplyReader":
        """Return itself; a reader is a context so that an unfinished file is removed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close and remove a file that was not finished."""
        if self._file is not None:
            self._file.discard()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the reply."""
        while piece:
            piece = self._feed_text(piece) if self._file is None else self._feed_file(self._file, piece)

    def end(self) -> Reply:
        """The reply, when all of it has arrived."""
        if self._file is not None:
            raise ReplyError("the reply ends within its output")
        try:
            values = json.loads(bytes(self._text))
        except (ValueError, RecursionError) as error:
            start = bytes(self._text[:60]).decode(errors="replace")
            raise ReplyError(f"the reply is no JSON, it starts with {start!r}") from error
        if not isinstance(values, dict) or values.get("status") not in _ENDED:
            start = bytes(self._text[:200]).decode(errors="replace")
            raise ReplyError(f"the reply is no finished prediction: {start}")
        metrics = values.get("metrics")
        return Reply(
            Status(values["status"]),
            values.get("output"),
            str(values.get("error") or ""),
            str(values.get("logs") or ""),
            metrics if isinstance(metrics, dict) else {},
        )

    def _feed_text(self, piece: bytes) -> bytes:
        """Keep the text before a data URL, and return what follows it."""
        searched = max(0, len(self._text) - _LONGEST_OPENING)
        self._text += piece
        found = _OPENING.search(self._text, searched)
        rest = b""
        if found is not None:
            content_type, rest = found[1].decode(errors="replace"), bytes(self._text[found.end() :])
            del self._text[found.start() :]
            self._file = _OutputFile(self._folder, self._files, content_type)
            self._files += 1
        if len(self._text) > _MAX_TEXT:
            raise ReplyError(f"the reply has more than {_MAX_TEXT} bytes besides its output")
        return rest

    def _feed_file(self, file: "_OutputFile", piece: bytes) -> bytes:
        """Write what precedes the quote that ends a data URL, and return what follows it."""
        body, quote, rest = piece.partition(b'"')
        try:
            self._written += file.feed(body, last=bool(quote))
        except ValueError as error:
            raise ReplyError(f"the output in the reply is {error}") from error
        if self._most is not None and self._written > self._most:
            raise ReplyError(f"the output in the reply has more than {self._most} bytes")
        if quote:
            self._text += json.dumps({FILE_KEY: file.finish()}).encode()
            self._file = None
        return rest


class _OutputFile:
    """A data URL on its way into a file."""

    def __init__(self, folder: Path, number: int, content_type: str) -> None:
        folder.mkdir(exist_ok=True)
        self._stem = f"output-{number}" if number else "output"
        self._path = folder / f"{self._stem}.partial"
        self._content_type = content_type
        self._file = self._path.open("wb")
        self._decoder = Base64Decoder()
        self._head = b""

    def feed(self, text: bytes, *, last: bool) -> int:
        """Decode and write; returns the number of bytes. Raises ValueError for damaged base64."""
        data = self._decoder.feed(text)
        if last:
            data += self._decoder.end()
        if len(self._head) < _HEAD:
            self._head += data[:_HEAD]
        return self._file.write(data)

    def finish(self) -> str:
        """Close the file, name it by what it holds, and return the name."""
        self._file.close()
        name = self._stem + suffix_for(self._content_type, self._head)
        self._path.replace(self._path.with_name(name))
        return name

    def discard(self) -> None:
        """Close and remove it."""
        self._file.close()
        self._path.unlink(missing_ok=True)
