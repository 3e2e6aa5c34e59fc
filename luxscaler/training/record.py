"""The log of a training: `metrics.jsonl`, one JSON line for every step and every validation.

Where it is asked for, the same figures and the samples go to TensorBoard (tensorboard.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luxscaler.errors import TrainingError
from luxscaler.training.folder import METRICS, write_error, write_synced
from luxscaler.training.tensorboard import Board


class Record:
    """The open log. A resumed training first removes the lines of steps that it will do again."""

    def __init__(self, folder: Path, step: int, *, board: bool = False) -> None:
        """step: steps done. board: write for TensorBoard too. Raises TrainingError if files cannot be
        written."""
        path = folder / METRICS
        if path.is_file():
            kept = [line for line in _whole_lines(path) if line["step"] <= step]
            write_synced(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
        self._path = path
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise write_error(path, error) from error
        self._board = Board(folder, step) if board else None

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line. Raises TrainingError."""
        try:
            self._file.write(json.dumps(dict(line)) + "\n")
        except OSError as error:
            raise write_error(self._path, error) from error
        if self._board is not None:
            self._board.add(line)

    def picture(self, step: int, data: bytes) -> None:
        """Show the sheet of samples (PNG) of a validation in TensorBoard. Raises TrainingError."""
        if self._board is not None:
            self._board.picture(step, data)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """All lines of a training's log; none if there is no log."""
    path = folder / METRICS
    return _whole_lines(path) if path.is_file() else []


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a log; a killed process may leave half a line. Raises TrainingError."""
    try:
        texts = path.read_text("utf-8").split("\n")
        return [json.loads(text) for text in texts[:-1] if text]
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} is damaged; remove {path.parent} to begin again") from error
