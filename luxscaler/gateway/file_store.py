"""The bytes that the gateway keeps: uploads and results, in folders beside the database.

    data/files/ID                an upload
    data/outputs/PREDICTION/NAME  a result's file
    data/work/                   uploads that have not arrived whole; emptied at the start

Names that come from outside never become paths here: ids are the gateway's own, and an output's name is one
that cog/reply.py made. addresses.py and the routes decide who may read what.
"""

import hashlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from luxscaler.gateway.keys import private_folder
from luxscaler.gateway.problems import Problem

_ID = re.compile(r"[a-z0-9]{26}")
_OUTPUT = re.compile(r"output(-\d+)?\.[a-z0-9]{1,5}")


@dataclass(frozen=True)
class Written:
    """Size and hashes of an upload that was received."""

    size: int
    sha256: str
    md5: str


class FileStore:
    """The folders of one gateway."""

    def __init__(self, data: Path) -> None:
        self._files, self._outputs, self.work = data / "files", data / "outputs", data / "work"
        shutil.rmtree(self.work, ignore_errors=True)
        for folder in (self._files, self._outputs, self.work):
            private_folder(folder)

    def file(self, name: str) -> Path | None:
        """The file of an upload's bytes, if it exists."""
        path = self._files / name
        return path if _ID.fullmatch(name) and path.is_file() else None

    def outputs(self, prediction: str) -> Path:
        """The folder of a prediction's results; it need not exist."""
        if not _ID.fullmatch(prediction):
            raise ValueError(f"not an id: {prediction!r}")
        return self._outputs / prediction

    def output(self, prediction: str, name: str) -> Path | None:
        """A result's file, if it exists."""
        if not _ID.fullmatch(prediction) or not _OUTPUT.fullmatch(name):
            return None
        path = self._outputs / prediction / name
        return path if path.is_file() else None

    async def receive(self, name: str, chunks: AsyncIterator[bytes], limit: int) -> Written:
        """Store an upload as it arrives; nothing is left of one that is too large or breaks off."""
        size, sha256, md5 = 0, hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        partial = self.work / name
        try:
            with partial.open("wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > limit:
                        raise Problem(413, f"The file is larger than {limit} bytes")
                    sha256.update(chunk)
                    md5.update(chunk)
                    file.write(chunk)
            partial.replace(self._files / name)
        finally:
            partial.unlink(missing_ok=True)
        return Written(size, sha256.hexdigest(), md5.hexdigest())

    def remove_file(self, name: str) -> None:
        """Delete an upload's bytes."""
        path = self.file(name)
        if path is not None:
            path.unlink(missing_ok=True)

    def remove_outputs(self, prediction: str) -> None:
        """Delete a prediction's results."""
        shutil.rmtree(self.outputs(prediction), ignore_errors=True)
